"""Answers of a newer service are decoded; answers of another type are not."""

import json
from typing import Any

import pytest
from tests.client.answers import EVALUATION, FAILED, JOB, JSON, RUNNING, event

from tunery._decode import decode
from tunery.errors import InvalidAnswer
from tunery.types import Evaluation, Event, Job


def of_job(changes: JSON) -> Job:
    return decode(json.dumps({**JOB, **changes}).encode(), Job)


def test_an_answer_of_the_contract_is_decoded() -> None:
    assert of_job({}).status == "succeeded"


@pytest.mark.parametrize("job", [JOB, RUNNING, FAILED])
def test_a_new_status_word_passes_and_everything_else_stays(job: JSON) -> None:
    known = decode(json.dumps(job).encode(), Job)

    newer = decode(json.dumps({**job, "status": "hibernating"}).encode(), Job)

    assert newer.status == "hibernating"
    for name in set(Job.__struct_fields__) - {"status"}:
        assert getattr(newer, name) == getattr(known, name), name


def test_a_number_past_its_bound_passes() -> None:
    assert of_job({"priority": 100_000}).priority == 100_000


def test_a_new_field_passes() -> None:
    assert of_job({"mood": "good", "status": "hibernating"}).id == "job_1"


def test_a_new_kind_of_event_passes() -> None:
    found = decode(json.dumps(event(1, "hibernated", mood="good")).encode(), Event)

    assert (found.type, found.data) == ("hibernated", {"mood": "good"})


def test_an_evaluation_of_a_new_precision_passes() -> None:
    content = json.dumps({**EVALUATION, "precision": "fp2", "runtime": "abacus"}).encode()

    found = decode(content, Evaluation)

    assert (found.precision, found.runtime) == ("fp2", "abacus")


@pytest.mark.parametrize(
    "changes",
    [{"id": 7}, {"terminal": "yes"}, {"attempt": "1"}, {"attempt": True}, {"progress": []}],
)
def test_a_wrong_type_never_passes(changes: JSON) -> None:
    with pytest.raises(InvalidAnswer, match="not what the contract says"):
        of_job({**changes, "status": "hibernating"})


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"{", b'{"id": "\xff"}', b"[" * 100_000, b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_is_invalid(content: bytes) -> None:
    with pytest.raises(InvalidAnswer):
        decode(content, Job)


@pytest.mark.parametrize("value", [None, [], 7, "x", {}])
def test_another_value_is_invalid(value: Any) -> None:
    with pytest.raises(InvalidAnswer):
        decode(json.dumps(value).encode(), Job)

"""Errors: a class per code, what each says, and that each survives a process border."""

import copy
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from tests.client.answers import (
    DATASET,
    DEPLOYMENT,
    FAILED,
    JOB,
    JSON,
    REPORT,
    Script,
    client_of,
    problem,
    refused,
)

from tunery import Client, errors
from tunery.errors import (
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    CrashLoop,
    DatasetRejected,
    DeploymentFailed,
    InvalidAnswer,
    InvalidArgument,
    JobCancelled,
    JobFailed,
    LoadFailed,
    NotConfigured,
    NotFound,
    NullLabel,
    OutOfRange,
    ServerFault,
    TimedOut,
    TooLarge,
    TooManyRequests,
    TuneryError,
    Unacceptable,
    Unauthorized,
    Unavailable,
    UnsupportedType,
    class_of,
    dataset_rejected,
    deployment_failed,
    family_of,
    job_failed,
)
from tunery.types import PROBLEMS, Dataset, Deployment, FieldError, Job, Report


def report_of(shown: int, total: int) -> Report:
    findings = [
        {"code": "null-label", "message": f"row {i} has no label", "hint": "", "line": i + 2}
        for i in range(shown)
    ]
    return msgspec.convert({**REPORT, "errors": findings, "errors_total": total}, Report)


def rejected(code: str = "null-label") -> Dataset:
    error = {"code": code, "message": "12 rows have no label", "hint": "Fill them in."}
    return msgspec.convert({**DATASET, "status": "rejected", "error": error}, Dataset)


def failed(**error: Any) -> Job:
    return msgspec.convert({**FAILED, "error": {**FAILED["error"], **error}}, Job)


def answered(answer: httpx.Response) -> ApiError:
    with client_of(Script(answer), max_retries=0) as client, pytest.raises(ApiError) as caught:
        client.live()
    return caught.value


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_code_has_a_class(code: str) -> None:
    name = "".join(part.capitalize() for part in code.split("-"))

    found = getattr(errors, name, None)

    assert found is not None
    assert issubclass(found, TuneryError)
    assert class_of(code, TuneryError) is found


@pytest.mark.parametrize("code", sorted(code for code, kind in PROBLEMS.items() if kind.status))
def test_a_class_belongs_to_the_family_of_its_status(code: str) -> None:
    status = PROBLEMS[code].status
    assert status is not None

    error = answered(httpx.Response(status, json=problem(code, status)))

    assert type(error) is class_of(code, ApiError)
    assert isinstance(error, family_of(status))
    assert (error.code, error.status, error.hint) == (code, status, "What to do.")


def test_every_class_is_a_code_a_family_or_stands_in_the_tree() -> None:
    def below(kind: type[TuneryError]) -> set[type[TuneryError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    coded = {class_of(code, TuneryError) for code in PROBLEMS}
    families = {family_of(status) for status in range(400, 600)}
    tree = {
        each for each in below(TuneryError) if f" {each.__name__} " in (errors.__doc__ or "") + " "
    }
    assert {each.__name__ for each in below(TuneryError) - coded - families - tree} <= {
        "TuneryError"
    }


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (404, NotFound),
        (409, Conflict),
        (413, TooLarge),
        (415, UnsupportedType),
        (422, Unacceptable),
        (429, TooManyRequests),
        (503, Unavailable),
        (500, ServerFault),
        (502, ServerFault),
        (599, ServerFault),
        (418, ApiError),
        (302, ApiError),
    ],
)
def test_an_unknown_code_raises_the_family_of_its_status(
    status: int, family: type[ApiError]
) -> None:
    body = problem("of-a-newer-service", max(status, 400))

    error = answered(httpx.Response(status, json=body))

    assert type(error) is family
    assert (error.code, error.status) == ("of-a-newer-service", status)


def test_a_code_of_another_kind_raises_the_family_of_its_status() -> None:
    error = answered(refused("crash-loop", 409))

    assert type(error) is Conflict


def test_a_refusal_says_code_detail_hint_and_request() -> None:
    error = answered(refused("out-of-range", 422))

    assert type(error) is OutOfRange
    assert str(error) == "out-of-range: what was wrong this time. What to do. (request req_1)"


def test_a_refusal_holds_the_places_that_are_wrong() -> None:
    places: list[JSON] = [{"code": "out-of-range", "message": "too large", "pointer": "/top_k"}]

    error = answered(httpx.Response(422, json=problem("out-of-range", 422, errors=places)))

    assert error.errors == [FieldError(code="out-of-range", message="too large", pointer="/top_k")]


def test_a_page_of_a_proxy_is_said_in_one_line() -> None:
    page = "<html>\n<head><title>502 Bad Gateway</title></head>\n</html>"
    error = answered(httpx.Response(502, text=page, headers={"X-Request-Id": "req_9"}))

    assert type(error) is ServerFault
    assert error.code is None
    assert str(error) == (
        "HTTP 502 Bad Gateway: <html> <head><title>502 Bad Gateway</title></head> </html>"
        " (request req_9)"
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"null", b"{" * 5000])
def test_any_body_of_a_refusal_is_a_refusal(content: bytes) -> None:
    error = answered(httpx.Response(503, content=content))

    assert type(error) is Unavailable
    assert str(error).startswith("HTTP 503 Service Unavailable")
    assert len(str(error)) < 260


def test_an_answer_of_another_service_is_invalid() -> None:
    script = Script(httpx.Response(200, text="<html>it works</html>"))

    with client_of(script, max_retries=0) as client, pytest.raises(InvalidAnswer, match="JSON"):
        client.live()


def test_an_error_without_a_message_says_what_its_class_says() -> None:
    assert str(TimedOut()) == "There was no answer in time."
    assert str(NotConfigured()) == "The client has no key, or no URL of a service."


def test_a_rejection_says_ten_findings_and_how_many_more() -> None:
    error = dataset_rejected(rejected(), report_of(shown=12, total=512))

    assert type(error) is NullLabel
    assert isinstance(error, DatasetRejected)
    lines = str(error).splitlines()
    assert lines[:2] == [
        "null-label: 12 rows have no label",
        "  line 2: null-label: row 0 has no label",
    ]
    assert lines[10:] == [
        "  line 11: null-label: row 9 has no label",
        "  and 502 more",
        "Fill them in.",
    ]


def test_a_rejection_with_few_findings_says_all() -> None:
    error = dataset_rejected(rejected(), report_of(shown=1, total=1))

    assert str(error) == (
        "null-label: 12 rows have no label\n  line 2: null-label: row 0 has no label\nFill them in."
    )


def test_a_rejection_without_a_report_or_of_an_unknown_code_is_one() -> None:
    error = dataset_rejected(rejected("of-a-newer-service"), None)

    assert type(error) is DatasetRejected
    assert str(error) == "of-a-newer-service: 12 rows have no label\nFill them in."


def test_a_failed_job_says_the_end_of_its_log() -> None:
    error = job_failed(failed())

    assert type(error) is CrashLoop
    assert str(error) == (
        "job_1 failed: crash-loop: the trainer died three times\n"
        "See the log of the last attempt.\n"
        "the end of its log:\n"
        "  step 3\n"
        "  MemoryError"
    )


def test_a_failed_job_says_no_more_than_twenty_lines_of_its_log() -> None:
    error = job_failed(failed(log_tail="".join(f"line {i}\n" for i in range(100))))

    assert str(error).splitlines()[3:] == [f"  line {i}" for i in range(80, 100)]
    assert error.log_tail.startswith("line 0\n")


def test_a_failed_job_without_a_reason_is_one() -> None:
    job = msgspec.convert({**JOB, "status": "failed"}, Job)

    assert str(job_failed(job)) == "job_1 failed: job-error: the job does not say why"


def test_a_failed_deployment_says_why() -> None:
    error = {"code": "load-failed", "message": "out of memory", "hint": "Use fewer replicas."}
    deployment = msgspec.convert({**DEPLOYMENT, "status": "failed", "error": error}, Deployment)

    found = deployment_failed(deployment)

    assert type(found) is LoadFailed
    assert isinstance(found, DeploymentFailed)
    assert str(found) == "load-failed: out of memory Use fewer replicas."


def test_a_service_that_does_not_answer_is_named_with_what_to_do() -> None:
    client = Client("http://127.0.0.1:9", api_key="tnr_x", max_retries=0)

    with client, pytest.raises(ConnectionFailed) as caught:
        client.jobs.get("job_1")

    assert str(caught.value).startswith("http://127.0.0.1:9 does not answer: ")
    assert str(caught.value).endswith("Is it running? Start it with: tunery serve")


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.datasets.create([{"text": "a"}]),
        lambda client: client.finetune(None, model="m"),
        lambda client: client.jobs.get(7),
    ],
)
def test_what_is_of_the_wrong_type_is_an_invalid_argument(ask: Callable[[Client], object]) -> None:
    with client_of(Script(httpx.Response(200))) as client, pytest.raises(InvalidArgument):
        ask(client)


@pytest.mark.parametrize(
    "error",
    [
        OutOfRange(
            "top_k is 0",
            status=422,
            code="out-of-range",
            hint="Use 1.",
            errors=[FieldError(code="out-of-range", message="m", pointer="/top_k")],
            request_id="req_1",
            retry_after_seconds=3.0,
        ),
        ConnectionFailed("refused", url="http://host", sent=False),
        TimedOut(),
        dataset_rejected(rejected(), report_of(shown=12, total=512)),
        job_failed(failed()),
        JobCancelled("job_1 was cancelled", job=failed()),
        DeploymentFailed("no", code="x", deployment=msgspec.convert(DEPLOYMENT, Deployment)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_copied_error_keeps_everything(error: TuneryError) -> None:
    found = copy.copy(error)

    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


def test_the_error_of_a_wait_can_be_copied() -> None:
    script = Script(httpx.Response(200, json=FAILED))

    with client_of(script) as client, pytest.raises(JobFailed) as caught:
        client.jobs.wait("job_1")

    found = copy.copy(caught.value)
    assert str(found) == str(caught.value)
    assert found.job.id == "job_1"

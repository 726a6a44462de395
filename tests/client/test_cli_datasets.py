"""`tunery datasets` against a service that answers by a script."""

import json
from pathlib import Path

import httpx
import pytest
from tests.client.answers import (
    CSV,
    DATASET,
    DIFF,
    FILE,
    JSON,
    REPORT,
    TRANSFORMED,
    Script,
    client_of,
    page,
)
from tests.client.listening import listening

from tunery.cli import main
from tunery.cli.commands import root
from tunery.cli.commands.datasets import _arguments_of
from tunery.cli.terminal import Terminal

REJECTED: JSON = {
    **TRANSFORMED,
    "status": "rejected",
    "error": {"code": "single-class", "message": "one label", "hint": "Add another."},
}
CLEANED: JSON = {
    **REPORT,
    "transforms": [
        {"op": "strip_html", "rows_changed": 1204, "rows_removed": 0},
        {"op": "dedupe", "rows_changed": 0, "rows_removed": 17},
    ],
}


def run(script: Script, *arguments: str) -> int:
    terminal = Terminal()
    terminal._client = client_of(script)
    code = root.main(["datasets", *arguments], obj=terminal, standalone_mode=False)
    return code if isinstance(code, int) else 0


def ok(body: JSON, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def test_a_transform_is_waited_for_and_its_report_is_shown(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    script = Script(ok(TRANSFORMED, 202), ok(TRANSFORMED), ok(CLEANED))

    status = run(
        script,
        *("transform", "ds_1", "--op", "dedupe", "--op", "strip_html"),
        *("--relabel", "awful=bad", "--relabel", "fine=good"),
    )

    printed = [
        " ".join(line.split()) for line in capsysbinary.readouterr().out.decode().split("\n")
    ]
    assert status == 0
    assert script.requests[0].url.path == "/datasets/ds_1/versions"
    assert json.loads(script.requests[0].content) == {
        "transforms": [
            {"op": "relabel", "labels": {"awful": "bad", "fine": "good"}, "rows": []},
            {"op": "dedupe", "labels": {}, "rows": []},
            {"op": "strip_html", "labels": {}, "rows": []},
        ],
        "policies": None,
    }
    assert printed[0].startswith("reviews/2 ds_2 accepted")
    assert "transforms rows changed rows removed" in printed
    assert "strip_html 1,204 0" in printed
    assert "dedupe 0 17" in printed


def test_policies_are_sent_when_one_is_given() -> None:
    script = Script(ok(TRANSFORMED, 202))

    run(script, "transform", "ds_1", "--op", "strip_html", "--empty", "drop", "--no-wait")

    sent = json.loads(script.requests[0].content)["policies"]
    assert (sent["empty"], sent["leakage"]) == ("drop", "drop_from_train")


def test_a_rejected_transform_exits_with_3_and_shows_its_report(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    script = Script(ok(TRANSFORMED, 202), ok(REJECTED), ok({**CLEANED, "errors_total": 1}))

    status = run(script, "transform", "ds_1", "--relabel", "bad=good")

    assert status == 3
    assert b"reviews/2 ds_2  rejected" in capsysbinary.readouterr().out


def test_show_names_the_parent_and_what_was_done(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    run(Script(ok(TRANSFORMED)), "show", "ds_2")

    printed = [
        " ".join(line.split()) for line in capsysbinary.readouterr().out.decode().split("\n")
    ]
    assert "name reviews/2" in printed
    assert "parent ds_1" in printed
    assert "transforms relabel (awful → bad), strip_html" in printed


def test_list_names_versions_and_transforms_where_there_are_some(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    run(Script(ok(page(TRANSFORMED, DATASET))), "list")
    with_transforms = capsysbinary.readouterr().out.decode()
    run(Script(ok(page(DATASET))), "list")
    without = capsysbinary.readouterr().out.decode()

    assert "reviews/2" in with_transforms
    assert "reviews/1" in with_transforms
    assert "relabel, strip_html" in with_transforms
    assert "transforms" not in without


def test_a_dataset_is_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    script = Script(ok(DATASET), httpx.Response(204))

    status = run(script, "delete", "ds_1")

    assert status == 0
    assert [(each.method, each.url.path) for each in script.requests] == [
        ("GET", "/datasets/ds_1"),
        ("DELETE", "/datasets/ds_1"),
    ]
    assert capsys.readouterr().err == "reviews/1 ds_1 is deleted\n"


def test_a_diff_says_how_many_rows_it_does_not_show(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    row = {"text": "hi", "label_before": "good", "split_before": "train"}
    removed = {"rows": 32, "examples": [{**row, "label_after": None, "split_after": None}] * 20}

    run(Script(ok({**DIFF, "removed": removed})), "diff", "ds_1", "ds_0")

    printed = capsysbinary.readouterr().out.decode()
    assert printed.count("hi  ") == 20
    assert "\nand 12 more\n" in printed


def test_a_file_that_was_checked_is_registered_by_the_same_arguments() -> None:
    given = {
        "file": None,
        "train": "a b.csv",
        "test": "t.csv",
        "text_column": "body",
        "empty": None,
    }

    assert _arguments_of(given) == "--train 'a b.csv' --test t.csv --text body"


def test_an_upload_into_a_pipe_prints_no_empty_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)

    run(Script(ok(FILE, 201), ok(DATASET, 202)), "add", str(tmp_path / "a.csv"), "--no-wait")

    assert capsys.readouterr().err == ""


def test_a_rejected_dataset_is_named_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNERY_API_KEY", "tnr_1_a")
    script = Script(ok(TRANSFORMED, 202), ok(REJECTED), ok({**CLEANED, "errors_total": 1}))

    with listening(script) as url:
        status = main(["datasets", "transform", "ds_1", "--op", "dedupe", "--json", "--url", url])

    assert status == 3
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["dataset"] == "ds_2"

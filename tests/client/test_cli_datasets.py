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
    JOB,
    JSON,
    LABEL_ISSUE,
    REPORT,
    TRANSFORMED,
    Script,
    client_of,
    page,
    refused,
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


def listed(*issues: JSON) -> httpx.Response:
    return ok({**page(*issues), "total": len(issues), "job": "job_1"})


def test_label_issues_are_listed(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    script = Script(listed(LABEL_ISSUE))

    run(script, "label-issues", "ds_1", "--split", "train")

    printed = " ".join(capsysbinary.readouterr().out.decode().split())
    assert dict(script.requests[0].url.params)["split"] == "train"
    assert printed.endswith("train:7 I lost my card card_arrival lost_or_stolen_card 0.010")


@pytest.mark.parametrize("arguments", [(), ("--anew",), ("--base-model", "scratch-mini")])
def test_label_issues_that_nobody_has_looked_for_are_found_first(
    arguments: tuple[str, ...], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    job = {**JOB, "kind": "label-issues"}
    events = ok({"data": [], "has_more": False, "last_seq": 0})
    missing = [] if arguments else [refused("label-issues-not-found", 404)]
    script = Script(*missing, ok(job, 202), ok(job), events, listed(LABEL_ISSUE))

    run(script, "label-issues", "ds_1", *arguments)

    asked = script.requests[len(missing)]
    assert (asked.method, asked.url.path) == ("POST", "/datasets/ds_1/label-issues")
    base_model = arguments[1] if len(arguments) > 1 else "minilm-l6"
    assert json.loads(asked.content)["base_model"] == base_model
    assert b"lost_or_stolen_card" in capsysbinary.readouterr().out


def test_label_issues_go_through_a_spreadsheet_and_come_back(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The user mends one suggestion, and clears another; a formula is none on the way."""
    issues = [
        {**LABEL_ISSUE, "line": 3, "text": "=1+1", "suggested_label": "-refund"},
        {**LABEL_ISSUE, "line": 4, "text": "two\nlines", "suggested_label": "other"},
        {**LABEL_ISSUE, "line": 5, "suggested_label": "right as it was"},
    ]
    run(Script(listed(*issues)), "label-issues", "ds_1", "--csv")
    written = capsysbinary.readouterr().out.decode()
    path = tmp_path / "issues.csv"
    mended = written.replace(",other,", ",mended,").replace("right as it was", "")
    path.write_text("\ufeff" + mended, "utf-8")

    script = Script(ok(TRANSFORMED, 202))
    run(script, "relabel", "ds_1", str(path), "--no-wait")

    assert written.splitlines()[0].startswith("split,line,label,suggested_label,quality,margin,")
    assert "'=1+1" in written
    assert json.loads(script.requests[0].content)["transforms"][0]["rows"] == [
        {"line": 3, "label": "-refund", "split": "train"},
        {"line": 4, "label": "mended", "split": "train"},
    ]


def test_label_issues_of_little_quality_are_relabelled_at_once() -> None:
    doubtful = {**LABEL_ISSUE, "line": 8, "quality": 0.2}
    script = Script(listed(LABEL_ISSUE, doubtful), ok(TRANSFORMED, 202))

    run(script, "relabel", "ds_1", "--max-quality", "0.1", "--no-wait")

    [transform] = json.loads(script.requests[1].content)["transforms"]
    assert [row["line"] for row in transform["rows"]] == [7]


def test_a_file_without_the_columns_relabels_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNERY_API_KEY", "tnr_1_a")
    (tmp_path / "issues.csv").write_text("line,label\n3,a\n")

    wrong = main(["datasets", "relabel", "ds_1", str(tmp_path / "issues.csv")])
    neither = main(["datasets", "relabel", "ds_1"])

    said = capsys.readouterr().err
    assert (wrong, neither) == (1, 2)
    assert "must have columns line and suggested_label" in said
    assert "give FILE or --max-quality" in said


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

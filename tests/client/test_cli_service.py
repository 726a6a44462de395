"""The command line against a service that a test makes up: what it prints, and how it exits."""

import io
import json
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.client.answers import (
    COMPARISON,
    CSV,
    DATASET,
    DEPLOYMENT,
    DEVICE,
    ESTIMATE,
    EVALUATED_ROW,
    EVALUATION,
    FAILED,
    JOB,
    JSON,
    LIVE,
    NO_EVENTS,
    READY,
    Script,
    client_of,
    page,
    predicted,
    problem,
    refused,
)
from tests.client.listening import listening

from tunery.cli import main
from tunery.cli.diagnosis import _service
from tunery.cli.names import dataset_id
from tunery.cli.terminal import Terminal

TUNERY = [sys.executable, "-c", "import sys, tunery.cli; sys.exit(tunery.cli.main())"]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the environment hold a key and speak English."""
    for name in ("TUNERY_URL", "TUNERY_DATA_DIR", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNERY_API_KEY", "tnr_1_a")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.chdir(tmp_path)


def of_one_job(job: JSON) -> Any:
    """Return a service that has one job, as it has ended."""

    def handler(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/datasets":
            return httpx.Response(200, json=page(DATASET))
        return httpx.Response(200, json=NO_EVENTS if path.endswith("/events") else job)

    return handler


def terminal_of(handler: Any) -> Terminal:
    terminal = Terminal()
    terminal._client = client_of(handler, max_retries=0)
    return terminal


@pytest.mark.parametrize(
    "given",
    [
        ["jobs", "watch", "job_1"],
        ["finetune", "reviews", "--model", "intent"],
        ["finetune", "reviews", "--model", "intent", "--deploy", "intent"],
    ],
)
def test_a_job_that_failed_exits_with_4_where_json_was_asked_for(
    given: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with listening(of_one_job(FAILED)) as url:
        status = main([*given, "--json", "--url", url])

    told = msgspec.json.decode(capsysbinary.readouterr().out)
    assert status == 4
    assert told["error"]["code"] == "crash-loop"


def test_a_job_that_was_watched_is_printed_where_json_was_asked_for(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    with listening(of_one_job(JOB)) as url:
        status = main(["jobs", "watch", "job_1", "--json", "--url", url])

    assert status == 0
    assert msgspec.json.decode(capsysbinary.readouterr().out)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["datasets", "add", "a.txt"], "'a.txt' ends in none of"),
        (["datasets", "check", "a.txt"], "'a.txt' ends in none of"),
        (["deploy", "intent", "intent3"], "'intent3' is no version"),
        (["jobs", "show", "."], "'.' is no name and no id"),
        (["models", "../1"], "'..' is no name and no id"),
        (["jobs", "show", "job_\udcff"], r"'job_\udcff' is not UTF-8"),
        (["predict", "intent", "caf\udce9"], r"'caf\udce9' is not UTF-8"),
        (["predict", "intent", "--file", "latin1.txt"], "line 3 is not UTF-8"),
        (["finetune", "ds_1", "--model", "m", "--epochs", "x"], "epochs can't be x"),
        (["finetune", "ds_1", "--model", "m", "--epochs", "0"], "can't be 0; it must be >= 1"),
    ],
)
def test_what_can_not_be_sent_exits_with_2_and_is_named(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.txt").write_bytes(CSV)
    Path("latin1.txt").write_bytes("hello\n\ncafé\n".encode("latin1"))

    status = main(given)

    assert status == 2
    assert said in capsys.readouterr().err


def test_a_line_of_stdin_that_is_not_utf_8_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hello\n\xff\n"), "utf-8"))

    status = main(["predict", "intent"])

    assert status == 2
    assert "line 2 is not UTF-8" in capsys.readouterr().err


def test_a_file_with_a_byte_order_mark_and_other_letters_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("texts.txt").write_text("\ufeffcafé\r\n好\n", "utf-8")

    with listening(predicted) as url:
        status = main(["predict", "intent", "--json", "--file", "texts.txt", "--url", url])

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert [msgspec.json.decode(line)["text"] for line in lines] == ["café", "好"]


def test_what_is_not_answered_is_said_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"label": "a", "score": 0.4, "tokens": 3, "truncated": False}
    plain["scores"] = [{"label": "a", "score": 0.4}]
    unsure = plain | {"decision": "abstain", "reject_reason": "low_confidence"}
    found = {"model": "intent", "version": "intent/3", "request_id": "req_1"}
    answer = httpx.Response(200, json=found | {"predictions": [plain, unsure]})

    with listening(lambda _: answer) as url:
        status = main(["predict", "intent", "x", "y", "--url", url])

    shown = capsys.readouterr()
    assert status == 0
    assert shown.out.splitlines() == ["a\t0.4000\tx", "abstain: a\t0.4000\ty"]
    assert "1 of 2 texts are not answered" in shown.err


@pytest.mark.parametrize("given", ["precision=1.5", "cost=", "0.9", "mood=1", "coverage=x"])
def test_abstaining_that_can_not_be_meant_is_refused(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["finetune", "ds_1", "--model", "m", "--abstain", given])

    assert status == 2
    assert "precision=0.95, coverage=0.8 or cost=5" in capsys.readouterr().err


def test_a_refusal_among_predictions_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("texts.txt").write_text("hello\n" * 300)
    script = Script(predicted, refused("model-not-found", 404))

    with listening(script) as url:
        status = main(["predict", "intent", "--json", "--file", "texts.txt", "--url", url])

    *lines, last = capsys.readouterr().out.splitlines()
    assert status == 1
    assert len(lines) in (0, 256)  # either request may be the one that is refused
    assert msgspec.json.decode(last)["error"]["code"] == "model-not-found"


def test_an_interrupted_prediction_ends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        command = ["predict", "intent", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}"]
        process = subprocess.Popen([*TUNERY, *command], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"hello\n" * 600)
        process.stdin.close()
        connections = [silent.accept()[0] for _ in range(2)]

        process.send_signal(signal.SIGINT)

        try:
            assert process.wait(20) == 130
        finally:
            process.kill()
            process.wait()
            for connection in connections:
                connection.close()


@pytest.mark.parametrize("code", ["empty-file", "format-mismatch", "unsupported-format"])
def test_a_file_that_is_refused_exits_with_3(code: str) -> None:
    Path("a.csv").write_bytes(CSV)

    with listening(Script(refused(code, 415 if code == "unsupported-format" else 422))) as url:
        assert main(["datasets", "add", "a.csv", "--url", url]) == 3


@pytest.mark.parametrize("state", ["pausing", "cancelling"])
def test_every_status_of_a_job_can_be_asked_for(state: str) -> None:
    script = Script(httpx.Response(200, json=page()))

    with listening(script) as url:
        status = main(["jobs", "list", "--status", state, "--url", url])

    assert status == 0
    assert script.requests[0].url.params["status"] == state


def test_a_tab_asks_once_and_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(refused("draining", 503, retry_after="0"))
    monkeypatch.setenv("_TUNERY_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "tunery jobs show ")
    monkeypatch.setenv("COMP_CWORD", "3")

    with listening(script) as url:
        monkeypatch.setenv("TUNERY_URL", url)
        with pytest.raises(SystemExit):
            main([])

    assert len(script.requests) == 1
    assert capsys.readouterr().out.strip() == ""


@pytest.mark.parametrize(
    ("named", "query"),
    [("2024", "2024"), ("reviews", "reviews"), ("reviews/1", "reviews"), ("a/b", "a/b")],
)
def test_a_dataset_is_found_by_name_or_by_name_and_version(named: str, query: str) -> None:
    script = Script(httpx.Response(200, json=page(DATASET)))

    found = dataset_id(named, terminal_of(script))

    assert found == "ds_1"
    assert script.requests[0].url.params["name"] == query


def test_the_doctor_finds_another_program_on_the_port() -> None:
    script = Script(httpx.Response(200, text="<html>it works</html>"))

    findings = list(_service(terminal_of(script)))

    assert [(each.name, each.verdict) for each in findings] == [("service", "fault")]
    assert "http://service.test: the answer is not JSON" in findings[0].found


def test_a_reader_that_has_seen_enough_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # a write would end with the reader
    process = subprocess.Popen(
        [*TUNERY, "problems", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pipesize=4096,  # less than what is printed
    )
    assert process.stdout is not None
    process.stdout.read(1)
    process.stdout.close()

    _, said = process.communicate(timeout=60)

    assert process.returncode == 0
    assert said == b""


@pytest.mark.parametrize(
    ("closed", "given", "status"), [(1, "problems", 0), (2, "problems", 0), (2, "nonsense", 2)]
)
def test_a_closed_stream_is_no_crash(closed: int, given: str, status: int) -> None:
    command = 'exec "$@" 1>&-' if closed == 1 else 'exec "$@" 2>&-'

    process = subprocess.run(
        ["sh", "-c", command, "sh", *TUNERY, given], capture_output=True, timeout=60, check=False
    )

    assert process.returncode == status
    assert process.stderr == b""


def test_undeploy_waits_until_nothing_is_served(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    asked = {**DEPLOYMENT, "desired": {"generation": 5}}
    stopped = {**asked, "status": "stopped", "actual": None}
    script = Script(httpx.Response(202, json=asked), httpx.Response(200, json=stopped))

    with listening(script) as url:
        status = main(["undeploy", "intent", "--json", "--url", url])

    assert status == 0
    assert msgspec.json.decode(capsysbinary.readouterr().out)["status"] == "stopped"


def test_deploy_says_how_and_whether_it_may_leave() -> None:
    sent: list[JSON] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(msgspec.json.decode(request.content))
        return httpx.Response(202, json=DEPLOYMENT)

    given = ["deploy", "intent", "intent/3", "--strategy", "recreate", "--pinned", "--no-wait"]
    with listening(handler) as url:
        main([*given, "--url", url])

    assert [(each["strategy"], each["pinned"]) for each in sent] == [("recreate", True)]


def test_devices_list_who_holds_what(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(Script(httpx.Response(200, json={"data": [DEVICE]}))) as url:
        main(["devices", "--url", url])

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cpu", "300", "MB", "of", "16", "GB"] in lines
    assert ["intent", "intent/3", "220", "MB", "pinned"] in lines


def test_an_empty_log_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    log = {"job": "job_1", "attempt": 1, "lines": []}

    with listening(Script(httpx.Response(200, json=log))) as url:
        main(["jobs", "logs", "job_1", "--url", url])

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "the log is empty\n"


def test_texts_that_were_cut_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    def cut(request: httpx.Request) -> httpx.Response:
        found = predicted(request).json()
        found["predictions"][0] |= {"truncated": True, "tokens": 16}
        return httpx.Response(200, json=found)

    with listening(cut) as url:
        main(["predict", "intent", "long", "short", "--url", url])

    assert capsys.readouterr().err == "1 of 2 texts were cut at 16 tokens\n"


def test_an_evaluation_on_training_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/evaluations"):
            return httpx.Response(200, json=EVALUATION)
        return of_one_job({**JOB, "kind": "evaluate"})(request)

    with listening(handler) as url:
        main(["evaluate", "intent/3", "--dataset", "ds_1", "--split", "train", "--url", url])
        said = capsys.readouterr().err
        main(["evaluate", "intent/3", "--dataset", "ds_1", "--url", url])

    assert "The model was trained on these rows" in said
    assert "trained on" not in capsys.readouterr().err


def test_an_evaluation_shows_intervals_baselines_and_what_to_act_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    finding = {
        "type": "over-predicts",
        "label": "good",
        "message": "'good' is given to 9 rows and right for 4",
        "numbers": {"precision": 0.44},
        "advice": "Add rows.",
    }
    seen = {"datasets": ["ds_1"], "lost": [], "compared": 9, "overlap": 2, "without": {}}
    evaluation = {
        **EVALUATION,
        "metrics": {"accuracy": {"value": 0.926, "low": 0.91, "high": 0.94}},
        "baselines": {"majority": 0.5},
        "lineage": seen,
        "findings": [finding],
    }

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/evaluations"):
            return httpx.Response(200, json=evaluation)
        return of_one_job({**JOB, "kind": "evaluate"})(request)

    with listening(handler) as url:
        main(["evaluate", "intent/3", "--dataset", "ds_1", "--url", url])

    printed = capsys.readouterr().out
    assert "0.9260  0.9100 … 0.9400" in printed
    assert "majority 0.5000" in printed
    assert "rows seen in training  2" in printed
    assert "over-predicts  'good' is given to 9 rows and right for 4" in printed
    assert "Add rows." in printed


def test_errors_are_asked_for_by_label_and_printed_as_a_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[httpx.URL] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json=page(EVALUATED_ROW))

    with listening(handler) as url:
        main(["errors", "eval_1", "--true", "lost_or_stolen_card", "--right", "--url", url])

    assert asked[-1].path == "/evaluations/eval_1/errors"
    assert dict(asked[-1].params) == {
        "true": "lost_or_stolen_card",
        "right": "true",
        "sort": "-loss",
        "limit": "100",
    }
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line == [
        "7",
        *["I", "lost", "my", "card", "lost_or_stolen_card", "card_arrival", "0.600", "1.600"],
    ]


def test_an_error_is_printed_beside_the_training_row_that_is_like_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    alike = {"line": 9, "text": "lost it", "label": "refund", "similarity": 0.5}
    rows = page(EVALUATED_ROW | {"nearest": [alike]}, EVALUATED_ROW)

    with listening(lambda _: httpx.Response(200, json=rows)) as url:
        main(["errors", "eval_1", "--nearest", "--url", url])

    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.endswith("lost it (refund)")
    assert second.endswith("1.600")


def test_a_refusal_names_the_place_and_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    places = [{"code": "empty-text", "message": "it is empty", "pointer": "/inputs/1"}]
    empty = problem("empty-text", 422, detail="it is empty", errors=places)

    with listening(Script(httpx.Response(422, json=empty))) as url:
        main(["predict", "intent", "a", "", "--url", url])
        place = capsys.readouterr().err
    with listening(Script(refused("job-not-found", 404))) as url:
        main(["jobs", "show", "job_1", "--url", url])

    assert "error: it is empty\n  /inputs/1\n" in place
    assert "See: tunery jobs list\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (["datasets", "show", "nope"], 1, "there is no dataset nope"),
        (["jobs", "list", "--foo"], 2, "there is no option --foo"),
        (["datasets", "check", "a.txt"], 2, "'a.txt' ends in none of"),
    ],
)
def test_what_has_no_code_is_json_too(
    given: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.txt").write_bytes(CSV)

    with listening(Script(httpx.Response(200, json=page()))) as url:
        found = main([*given, "--json", "--url", url])

    captured = capsys.readouterr()
    assert (found, captured.err) == (status, "")
    assert said in msgspec.json.decode(captured.out)["error"]["message"]


def test_a_service_that_does_not_answer_is_named_in_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["jobs", "list", "--json", "--url", "http://127.0.0.1:9"])

    told = msgspec.json.decode(capsys.readouterr().out)["error"]
    assert told["message"].startswith("http://127.0.0.1:9 does not answer: ")
    assert told["hint"] == "Is it running? Start it with: tunery serve"


@pytest.mark.parametrize(
    ("code", "status", "verdict", "found"),
    [
        ("invalid-credentials", 401, "fault", "what was wrong this time"),
        ("insufficient-scope", 403, "ok", "accepted, to predict"),
    ],
)
def test_the_doctor_tells_a_bad_key_from_a_narrow_one(
    code: str, status: int, verdict: str, found: str
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        answers = {"/health/live": LIVE, "/health/ready": READY}
        answer = answers.get(request.url.path)
        return refused(code, status) if answer is None else httpx.Response(200, json=answer)

    findings = {each.name: each for each in _service(terminal_of(handler))}

    assert (findings["key"].verdict, findings["key"].found) == (verdict, found)
    assert findings["deployments"].verdict == "ok"
    assert findings["service"].verdict != "fault"


def test_settings_of_a_job_say_where_they_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    resolved = {
        "epochs": {"value": 3, "source": "user"},
        "early_stopping": {"value": {"patience": 3}, "source": "default"},
    }

    with listening(of_one_job({**JOB, "resolved": resolved})) as url:
        main(["jobs", "show", "job_1", "--url", url])

    assert 'epochs 3 (user), early_stopping {"patience":3}' in capsys.readouterr().out


def test_a_rehearsal_says_what_it_has_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {
        "steps": 20,
        "first_loss": 4.3438,
        "last_loss": 3.9,
        "seconds_per_step": 0.31,
        "peak_memory_bytes": 1_300_000_000,
        "checkpoint_bytes": 272_000_000,
        "version_bytes": 182_000_000,
        "parity": {"rows": 77, "labels_changed": 0, "largest_difference": 2e-6},
        "runtime": "openvino",
        "load_ms": 240.0,
    }
    sent: list[JSON] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            sent.append(json.loads(request.content))
        return of_one_job({**JOB, "result": {"dry_run": shown}})(request)

    with listening(handler) as url:
        status = main(["finetune", "reviews", "--model", "intent", "--dry-run", "--url", url])

    printed = capsys.readouterr().out
    assert (status, sent[0]["dry_run"]) == (0, True)
    assert "4.344 → 3.900" in printed
    assert "openvino, 240 ms" in printed
    assert "2.0e-06" in printed


def test_an_estimate_is_printed_and_starts_nothing(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json=ESTIMATE if request.method == "POST" else page(DATASET))

    with listening(handler) as url:
        status = main(["finetune", "reviews", "--model", "intent", "--estimate", "--url", url])

    printed = capsysbinary.readouterr().out.decode()
    assert status == 0
    assert asked == ["GET /datasets", "POST /finetune/estimate"]
    assert "the pace of job_0, which was set otherwise" in printed
    assert "1.1 GB" in printed


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ([], "step   loss   grad_norm\n"),
        (["--csv"], "step,loss\n1,0.8\n"),
    ],
)
def test_metrics_are_printed_as_a_table_or_as_csv(
    options: list[str], printed: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        if request.headers["Accept"] == "text/csv":
            return httpx.Response(200, content=b"step,loss\n1,0.8\n")
        values = {"loss": 0.8, "grad_norm": {"value": None, "non_finite": "inf"}}
        return httpx.Response(200, json={"data": [{"step": 1, "values": values}]})

    with listening(handler) as url:
        given = ["jobs", "metrics", "job_1", "--names", "loss,grad_norm", "--downsample", "9"]
        status = main([*given, *options, "--url", url])

    assert status == 0
    assert asked == ["names=loss%2Cgrad_norm&downsample=9"]
    assert capsysbinary.readouterr().out.decode().startswith(printed)


def test_a_comparison_says_what_is_worse(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[httpx.URL] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json=COMPARISON)

    with listening(handler) as url:
        main(["compare", "intent/3", "intent/2", "--dataset", "ds_1", "--url", url])

    assert asked[-1].path == "/compare"
    assert dict(asked[-1].params) == {
        "a": "intent/3",
        "b": "intent/2",
        "dataset": "ds_1",
        "split": "test",
    }
    printed = " ".join(capsys.readouterr().out.split())
    assert "accuracy 0.9260 0.9130 +0.0130 +0.0040 … +0.0220" in printed
    assert "fixed 71 broken 31 p 0.0001 worse in macro_f1" in printed
    assert "latency 6.00 ms | – size 91.5 MB | 90 MB" in printed
    assert "card_arrival 0.900 – 1 5 1" in printed
    assert "118 where is it? card_arrival lost_or_stolen_card card_arrival" in printed


def test_a_gate_is_asked_for_by_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(202, json=DEPLOYMENT)

    flags = ["--minimum", "recall@a=b=0.9", "--max-latency", "20", "--gate-dataset", "ds_1"]
    with listening(handler) as url:
        main(["deploy", "intent", "intent/3", *flags, "--no-wait", "--url", url])
        main(["deploy", "intent", "intent/3", "--minimum", "0.9", "--url", url])

    [put] = asked
    assert json.loads(put.content)["gate"] == {
        "dataset": "ds_1",
        "split": "test",
        "minimum": {"recall@a=b": 0.9},
        "maximum": {},
        "no_loss": True,
        "no_label_loss": True,
        "max_latency_ms": 20.0,
    }
    assert "--minimum 0.9: METRIC=VALUE" in capsys.readouterr().err


def test_evaluations_are_listed_by_a_metric(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[httpx.URL] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json=page(EVALUATION))

    with listening(handler) as url:
        main(["evaluations", "--dataset", "ds_1", "--model", "intent", "--sort", "-accuracy",
              "--url", url])  # fmt: skip

    assert dict(asked[-1].params) == {
        "limit": "100",
        "dataset": "ds_1",
        "model": "intent",
        "sort": "-accuracy",
    }
    head, row = (line.split() for line in capsys.readouterr().out.splitlines()[::2])
    assert head == ["evaluation", "version", "rows", "accuracy", "uses", "made"]
    assert row[:6] == ["eval_1", "intent/3", "2", "(test)", "0.9260", "1"]


def test_evaluations_are_printed_as_csv(capsys: pytest.CaptureFixture[str]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["Accept"] == "text/csv"
        return httpx.Response(200, text="id,accuracy\neval_1,0.9\n")

    with listening(handler) as url:
        main(["evaluations", "--csv", "--url", url])

    assert capsys.readouterr().out == "id,accuracy\neval_1,0.9\n"


@pytest.mark.parametrize(
    ("given", "accept", "query"),
    [
        (["-o", "page.html"], "text/html", {}),
        (["-o", "card.md"], "text/markdown", {}),
        (["-o", "plot.svg", "--plot", "confusion"], "image/svg+xml", {"plot": "confusion"}),
    ],
)
def test_a_report_is_written_as_what_its_name_says(
    given: list[str], accept: str, query: dict[str, str]
) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, text="é 好")

    with listening(handler) as url:
        assert main(["report", "eval_1", *given, "--url", url]) == 0

    assert asked[-1].url.path == "/evaluations/eval_1/report"
    assert (asked[-1].headers["Accept"], dict(asked[-1].url.params)) == (accept, query)
    assert Path(given[1]).read_text("utf-8") == "é 好"


DRAWN = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 20" width="30" height="20">
<rect width="30" height="20" fill="#2563eb"/></svg>"""


def test_a_plot_is_written_as_svg_or_as_a_png_of_twice_its_size() -> None:
    with listening(lambda _: httpx.Response(200, text=DRAWN)) as url:
        assert main(["report", "eval_1", "--plot", "confusion", "--url", url]) == 0
        as_png = ["-o", "plot.png", "--plot", "confusion"]
        assert main(["report", "eval_1", *as_png, "--url", url]) == 0

    assert Path("confusion.svg").read_text("utf-8") == DRAWN
    png = Path("plot.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">II", png[16:24]) == (60, 40)  # IHDR: width, height


def test_a_png_without_a_plot_or_without_resvg_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "eval_1", "-o", "page.png"]) == 2
    assert "give --plot" in capsys.readouterr().err

    monkeypatch.setitem(sys.modules, "resvg_py", None)  # as if it were not installed
    assert main(["report", "eval_1", "-o", "plot.png", "--plot", "confusion"]) == 2

    assert "pip install 'tunery[png]'" in capsys.readouterr().err
    assert not Path("plot.png").exists()

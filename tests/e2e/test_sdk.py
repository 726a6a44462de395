"""The SDK and the command line against a real service, as their users write."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK

import tunery
from tunery import AsyncClient, Client, Hyperparameters


@pytest.fixture
def settled(service: e2e.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name the service, as an operator's does."""
    monkeypatch.setenv("TUNERY_URL", service.url)
    monkeypatch.setenv("TUNERY_DATA_DIR", str(service.data_dir))


@pytest.mark.usefixtures("settled")
def test_the_whole_job_takes_a_few_lines() -> None:
    with Client() as client:
        dataset = client.datasets.create(e2e.DEMO_TICKETS, name="few-lines")
        job = client.finetune(
            dataset, model="few", deploy="few", hyperparameters=Hyperparameters(**QUICK)
        )
        job = job.wait()
        evaluation = client.evaluations.of(job)
        client.deployments.wait("few")
        answer = client.predict("few", "my parcel never came")

    assert job.result is not None
    assert job.result.version == "few/1"
    assert evaluation.rows == 61
    assert answer.label in (dataset.labels or [])


@pytest.mark.usefixtures("settled")
def test_the_whole_job_takes_a_few_lines_with_await() -> None:
    async def whole() -> tuple[tunery.Tuned, list[str]]:
        async with AsyncClient() as client:
            tuned = await client.tune(
                e2e.DEMO_TICKETS,
                model="some",
                deploy="some",
                hyperparameters=Hyperparameters(**QUICK),
            )
            texts = [f"my parcel {i} never came" for i in range(600)]
            return tuned, [answer.label for answer in await client.predict("some", texts)]

    tuned, labels = asyncio.run(whole())

    assert tuned.version == "some/1"
    assert tuned.deployment is not None
    assert tuned.deployment.status == "ready"
    assert len(labels) == 600


@pytest.mark.usefixtures("settled")
def test_many_predictions_come_in_order_and_name_their_version(versions: list[dict]) -> None:
    texts = [f"order {i} is late" if i % 2 else f"bug number {i}" for i in range(700)]
    with Client() as client:
        client.deployments.deploy("bulk", versions[0]["result"]["version"])

        bulk = client.predict("bulk", texts)
        responses = list(client.predict.responses("bulk", iter(texts)))
        alone = [client.predict("bulk", texts[i]) for i in (0, 255, 256, 699)]

    assert [bulk[i].label for i in (0, 255, 256, 699)] == [each.label for each in alone]
    assert [len(response.predictions) for response in responses] == [256, 256, 188]
    assert {response.version for response in responses} == {versions[0]["result"]["version"]}


@pytest.mark.usefixtures("settled")
def test_a_deployment_is_awaited_until_the_new_version_serves(versions: list[dict]) -> None:
    first, second = (each["result"]["version"] for each in versions)
    with Client() as client:
        client.deployments.deploy("swapped", first)

        later = client.deployments.deploy("swapped", second)
        back = client.deployments.rollback("swapped")
        gone = client.deployments.wait(client.deployments.delete("swapped"))

    served = [each.actual.version if each.actual else None for each in (later, back, gone)]
    assert served == [second, first, None]


@pytest.mark.usefixtures("settled")
def test_a_deployment_that_does_not_load_raises_and_the_old_version_serves_on(
    fresh: e2e.Service, service: e2e.Service, versions: list[dict]
) -> None:
    first, second = (each["result"]["version"] for each in versions)
    e2e.copied(service, fresh.data_dir)
    fresh.start()
    key = (fresh.data_dir / "admin.key").read_text().strip()
    with Client(fresh.url, api_key=key) as client:
        client.deployments.deploy("intent", first)
        damage(fresh.data_dir, client.models.version(second).manifest_sha256)

        with pytest.raises(tunery.DeploymentFailed) as raised:
            client.deployments.deploy("intent", second)
        answer = next(client.predict.responses("intent", ["hello"]))

    assert raised.value.code == "checkpoint-corrupt"
    assert answer.version == first


def damage(data_dir: Path, manifest_sha256: str) -> None:
    """Flip a bit in the weights of the version whose manifest has this hash."""
    for manifest in (data_dir / "artifacts").rglob("manifest.json"):
        if hashlib.sha256(manifest.read_bytes()).hexdigest() == manifest_sha256:
            e2e.damage(max(manifest.parent.rglob("*"), key=lambda path: path.stat().st_size))
            return
    raise AssertionError("there is no such version")


@pytest.mark.usefixtures("settled")
def test_a_rejected_file_raises_with_its_first_rows() -> None:
    rows = "".join(f"good {i},a\nbad {i},b\n" for i in range(20))
    content = f"text,label\n{rows},a\nlast,\n".encode()

    with Client() as client, pytest.raises(tunery.DatasetRejected) as raised:
        client.datasets.create(content, name="broken")

    error = raised.value
    assert error.code == "empty-text"
    assert "line 42: empty-text" in str(error)
    assert "line 43: null-label" in str(error)
    assert error.report is not None
    assert error.report.errors_total == 2


@pytest.mark.usefixtures("settled")
def test_a_refusal_has_the_class_of_its_code(versions: list[dict]) -> None:
    with Client() as client:
        with pytest.raises(tunery.errors.ModelNotFound) as raised:
            client.predict("nobody", "hello")
        client.deployments.deploy("lonely", versions[0]["result"]["version"])
        with pytest.raises(tunery.errors.NoEarlierVersion):
            client.deployments.rollback("lonely")

    assert raised.value.request_id
    assert raised.value.hint


@pytest.mark.usefixtures("settled")
def test_events_come_once_each_in_order(versions: list[dict]) -> None:
    with Client() as client:
        job = client.jobs.get(versions[0]["id"])

        events = list(job.events())
        rest = list(job.events(after=len(events) - 2))
        nothing = list(job.events(after=len(events)))

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "end"
    assert [event.seq for event in rest] == [len(events) - 1, len(events)]
    assert nothing == []


def tunery_command(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "import sys; from tunery.cli import main; sys.exit(main())",
         *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LANG": "C.UTF-8"},
    )  # fmt: skip


@pytest.mark.usefixtures("settled")
def test_the_whole_job_in_the_terminal(tmp_path: Path) -> None:
    tickets = str(e2e.DEMO_TICKETS)
    quick = [f"--set={name}={value}" for name, value in QUICK.items()]

    checked = tunery_command("datasets", "check", tickets)
    added = tunery_command("datasets", "add", tickets, "--name", "shell", "--labels", "merge")
    tuned = tunery_command("finetune", "shell", "--model", "shell", "--deploy", "shell", *quick)
    asked = tunery_command("predict", "shell", "--json", stdin="my parcel never came\n\nwhere?\n")
    key = tunery_command("keys", "create", "website")
    listed = tunery_command("jobs", "list", "--json", "--kind", "finetune")
    diagnosed = tunery_command("doctor", "--json")

    codes = [each.returncode for each in (checked, added, tuned, asked, key, listed, diagnosed)]
    assert codes == [0] * 7, [tuned.stderr, diagnosed.stdout]
    assert "139, 309" in checked.stdout
    assert "exact-duplicates" in added.stdout
    assert "shell/1 is registered" in tuned.stderr
    answers = [json.loads(line) for line in asked.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == ["my parcel never came", "where?"]
    assert {answer["version"] for answer in answers} == {"shell/1"}
    assert key.stdout.startswith("tnr_")
    assert json.loads(listed.stdout)[0]["spec"]["model"] == "shell"
    assert {"name": "key", "found": "accepted", "verdict": "ok", "advice": ""} in json.loads(
        diagnosed.stdout
    )


@pytest.mark.usefixtures("settled")
def test_the_exit_status_says_what_went_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("text,label\nhello,a\n,b\n")

    rejected = tunery_command("datasets", "add", str(broken))
    checked = tunery_command("datasets", "check", str(broken), "--json")
    failed = tunery_command("finetune", "tickets", "--model", "x", "--base-model", "none")
    unreached = tunery_command("jobs", "list", "--url", "http://127.0.0.1:9")

    codes = [each.returncode for each in (rejected, checked, failed, unreached)]
    assert codes == [3, 3, 1, 5]
    assert "empty-text" in rejected.stdout
    assert json.loads(checked.stdout)["errors_total"] >= 1
    assert "tunery problems unknown-base-model" in failed.stderr

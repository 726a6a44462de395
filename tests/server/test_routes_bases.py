"""A version as `base_model`: found in its project, previewed and forecast by the real reader."""

from typing import Any

import pytest
from tests.server.conftest import Api
from tests.server.test_routes_estimate import PACE, succeeded, tickets
from tests.server.test_routes_rows import with_reader
from tests.trainer.tiny_model import write_base

from tunery.types import ColumnsUsed
from tunery_server.db.queries import jobs
from tunery_server.supervisor.specs import SpecImpossible, SpecWriter
from tunery_trainer.model_files import FACTS_NAME, ModelFacts, write_json
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.specs import FinetuneRun

LABELS = ["card", "loan"]
ARTIFACT = "versions/ver_1"


def add_version(api: Api, **values: Any) -> str:
    """Return a version of the files that a fine-tune begins with: an encoder and its facts."""
    directory = write_base(api.services.artifacts.readable("versions") / "ver_1")
    facts = ModelFacts(task="text_classification", labels=LABELS, max_length=48, base_model="tiny")
    write_json(directory / FACTS_NAME, facts)
    sha256, _ = manifest.write(directory, {})
    return api.add_version(artifact=ARTIFACT, labels=LABELS, manifest_sha256=sha256, **values)


def spec_of(api: Api, base_model: str, dataset: str) -> FinetuneRun:
    """Return what the child of a fine-tune would be told."""
    services = api.services
    spec = {"dataset": dataset, "model": "intent", "base_model": base_model}
    job = api.add_job(status="running", spec=spec)
    writer = SpecWriter(services.settings, services.artifacts, services.base_models)

    async def written() -> FinetuneRun:
        async with services.database.read() as connection:
            row = await jobs.row_of(connection, job)
            work = services.settings.work_dir
            return await writer.finetune(
                connection, row, work, device="cpu", threads=1, resume_from=None
            )

    return api.run(written())


def test_a_fine_tune_from_a_version_is_told_its_directory_and_manifest(api: Api) -> None:
    version = add_version(api)
    dataset = tickets(api, fingerprint="sha256:1")

    queued = api.post("/finetune", {"dataset": dataset, "model": "m", "base_model": version})
    spec = spec_of(api, version, dataset)

    directory = api.services.artifacts.readable("versions") / "ver_1"
    assert queued.status_code == 202, queued.text
    assert spec.base_model == "intent/1"
    assert spec.base_model_dir == str(directory)
    assert spec.parent_sha256 == manifest.sha256_of(directory / manifest.NAME)


def test_a_version_that_is_gone_or_damaged_ends_its_job_with_a_code(api: Api) -> None:
    version, dataset = add_version(api), tickets(api, fingerprint="sha256:1")
    weights = api.services.artifacts.readable("versions") / "ver_1/model.safetensors"
    weights.chmod(0o600)
    weights.write_bytes(weights.read_bytes()[:-1])

    with pytest.raises(SpecImpossible) as damaged:
        spec_of(api, version, dataset)
    with pytest.raises(SpecImpossible) as gone:
        spec_of(api, "intent/2", dataset)

    assert (damaged.value.code, gone.value.code) == ("checkpoint-corrupt", "unknown-base-model")
    assert "model.safetensors is not what the manifest says" in str(damaged.value)


@pytest.mark.parametrize("path", ["/finetune", "/finetune/estimate"])
@pytest.mark.parametrize("name", ["intent/2", "nobody/1", "intent/x", "intent/", "/1", "\0/1"])
def test_a_version_that_there_is_not_is_unknown(api: Api, path: str, name: str) -> None:
    add_version(api)

    answer = api.post(path, {"dataset": tickets(api), "model": "m", "base_model": name})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-base-model")
    assert answer.json()["errors"][0]["pointer"] == "/base_model"


def test_a_version_of_another_project_or_without_its_files_is_unknown(api: Api) -> None:
    foreign = add_version(api, model="theirs", project="other")
    bare = api.add_version("bare")
    dataset = tickets(api)

    answers = [
        api.post("/finetune", {"dataset": dataset, "model": "m", "base_model": name})
        for name in (foreign, bare)
    ]

    assert [answer.json()["code"] for answer in answers] == ["unknown-base-model"] * 2


def test_an_estimate_from_a_version_rests_on_a_run_of_its_base_model(api: Api) -> None:
    version, dataset, job = add_version(api), tickets(api), succeeded(api, PACE)
    asked = {"dataset": dataset, "model": "intent", "base_model": version, "recipe": "fast"}

    answer = with_reader(api, api.send("POST", "/finetune/estimate", json=asked))

    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert found["resolved"]["max_length"] == {"value": 48, "source": "auto:version"}
    assert found["resolved"]["linear_probe"] == {"value": False, "source": "auto:head-kept"}
    assert found["measured"]["job"] == job


def test_a_preview_cuts_texts_as_a_version_does(api: Api) -> None:
    version, dataset = add_version(api), tickets(api)

    answer = with_reader(api, api.send("GET", f"/datasets/{dataset}/preview?base_model={version}"))

    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert found["base_model"] == "intent/1"
    assert found["max_length"] == 64  # positions of the version, of which 128 were asked
    assert found["rows"][0]["tokens"] == [
        "[CLS]", "my", "card", "is", "lost", "[UNK]", "[SEP]",
    ]  # fmt: skip


def test_what_began_as_scratch_mini_reads_no_pairs(api: Api) -> None:
    add_version(api, base_model="scratch-mini")
    second = api.add_version(artifact=ARTIFACT, base_model="intent/1")
    columns = ColumnsUsed(text="a", text_pair="b", label="c", inferred=False)
    dataset = api.add_dataset(columns=columns)

    answer = api.post("/finetune", {"dataset": dataset, "model": "m", "base_model": second})

    assert (answer.status_code, answer.json()["code"]) == (422, "pair-mismatch")


def test_the_recipe_of_scratch_mini_is_of_no_version(api: Api) -> None:
    spec = {"dataset": tickets(api), "model": "m", "base_model": add_version(api)}

    answer = api.post("/finetune", spec | {"recipe": "scratch"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/recipe")

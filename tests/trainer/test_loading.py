"""What a version has to prove before an engine serves it."""

from pathlib import Path

import pytest
from tests.trainer.test_engine import FACTS, FakeRuntime, FakeTask

from tunery_trainer.failure import Refusal
from tunery_trainer.loading import ServedVersion, load_version
from tunery_trainer.model_files import CANARY_NAME, FACTS_NAME, Canary, write_json
from tunery_trainer.protocol import manifest, wire
from tunery_trainer.protocol.specs import EngineRun

SPEC = EngineRun(
    work_dir="",
    socket="",
    device="cpu",
    threads=1,
    max_queue_tokens=1_000,
    max_batch_tokens=1_000,
    reads=[],
)


def model_dir(directory: Path, texts: list[str], logits: list[list[float]]) -> str:
    directory.mkdir()
    write_json(directory / FACTS_NAME, FACTS)
    write_json(directory / CANARY_NAME, Canary(texts=texts, logits=logits))
    return manifest.write(directory, {})[0]


def try_load(directory: Path, sha256: str) -> ServedVersion:
    message = wire.Load(
        id=1, version="v", model_dir=str(directory), manifest_sha256=sha256, runtime="auto"
    )
    return load_version(
        message,
        SPEC,
        load_runtime=lambda *_, **__: FakeRuntime(),
        task_named=lambda *_: FakeTask(),
    )


def test_version_whose_canary_answers_is_served(tmp_path):
    sha256 = model_dir(tmp_path / "m", ["a", "aa"], [[0, 2.001, 0], [0, 0, 1.999]])

    version = try_load(tmp_path / "m", sha256)

    assert (version.name, version.facts, version.probe) == ("v", FACTS, [[1], [2]])


@pytest.mark.parametrize(
    ("texts", "logits", "message"),
    [
        (["a"], [[0, 2.1, 0]], "logits differ by 0.1, more than 0.01"),
        (["a"], [[0, 2]], r"logits are \(1, 3\), not \(1, 2\)"),
        (["a" * 11], [[0, 0, 2]], "some logits are not finite"),
    ],
)
def test_version_whose_canary_answers_otherwise_is_refused(tmp_path, texts, logits, message):
    sha256 = model_dir(tmp_path / "m", texts, logits)

    with pytest.raises(Refusal, match=f"canary-failed: {message}"):
        try_load(tmp_path / "m", sha256)


def test_version_with_a_changed_file_is_refused(tmp_path):
    sha256 = model_dir(tmp_path / "m", ["a"], [[0, 2, 0]])
    facts = tmp_path / "m" / FACTS_NAME
    facts.chmod(0o644)
    facts.write_bytes(facts.read_bytes().replace(b"eggs", b"legs"))

    with pytest.raises(Refusal, match=r"checkpoint-corrupt: tunery\.json is not what"):
        try_load(tmp_path / "m", sha256)

"""A damaged checkpoint is never resumed from; the one before is, where there is one."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.conftest import Api

from tunery_server.db.queries import jobs
from tunery_server.supervisor.specs import SpecWriter
from tunery_trainer.protocol import manifest

DAMAGES = 25  # of each kind
FILES = {
    "config.json": b'{"hidden_size": 32}',
    "model.safetensors": bytes(range(256)) * 40,
    "resume/state.json": b'{"state": {"step": 6}}',
    "resume/state.safetensors": bytes(range(255, -1, -1)) * 60,
}
Damage = Callable[[Path, Path, random.Random], None]


def some_file(folder: Path, dice: random.Random) -> Path:
    return dice.choice(sorted(path for path in folder.rglob("*") if path.is_file()))


def flip_a_bit(folder: Path, _other: Path, dice: random.Random) -> None:
    path = some_file(folder, dice)
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


def cut_off(folder: Path, _other: Path, dice: random.Random) -> None:
    path = some_file(folder, dice)
    data = path.read_bytes()
    path.write_bytes(data[: dice.randrange(len(data))])


def fill_with_zeros(folder: Path, _other: Path, dice: random.Random) -> None:
    path = some_file(folder, dice)
    data = path.read_bytes()
    start = dice.randrange(len(data) // 2)
    path.write_bytes(data[:start] + bytes(len(data) - start))


def append(folder: Path, _other: Path, dice: random.Random) -> None:
    path = some_file(folder, dice)
    path.write_bytes(path.read_bytes() + dice.randbytes(dice.randrange(1, 100)))


def remove(folder: Path, _other: Path, dice: random.Random) -> None:
    some_file(folder, dice).unlink()


def add_a_stranger(folder: Path, _other: Path, dice: random.Random) -> None:
    (folder / dice.choice(["", "resume"]) / "pytorch_model.bin").write_bytes(dice.randbytes(50))


def take_anothers(folder: Path, other: Path, dice: random.Random) -> None:
    """A file of the checkpoint before, or that with its manifest: whole, but of other weights."""
    if dice.random() < 0.5:
        shutil.copyfile(other / "model.safetensors", folder / "model.safetensors")
    else:
        shutil.rmtree(folder)
        shutil.copytree(other, folder)


def link_away(folder: Path, other: Path, dice: random.Random) -> None:
    path = some_file(folder, dice)
    name = path.relative_to(folder)
    path.unlink()
    path.symlink_to((other if dice.random() < 0.5 else folder.parent) / name)


@pytest.fixture
def checkpoint_of(api: Api) -> Callable[[str, int], Path]:
    """Return a function that publishes a checkpoint of a job at a step, and its directory."""

    def make(job: str, step: int) -> Path:
        source = api.services.settings.root / f"made-{job}-{step}"
        for name, data in FILES.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data + step.to_bytes(2, "big"))
        sha256, _ = manifest.write(source, {"step": step})
        key = f"checkpoints/{api.add_checkpoint(job, step, sha256)}"
        api.run(api.services.artifacts.put_directory(source, key))
        folder = api.run(api.services.artifacts.fetch(key))
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)
        return folder

    return make


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        cut_off,
        fill_with_zeros,
        append,
        remove,
        add_a_stranger,
        take_anothers,
        link_away,
    ],
)
def test_what_is_damaged_is_not_resumed_from(
    api: Api, checkpoint_of: Callable[[str, int], Path], damage: Damage
) -> None:
    services = api.services
    writer = SpecWriter(services.settings, services.artifacts, services.base_models)

    async def resumed_from(job: str) -> tuple[Path | None, list[str]]:
        async with services.database.read() as connection:
            row = await jobs.row_of(connection, job)
            assert row is not None
            return await writer.last_whole_checkpoint(connection, row)

    for seed in range(DAMAGES):
        job = api.add_job()
        older, newest = (checkpoint_of(job, step) for step in (6, 12))
        assert api.run(resumed_from(job)) == (newest, [])

        damage(newest, older, random.Random(seed))

        assert api.run(resumed_from(job)) == (older, [newest.name])
        damage(older, newest, random.Random(seed))
        if damage not in (take_anothers, link_away):
            assert api.run(resumed_from(job)) == (None, [newest.name, older.name])

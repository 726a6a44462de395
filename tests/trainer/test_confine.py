"""The seal, from inside: a confined process tries what it must not be able to do."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tunery.types import Checkpoints, Hyperparameters, Policies, SplitSpec
from tunery_trainer.confine import landlock_abi, paths_of
from tunery_trainer.protocol.specs import (
    AnyRun,
    EngineRun,
    EvaluateRun,
    FinetuneRun,
    IngestRun,
    LabelIssuesRun,
    ReaderRun,
    SourceFile,
)

needs_landlock = pytest.mark.skipif(
    landlock_abi() < 4, reason="NO LANDLOCK HERE: the test split of this host is not sealed"
)
FIRST = """
import json, os, socket, sys, threading
from pathlib import Path
import msgspec
from tunery_trainer.confine import confine_to
from tunery_trainer.protocol.specs import AnyRun

spec = msgspec.json.decode(sys.argv[1], type=AnyRun)
seal = confine_to(spec)

def tried(action):
    try:
        return action() or "done"
    except OSError as error:
        return type(error).__name__

def read(path):
    return tried(lambda: Path(path).read_bytes().decode())
"""


class House:
    """A data directory as the server has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("job", "cache", "base", "uploads", "dataset", "blobs", "model", "sockets"):
            (root / name).mkdir()
        for split in ("train", "validation", "test"):
            (root / "dataset" / f"{split}.parquet").write_text(f"rows of {split}")
        (root / "uploads" / "mine.csv").write_text("my upload")
        (root / "uploads" / "other.csv").write_text("another upload")
        (root / "base" / "config.json").write_text("{}")
        (root / "blobs" / "weights").write_text("weights")
        (root / "base" / "model.safetensors").symlink_to(root / "blobs" / "weights")

    def path(self, name: str) -> str:
        return str(self.root / name)

    def finetune(self, **changes: object) -> FinetuneRun:
        fields: dict[str, object] = {
            "work_dir": self.path("job"),
            "job": "job_1",
            "attempt": 1,
            "task": "text_classification",
            "base_model": "base",
            "base_model_dir": self.path("base"),
            "train": self.path("dataset/train.parquet"),
            "validation": self.path("dataset/validation.parquet"),
            "labels": ["a", "b"],
            "dataset_fingerprint": "f",
            "hyperparameters": Hyperparameters(),
            "checkpoints": Checkpoints(),
            "device": "cpu",
            "threads": 1,
            "cache_dir": self.path("cache"),
            **changes,
        }
        return FinetuneRun(**fields)  # type: ignore[arg-type]

    def ingest(self, memory_bytes: int = 4 << 30, parent_dir: str | None = None) -> IngestRun:
        return IngestRun(
            work_dir=self.path("job"),
            job="job_1",
            dataset="ds_1",
            task="text_classification",
            files=[SourceFile(path=self.path("uploads/mine.csv"), media_type="text/csv")],
            columns=None,
            split=SplitSpec(),
            policies=Policies(),
            memory_bytes=memory_bytes,
            parent_dir=parent_dir,
        )

    def engine(self, device: str = "cpu") -> EngineRun:
        return EngineRun(
            work_dir=self.path("job"),
            socket=self.path("sockets/e.sock"),
            device=device,
            threads=1,
            max_queue_tokens=1,
            max_batch_tokens=1,
            reads=[self.path("model")],
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def confined(house: House) -> Callable[..., dict[str, str]]:
    def run(spec: AnyRun, script: str, **environment: str) -> dict[str, str]:
        """Run a script after confinement; it prints one JSON object."""
        done = subprocess.run(
            [sys.executable, "-c", FIRST + textwrap.dedent(script), msgspec.json.encode(spec)],
            capture_output=True,
            timeout=60,
            cwd=house.root,
            env={**os.environ, **environment},
        )
        assert done.returncode == 0, done.stderr.decode()
        found: dict[str, str] = json.loads(done.stdout)
        return found

    return run


@needs_landlock
def test_training_reads_its_two_splits_and_never_the_test_split(house, confined):
    found = confined(
        house.finetune(),
        """
        print(json.dumps({name: read(f"dataset/{name}.parquet")
                          for name in ("train", "validation", "test")}
                         | {"list": tried(lambda: os.listdir("dataset") and None), "seal": seal}))
        """,
    )

    assert found == {
        "train": "rows of train",
        "validation": "rows of validation",
        "test": "PermissionError",
        "list": "PermissionError",
        "seal": f"landlock-{landlock_abi()}",
    }


@needs_landlock
def test_training_reaches_the_test_split_by_no_detour(house, confined):
    found = confined(
        house.finetune(),
        """
        test = Path("dataset/test.parquet").absolute()
        print(json.dumps({
            "link": tried(lambda: os.link(test, "job/test")),
            "symlink": tried(lambda: os.symlink(test, "job/test")),
            "through_symlink": read("job/test"),
            "rename": tried(lambda: os.rename(test, "job/moved")),
            "proc": read(f"/proc/self/root{test}"),
            "parent": read(f"/proc/{os.getppid()}/root{test}"),
            "environment": read(f"/proc/{os.getppid()}/environ"),
            "subprocess": os.popen(f"cat {test} 2>&1").read().split(": ")[-1].strip(),
        }))
        """,
    )

    assert found == {
        "link": "OSError",  # EXDEV: as between file systems
        "symlink": "done",
        "through_symlink": "PermissionError",
        "rename": "PermissionError",
        "proc": "PermissionError",
        "parent": "PermissionError",
        "environment": "PermissionError",
        "subprocess": "Permission denied",
    }


@needs_landlock
def test_training_writes_to_its_own_directories_only(house, confined):
    found = confined(
        house.finetune(),
        """
        def write(path):
            return tried(lambda: Path(path).write_text("x") and None)

        print(json.dumps({path: write(path) for path in
            ("job/new", "cache/new", "base/new", "dataset/train.parquet", "/tmp/new", "/etc/new")}
            | {"moved": tried(lambda: os.rename("job/new", "cache/moved"))}))
        """,
    )

    assert found == {
        "job/new": "done",
        "cache/new": "done",
        "base/new": "PermissionError",
        "dataset/train.parquet": "PermissionError",
        "/tmp/new": "PermissionError",
        "/etc/new": "PermissionError",
        "moved": "done",
    }


@needs_landlock
def test_base_model_of_links_can_be_read_through_them(house, confined):
    found = confined(
        house.finetune(), 'print(json.dumps({"weights": read("base/model.safetensors")}))'
    )

    assert found == {"weights": "weights"}


@needs_landlock
def test_ingest_reads_the_splits_of_the_parent_and_nothing_beside_them(house, confined):
    (house.root / "dataset" / "report.json").write_text("{}")

    found = confined(
        house.ingest(parent_dir=house.path("dataset")),
        """
        names = ("train.parquet", "validation.parquet", "test.parquet", "report.json")
        print(json.dumps({name: read(f"dataset/{name}") for name in names}))
        """,
    )

    assert found == {
        "train.parquet": "rows of train",
        "validation.parquet": "rows of validation",
        "test.parquet": "rows of test",
        "report.json": "PermissionError",
    }


@needs_landlock
def test_ingest_reads_its_own_upload_and_no_other_file(house, confined):
    found = confined(
        house.ingest(),
        """
        paths = ("uploads/mine.csv", "uploads/other.csv", "dataset/train.parquet", "/etc/shadow")
        print(json.dumps({path: read(path) for path in paths}))
        """,
    )

    assert found == {
        "uploads/mine.csv": "my upload",
        "uploads/other.csv": "PermissionError",
        "dataset/train.parquet": "PermissionError",
        "/etc/shadow": "PermissionError",
    }


def test_ingest_that_needs_too_much_memory_gets_a_memory_error(house, confined):
    found = confined(
        house.ingest(memory_bytes=1 << 30),
        """
        try:
            print(json.dumps({"size": len(bytearray(2 << 30))}))
        except MemoryError:
            print(json.dumps({"size": "MemoryError"}))
        """,
    )

    assert found == {"size": "MemoryError"}


def test_confined_child_has_no_network(house, confined):
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = confined(
            house.ingest(),
            f"""
            port = {server.getsockname()[1]}
            make = lambda *kind: tried(lambda: socket.socket(*kind).close())
            print(json.dumps({{
                "tcp": tried(lambda: socket.create_connection(("127.0.0.1", port)).close()),
                "udp": make(socket.AF_INET, socket.SOCK_DGRAM),
                "udp6": make(socket.AF_INET6, socket.SOCK_DGRAM),
                "raw": make(socket.AF_PACKET, socket.SOCK_RAW),
                "pair": tried(lambda: [end.close() for end in socket.socketpair()] and None),
            }}))
            """,
        )

    assert found == {
        "tcp": "PermissionError",
        "udp": "PermissionError",
        "udp6": "PermissionError",
        "raw": "PermissionError",
        "pair": "done",
    }


@needs_landlock
def test_landlock_alone_denies_tcp(house):
    script = """
import socket, sys
from tunery_trainer import confine
confine.refuse_network_sockets = lambda libc: False
confine.confine([], [])
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])))
except OSError as error:
    print(type(error).__name__)
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = subprocess.run([sys.executable, "-c", script, port], capture_output=True, timeout=60)

    assert done.stdout.decode().strip() == "PermissionError", done.stderr.decode()


@needs_landlock
def test_confined_child_can_signal_itself_only(house, confined):
    found = confined(
        house.ingest(),
        """
        print(json.dumps({"parent": tried(lambda: os.kill(os.getppid(), 0)),
                          "self": tried(lambda: os.kill(os.getpid(), 0))}))
        """,
    )

    assert found == {"parent": "PermissionError", "self": "done"}


@needs_landlock
def test_engine_makes_its_socket_and_reads_its_version(house, confined):
    (house.root / "model" / "tunery.json").write_text("facts")

    found = confined(
        house.engine(),
        """
        server = socket.socket(socket.AF_UNIX)
        print(json.dumps({
            "bind": tried(lambda: server.bind("sockets/e.sock")),
            "version": read("model/tunery.json"),
            "dataset": read("dataset/train.parquet"),
        }))
        """,
    )

    assert found == {"bind": "done", "version": "facts", "dataset": "PermissionError"}


def test_process_with_threads_is_not_called_confined(house):
    script = """
import threading
from tunery_trainer.confine import confine
threading.Thread(target=threading.Event().wait, daemon=True).start()
try:
    confine([], [])
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)

    assert done.stdout.decode().strip() == "2 threads run already: they would not be confined"


def test_every_spec_names_what_its_child_needs(house):
    root = house.root
    evaluate = EvaluateRun(
        work_dir=house.path("job"),
        job="job_2",
        model_dir=house.path("model"),
        manifest_sha256="0",
        rows=house.path("dataset/test.parquet"),
        runtime="auto",
        device="cpu",
        threads=1,
        train=house.path("dataset/train.parquet"),
        report=house.path("dataset/report.json"),
        lineage={"ds_0": [house.path("uploads/mine.csv")]},
    )
    reader = ReaderRun(
        work_dir=house.path("job"),
        socket=house.path("sockets/r.sock"),
        base_models={"base": house.path("base")},
        reads=[house.path("dataset")],
    )

    assert paths_of(house.ingest()) == ([root / "uploads/mine.csv"], [root / "job"])
    assert paths_of(house.finetune(resume_from=house.path("model"))) == (
        [
            root / "dataset/train.parquet",
            root / "dataset/validation.parquet",
            root / "base",
            root / "blobs/weights",
            root / "model",
        ],
        [root / "job", root / "cache"],
    )
    assert paths_of(evaluate) == (
        [
            root / "model",
            root / "dataset/test.parquet",
            root / "dataset/train.parquet",
            root / "dataset/report.json",
            root / "uploads/mine.csv",
        ],
        [root / "job"],
    )
    label_issues = LabelIssuesRun(
        work_dir=house.path("job"),
        job="job_3",
        base_model="base",
        base_model_dir=house.path("base"),
        rows={"train": house.path("dataset/train.parquet")},
        labels=["a", "b"],
        folds=5,
        seed=42,
        threads=1,
    )
    assert paths_of(label_issues) == (
        [root / "dataset/train.parquet", root / "base", root / "blobs/weights"],
        [root / "job"],
    )
    assert paths_of(msgspec.structs.replace(label_issues, base_model_dir=None)) == (
        [root / "dataset/train.parquet"],
        [root / "job"],
    )
    assert paths_of(house.engine()) == ([root / "model"], [root / "job", root / "sockets"])
    assert paths_of(reader) == (
        [root / "base", root / "blobs/weights", root / "dataset"],
        [root / "job", root / "sockets"],
    )

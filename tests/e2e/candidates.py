"""Candidates that must not come to serve: versions beside a good one, each bad in its own way."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tunery_trainer.protocol import manifest


def corrupt(model_dir: Path) -> None:
    """Flip a bit of the weights, behind the manifest's back."""
    weights = model_dir / "openvino/model.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)


def nan(model_dir: Path) -> None:
    """Make some weights of a layer NaN; what counts and shapes stand there is left alone."""
    weights = np.fromfile(model_dir / "openvino/model.bin", dtype=np.float32)
    middle = len(weights) * 6 // 10
    weights[middle : middle + 1000] = np.nan
    weights.tofile(model_dir / "openvino/model.bin")


def no_tokenizer(model_dir: Path) -> None:
    """Leave the tokenizer out."""
    (model_dir / "tokenizer.json").unlink()


def other_labels(model_dir: Path) -> None:
    """Rename the labels; the weights stay."""
    facts = json.loads((model_dir / "tunery.json").read_bytes())
    facts["labels"] = [f"another {label}" for label in facts["labels"]]
    (model_dir / "tunery.json").write_text(json.dumps(facts))


def other_architecture(model_dir: Path) -> None:
    """Name an architecture that the weights are not of; without an export torch loads it."""
    shutil.rmtree(model_dir / "openvino")
    config = json.loads((model_dir / "config.json").read_bytes())
    config["hidden_size"] *= 2
    (model_dir / "config.json").write_text(json.dumps(config))


def planted(kind: str) -> Callable[[Path], None]:
    """Return what lets the engine misbehave (planted/engine.py)."""
    return lambda model_dir: (model_dir / "planted.txt").write_text(kind) and None


# Each with the code that its deployment ends with.
KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "corrupt": (corrupt, "checkpoint-corrupt"),
    "NaN weights": (nan, "canary-failed"),
    "no tokenizer": (no_tokenizer, "load-failed"),
    "other labels": (other_labels, "label-set-changed"),
    "hangs at load": (planted("hangs"), "load-timeout"),
    "out of memory at load": (planted("out-of-memory"), "load-failed"),
    "crashes at warm-up": (planted("crashes"), "load-failed"),
    "other architecture": (other_architecture, "load-failed"),
}


def add(data_dir: Path, kind: str, number: int) -> str:
    """Add a bad copy of version intent/1 to data that nobody serves; return its name."""
    spoil, _ = KINDS[kind]
    with sqlite3.connect(data_dir / "tunery.db") as database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM versions WHERE number = 1").fetchone())
        good = data_dir / "artifacts" / row["artifact"]
        copy = good.with_name(f"{good.name}-{number}")
        shutil.copytree(good, copy)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        if kind == "corrupt":
            sha256 = row["manifest_sha256"]
            spoil(copy)
        else:
            (copy / manifest.NAME).unlink()
            spoil(copy)
            sha256, _ = manifest.write(copy, {})
        row |= {
            "number": number,
            "job": f"{row['job'][:-3]}{number:03d}",
            "artifact": f"{row['artifact']}-{number}",
            "manifest_sha256": sha256,
        }
        marks = ", ".join("?" for _ in row)
        database.execute(
            f"INSERT INTO versions ({', '.join(row)}) VALUES ({marks})", list(row.values())
        )
    return f"{row['model']}/{number}"

"""Abstaining on BANKING77: what thresholds that validation rows have shown are worth on test rows.

    python tests/bench/abstaining.py [--data DIRECTORY] [--recipe fast] [--seed 0] [--threads 1]

Trains on nine tenths of train.csv, fits temperature and thresholds on the rest, and answers
test.csv through the runtime that serves: by thresholds as they are served, by one for all classes,
and by the share of right answers alone, for each class.
"""

import argparse
import csv
import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tunery.types import Abstain, AbstainByCost, AbstainByPrecision, Checkpoints, Hyperparameters
from tunery_trainer import abstention, runtimes, train
from tunery_trainer.model_files import read_facts
from tunery_trainer.protocol.events import AnyEvent, MetricLogged
from tunery_trainer.protocol.minilm import package_directory
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.tasks import task_named
from tunery_trainer.tasks.text_classification import softmax

SHARED = Path(__file__).parents[3] / "shared" / "data" / "banking77"
WANTED: list[Abstain] = [
    AbstainByPrecision(precision=0.95),
    AbstainByPrecision(precision=0.98),
    AbstainByCost(cost_of_error=5.0),
]
FEW = 10  # answers of a class below which its share of right ones is no threshold
Rows = list[tuple[str, str]]  # text and label


def main() -> None:
    """Train, and print a line for each wish and way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    rows, test = read(asked.data / "train.csv"), read(asked.data / "test.csv")
    random.Random(asked.seed).shuffle(rows)
    held_out = len(rows) // 10
    splits = {"train": rows[held_out:], "validation": rows[:held_out], "test": test}
    labels = sorted({label for _, label in rows})
    with tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder:
        version = finetuned(splits, labels, asked, Path(folder))
        facts = read_facts(version)
        task = task_named(facts.task, facts.fit)
        encoder = task.encoder(version, facts.max_length)
        runtime = runtimes.load(version, "auto", device="cpu", threads=asked.threads)
        logits, targets = {}, {}
        for split in ("validation", "test"):
            texts = [text for text, _ in splits[split]]
            parts = [encoder(texts[i : i + 64]).ids for i in range(0, len(texts), 64)]
            logits[split] = np.concatenate([runtime.logits(part) for part in parts])
            targets[split] = task.targets([label for _, label in splits[split]], labels)
    chosen = {split: each.argmax(axis=1) for split, each in logits.items()}
    hits = {split: chosen[split] == targets[split] for split in chosen}
    scores = {
        split: softmax(each, facts.fit.temperature).max(axis=1) for split, each in logits.items()
    }
    print(f"{len(test)} rows, accuracy {hits['test'].mean():.4f}")
    own = scores["validation"], chosen["validation"], hits["validation"]
    for wanted in WANTED:
        ways = {"as served": abstention.fitted_thresholds(wanted, *own, len(labels))}
        if isinstance(wanted, AbstainByPrecision):
            alone = own[0], np.zeros_like(own[1]), own[2]
            ways["one for all"] = abstention.fitted_thresholds(wanted, *alone, 1) * len(labels)
            ways["share alone"] = by_share(wanted.precision, *own, len(labels))
        for way, thresholds in ways.items():
            given = scores["test"] > np.array(thresholds)[chosen["test"]]
            print(
                f"{wanted}, {way}: coverage {given.mean():.4f}, "
                f"selective accuracy {hits['test'][given].mean():.4f}, "
                f"{sum(each >= abstention.NEVER for each in thresholds)} labels never"
            )


def by_share(
    precision: float, scores: np.ndarray, chosen: np.ndarray, hits: np.ndarray, labels: int
) -> list[float]:
    """Return for each class the least score above which that share was right, as one might."""
    found = [abstention.NEVER] * labels
    for label in range(labels):
        own = np.flatnonzero(chosen == label)
        own = own[np.argsort(-scores[own])]
        shares = np.cumsum(hits[own]) / np.arange(1, len(own) + 1)
        good = np.flatnonzero((shares >= precision) & (np.arange(1, len(own) + 1) >= FEW))
        if len(good):
            found[label] = float(np.nextafter(scores[own[good[-1]]], 0))
    return found


def finetuned(
    splits: dict[str, Rows], labels: list[str], asked: argparse.Namespace, folder: Path
) -> Path:
    """Return the directory of the version that a recipe leaves."""
    for split in ("train", "validation"):
        columns = zip(*splits[split], strict=True)
        typed = [pa.array(values, pa.string()) for values in columns]
        pq.write_table(pa.table(typed, ["text", "label"]), folder / f"{split}.parquet")

    def tell(event: AnyEvent) -> None:
        if isinstance(event, MetricLogged):
            print(event.step, event.values, flush=True)

    train.run(
        FinetuneRun(
            work_dir=str(folder),
            job="job_1",
            attempt=1,
            task="text_classification",
            base_model="minilm-l6",
            base_model_dir=str(package_directory()),
            train=str(folder / "train.parquet"),
            validation=str(folder / "validation.parquet"),
            labels=labels,
            dataset_fingerprint="sha256:1",
            recipe=asked.recipe,
            hyperparameters=Hyperparameters(seed=asked.seed),
            checkpoints=Checkpoints(),
            device="cpu",
            threads=asked.threads,
            cache_dir=str(folder / "cache"),
        ),
        tell,
        lambda: False,
    )
    return folder / "version"


def read(path: Path) -> Rows:
    """Return the rows of a file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row[0], row[1]) for row in list(csv.reader(file))[1:]]


if __name__ == "__main__":
    main()

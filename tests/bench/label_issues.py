"""Flip labels, look for them, and print how many of those flagged were flipped, and found.

    python tests/bench/label_issues.py [BASE_MODEL] [DATA]      minilm-l6 or scratch-mini; banking77

A twentieth of the training labels becomes a random other one. The search runs as its child runs it,
in this process, once on these labels and once on those of the file. Seconds are of the CPU, on one
thread, so that a busy machine does not add to them.
"""

import csv
import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from tunery_trainer.label_issues import program
from tunery_trainer.protocol.events import LABEL_ISSUES, AnyEvent, ProgressMade
from tunery_trainer.protocol.minilm import package_directory
from tunery_trainer.protocol.specs import LabelIssuesRun

DATA = Path(__file__).parents[3] / "shared" / "data"
FLIPPED, SEED, THREADS = 0.05, 42, 1


def main(base_model: str, name: str) -> None:
    """Print what is found of flipped labels and of the file's own, and where the seconds go."""
    with (DATA / name / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    texts, cells = zip(*rows, strict=True)
    labels, own = np.unique(cells, return_inverse=True)
    generator = np.random.default_rng(SEED)
    flipped = generator.permutation(len(own))[: round(FLIPPED * len(own))]
    given = own.copy()
    given[flipped] += generator.integers(1, len(labels), len(flipped))
    given %= len(labels)
    print(f"{name}, {base_model}: {len(own):,} rows, {len(labels)} labels")
    for what, targets in (("flipped", given), ("as in the file", own)):
        found, suggested, seconds = searched(base_model, texts, labels[targets], labels)
        wrong = np.isin(found, flipped) if what == "flipped" else np.zeros(len(found), np.bool_)
        print(f"{what}: {len(found)} flagged; {told(seconds)}")
        if what == "flipped":
            right = (suggested == labels[own[found]])[wrong].mean()
            print(f"  precision {wrong.mean():.3f}, recall {wrong.sum() / len(flipped):.3f}")
            print(f"  the worst {', '.join(best(wrong, count) for count in (100, 200, 400))}")
            print(f"  suggested label right in {right:.3f} of those that were flipped", flush=True)


def searched(
    base_model: str, texts: tuple[str, ...], cells: NDArray[np.str_], labels: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.str_], dict[str, float]]:
    """Return which rows are flagged, the worst first, their suggested labels, seconds by phase."""
    phases: list[tuple[str, float]] = []

    def emit(event: AnyEvent) -> None:
        if isinstance(event, ProgressMade) and event.progress.phase not in dict(phases):
            phases.append((event.progress.phase, time.process_time()))

    with tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder:
        path = Path(folder) / "train.parquet"
        columns = {"line": range(len(texts)), "text": texts, "label": cells.tolist()}
        pq.write_table(pa.table(columns), path)
        spec = LabelIssuesRun(
            work_dir=folder,
            job="bench",
            base_model=base_model,
            base_model_dir=str(package_directory()) if base_model == "minilm-l6" else None,
            rows={"train": str(path)},
            labels=labels.tolist(),
            folds=5,
            seed=SEED,
            threads=THREADS,
        )
        program.run(spec, emit, lambda: False)
        phases.append(("", time.process_time()))
        issues = pq.read_table(Path(folder) / program.FOLDER / LABEL_ISSUES)
    seconds = {phase: after - began for (phase, began), (_, after) in itertools.pairwise(phases)}
    suggested = np.array(issues["suggested_label"].to_pylist())
    return issues["line"].to_numpy(), suggested, seconds


def told(seconds: dict[str, float]) -> str:
    """Return seconds, in all and by phase."""
    parts = ", ".join(f"{phase} {value:.1f}" for phase, value in seconds.items())
    return f"{sum(seconds.values()):.1f} s of one core ({parts})"


def best(wrong: NDArray[np.bool_], count: int) -> str:
    """Return the precision of the first rows of a list."""
    return f"{count}: {wrong[:count].mean():.3f}"


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("minilm-l6", "banking77")[len(sys.argv) - 1 :]]
    main(arguments[0], arguments[1])

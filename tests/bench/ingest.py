"""Ingest of a million rows, beside what pandas, polars and datasets take to find less.

    python tests/bench/ingest.py [ROWS]

The rows are made of real ones by swapping words, so that most differ. Each reader runs in a process
of its own, in turns; what is printed is the least of its turns, and its largest memory. polars is
measured where it is installed.
"""

import csv
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77" / "train.csv"
ROWS = 1_000_000
ROUNDS = 3
WORDS, SWAPPED = 20, 3
REPEATED, RELABELLED = 0.02, 0.001

PANDAS = """
import pandas
began = time.monotonic()
rows = pandas.read_csv(path, keep_default_na=False, dtype=str)
empty = (rows.text.str.strip() == "").sum()
repeats = rows.duplicated().sum()
conflicts = (rows.groupby("text").label.nunique() > 1).sum()
found = int(empty), int(repeats), int(conflicts)
"""
POLARS = """
import polars
began = time.monotonic()
rows = polars.read_csv(path, infer_schema=False)
empty = (rows["text"].str.strip_chars() == "").sum()
repeats = rows.height - rows.unique().height
labels = rows.group_by("text").agg(polars.col("label").n_unique())
found = int(empty), int(repeats), labels.filter(polars.col("label") > 1).height
"""
DATASETS = """
import datasets, tempfile
began = time.monotonic()
with tempfile.TemporaryDirectory() as cache:
    rows = datasets.load_dataset("csv", data_files=path, cache_dir=cache)["train"]
    found = len(rows)
"""
# The same as pandas does, by tunery's own parts: reading, empties, duplicates, conflicts.
TUNERY = """
from pathlib import Path
from tempfile import TemporaryDirectory
from tunery.types import Policies
from tunery_trainer.ingest.duplicates import settle_conflicts, settle_duplicates
from tunery_trainer.ingest.findings import Notes
from tunery_trainer.ingest.gather import Gatherer
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.rows import FileReader
from tunery_trainer.ingest.transforms import Transforms
from tunery_trainer.protocol.specs import SourceFile
began = time.monotonic()
pulse, policies = Pulse(lambda event: None, lambda: False), Policies()
with TemporaryDirectory() as folder:
    scratch, notes = Path(folder), Notes()
    source = SourceFile(path=path, media_type="text/csv")
    transforms = Transforms([], lambda: None)
    reader = FileReader(source, None, None, policies, transforms, pulse, scratch, stored=False)
    gatherer = Gatherer(scratch, 42, aside=None, sketch=False)
    for part in reader.parts():
        gatherer.add(part, None, notes.errors, None)
    table, _ = gatherer.table()
    conflicts = settle_conflicts(table, policies, notes).texts
    repeats = settle_duplicates(table, policies, notes).exact
found = reader.found.errors.total, repeats, conflicts
"""
FRAME = """
import json, resource, sys, time
path = sys.argv[1]
{body}
seconds = time.monotonic() - began
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, found]))
"""


def main(rows: int) -> None:
    """Print seconds, memory and what was found."""
    parts = {"tunery, the same": TUNERY, "pandas": PANDAS, "datasets": DATASETS}
    if importlib.util.find_spec("polars"):
        parts["polars"] = POLARS
    with tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / 2**20:.0f} MiB")
        taken: dict[str, list[float]] = {name: [] for name in parts}
        for _ in range(ROUNDS):
            for name, body in parts.items():
                seconds, megabytes, found = in_process(body, path)
                taken[name].append(seconds)
                print(f"{name}: {seconds:.1f} s, {megabytes:.0f} MiB, {found}")
        for name, seconds in taken.items():
            print(f"{name}: least {min(seconds):.1f} s")
        ratio = min(taken["tunery, the same"]) / min(taken["pandas"])
        print(f"tunery against pandas: {ratio:.2f}")
        for near in ("skip", "find"):
            print(f"the whole ingest, near duplicates {near}: {whole(path, near)}")


def write_rows(path: Path, count: int) -> None:
    """Write rows made of real ones; some repeat another, some under another label."""
    rng = random.Random(1)
    with DATA.open(encoding="utf-8", newline="") as file:
        real = list(csv.reader(file))[1:]
    words = [word for text, _ in real for word in text.split()]
    kept: list[tuple[str, str]] = []
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["text", "label"])
        for _ in range(count):
            if kept and rng.random() < REPEATED:
                text, label = rng.choice(kept)
            else:
                (first, label), (second, _) = rng.choice(real), rng.choice(real)
                made = f"{first} {second}".split()[:WORDS]
                for _ in range(SWAPPED):
                    made[rng.randrange(len(made))] = rng.choice(words)
                text = " ".join(made)
                if len(kept) < 5000:
                    kept.append((text, label))
            if rng.random() < RELABELLED:
                label = rng.choice(real)[1]
            out.writerow([text, label])


def in_process(body: str, path: Path) -> tuple[float, float, object]:
    """Run one reader; return seconds without the imports, MiB, and what it found."""
    command = [sys.executable, "-c", FRAME.format(body=body), str(path)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    seconds, megabytes, found = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes, found


def whole(path: Path, near: str) -> str:
    """Run the ingest as a child runs it; return seconds with its start, and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.json"
        work = Path(folder) / "work"
        work.mkdir()
        fields = {
            "kind": "ingest",
            "work_dir": str(work),
            "job": "bench",
            "dataset": "bench",
            "task": "text_classification",
            "files": [{"path": str(path), "media_type": "text/csv"}],
            "columns": None,
            "split": {},
            "policies": {"near_duplicates": near},
            "memory_bytes": 4 << 30,
        }
        spec.write_text(json.dumps(fields))
        code = (
            "import resource, subprocess, sys;"
            "child = subprocess.Popen([sys.executable, '-P', '-m', 'tunery_trainer', sys.argv[1]],"
            " stdin=subprocess.PIPE, stdout=subprocess.DEVNULL);"  # the leash stays held
            "print(child.wait(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, str(spec)], capture_output=True, check=True, text=True
        )
        seconds = time.monotonic() - began
        code_of_child, kilobytes = map(int, done.stdout.split())
        return f"{seconds:.1f} s, {kilobytes / 1024:.0f} MiB, exit {code_of_child}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)

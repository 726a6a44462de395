"""An evaluation of many rows, beside the bare engine that answers the same ones.

    python tests/bench/evaluation.py [ROWS]

The rows are made of BANKING77's by swapping words; the version is one of a few steps, as time does
not depend on what was learned. The bare engine reads, tokenises and answers in a process of its
own, before and after; what the evaluation takes beyond its time are figures, intervals, baselines,
neighbours and findings. Its time is the job's, from its start to its end.
"""

import csv
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.ingest import DATA, write_rows
from tests.e2e import service as e2e

ROWS = 100_000
THREADS = 2
STEPS = {"max_steps": 40, "early_stopping": None, "refit": False}
CHUNK = 64
READY_SECONDS, ENDED_SECONDS = 600.0, 3600.0


def main(rows: int) -> None:
    """Print seconds and peak memory of both, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="tunery-bench-") as name:
        folder = Path(name)
        test = folder / "test.csv"
        write_rows(test, rows)
        with e2e.running(folder / "d", threads=THREADS) as service, service.client() as client:
            dataset = prepare(client, test)
            model_dir = next(service.data_dir.rglob("openvino/model.xml")).parent.parent
            before = bare(model_dir, test)
            evaluated = evaluate(service, client, dataset)
            after = bare(model_dir, test)
    seconds = (before[0] + after[0]) / 2
    print(
        f"{rows:,} rows, {THREADS} threads: bare engine {before[0]:.0f} and {after[0]:.0f} s, "
        f"{before[1]:.0f} MB; evaluation {evaluated[0]:.0f} s, {evaluated[1]:.0f} MB; "
        f"ratio {evaluated[0] / seconds:.2f}"
    )


def prepare(client: httpx.Client, test: Path) -> str:
    """Register the rows and make the version intent/1 of others; return the dataset's id."""
    policies = {"leakage": "warn", "near_duplicates": "skip"}
    files = {"train": DATA, "test": test}
    made = e2e.dataset(client, files, "banking", seconds=READY_SECONDS, policies=policies)
    job = e2e.finetune(client, made["id"], recipe="fast", hyperparameters=STEPS)
    ended = e2e.ended(client, job["id"], seconds=ENDED_SECONDS)
    assert ended["status"] == "succeeded", ended
    return str(made["id"])


def evaluate(service: e2e.Service, client: httpx.Client, dataset: str) -> tuple[float, float]:
    """Evaluate the version; return the seconds of the job, and the peak of its process in MB."""
    asked = {"version": "intent/1", "dataset": dataset}
    job = client.post("/evaluate", json=asked).json()
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            for pid, role, _ in service.processes():
                if role == "job":
                    peak[0] = max(peak[0], peak_of(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    job = e2e.ended(client, job["id"], seconds=ENDED_SECONDS)
    over.set()
    watcher.join()
    assert job["status"] == "succeeded", job
    began, ended = (datetime.fromisoformat(job[key]) for key in ("started_at", "finished_at"))
    return (ended - began).total_seconds(), peak[0]


def peak_of(pid: int) -> float:
    """Return the largest resident memory of a process so far, in MB; 0 when it has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peaks[0]) * 1024 / 1e6 if peaks else 0.0


def bare(model_dir: Path, test: Path) -> tuple[float, float]:
    """Return seconds and MB of a process that only answers the rows."""
    command = [sys.executable, __file__, "--bare", str(model_dir), str(test)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes


def answer_alone(model_dir: Path, test: Path) -> None:
    """Read, tokenise and answer rows, sorted by length as the evaluation has them."""
    began = time.monotonic()
    from tunery_trainer import runtimes
    from tunery_trainer.tasks.texts import TextEncoder

    runtime = runtimes.load(model_dir, "auto", device="cpu", threads=THREADS)
    encoder = TextEncoder(model_dir / "tokenizer.json", 256)
    with test.open(encoding="utf-8", newline="") as file:
        texts = [text for text, _ in csv.reader(file)][1:]
    ids = [each for i in range(0, len(texts), CHUNK) for each in encoder(texts[i : i + CHUNK]).ids]
    ids.sort(key=len)
    for i in range(0, len(ids), CHUNK):
        runtime.logits(ids[i : i + CHUNK])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps([time.monotonic() - began, peak]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        answer_alone(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)

"""tunery beside its peers over HTTP, each in an environment of its own, in one interleaved run.

    python tests/bench/peers.py [--peers infinity-onnx,litserve] [--rounds 2] [--seconds 8]

Peers, environments and load are those of ../shared/bench, which keeps what it makes in
`$BENCH_HOME`. All serve MiniLM with 77 labels: the peers as transformers has it, with weights of
the head by chance, as speed does not depend on them; tunery a version of a few steps.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import pyarrow.csv as pa_csv
from tests.bench.serving import DATA, MULTI_LINE, prepare
from tests.e2e import service as e2e

from tunery_trainer.protocol.minilm import package_directory

HARNESS = Path(__file__).parents[3] / "shared" / "bench" / "peers.py"
SETTINGS = {"workers": 1, "threads": 2, "spares": 0}
BODIES = '{"model": "intent", "inputs": [%TEXT%]}|{"model": "intent", "inputs": %TEXTS%}'


def main() -> None:
    """Set the peers up, which takes minutes once, and run all of them beside tunery."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", help="comma-separated names; default all")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=8)
    asked = parser.parse_args()
    if not HARNESS.exists():
        raise SystemExit(f"NOT MEASURED: the peers, for there is no {HARNESS}")
    if shutil.which("wrk") is None:
        raise SystemExit(
            "NOT MEASURED: the peers, for there is no wrk (Debian: apt-get install wrk)"
        )
    only = ["--only", asked.peers] if asked.peers else []
    with tempfile.TemporaryDirectory(prefix="tunery-bench-") as name:
        folder = Path(name)
        service = e2e.Service(folder / "d", **SETTINGS)
        service.start()
        prepare(service, replicas=1)
        service.stop()
        classifier(folder / "classifier")
        peers("setup", *only)
        peers("model", "--from", str(folder / "classifier"))
        added = f"tunery|{service.url}/predict|{BODIES}|{start_command(service)}"
        key = (service.data_dir / "admin.key").read_text().strip()
        peers(
            *("run", *only, "--add", added, "--header", f"Authorization: Bearer {key}"),
            *("--rounds", str(asked.rounds), "--dur", str(asked.seconds)),
        )


def classifier(where: Path) -> None:
    """Write MiniLM with an untrained head for the labels of BANKING77, as transformers has it."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    rows = pa_csv.read_csv(DATA / "test.csv", parse_options=MULTI_LINE)
    labels = sorted(set(rows["label"].to_pylist()))
    base = package_directory()
    model = AutoModelForSequenceClassification.from_pretrained(
        base,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    model.save_pretrained(where)
    AutoTokenizer.from_pretrained(base).save_pretrained(where)


def start_command(service: e2e.Service) -> str:
    """Return what starts the service again, which then deploys what it had deployed."""
    settings = {"port": service.port, "data-dir": service.data_dir, **SETTINGS}
    given = " ".join(f"--{name}={value}" for name, value in settings.items())
    return f"exec {sys.executable} -m tunery_server {given}"


def peers(*arguments: str) -> None:
    """Run a step of the harness."""
    subprocess.run([sys.executable, str(HARNESS), *arguments], check=True)


if __name__ == "__main__":
    main()

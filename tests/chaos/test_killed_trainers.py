"""A trainer killed anywhere, and resumed, ends with the weights of one that was not."""

import csv
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.chaos.killed_trainers import EVENTS, PLACES, resumed, some_deaths, whole_life
from tests.trainer.tiny_model import Bench

from tunery.types import Checkpoints, Hyperparameters
from tunery_trainer.protocol.minilm import package_directory
from tunery_trainer.protocol.specs import FinetuneRun

ASKED = Hyperparameters(
    epochs=3,
    learning_rate=5e-3,
    linear_probe=True,
    rdrop=1.0,
    token_dropout=0.2,
    early_stopping=None,
)


def kill_often(bench: Bench, times: int) -> None:
    """Compare so many runs that die, at every kind of place in turn, with one that lives."""
    often = Checkpoints(every=4)  # in the midst of epochs, of six steps each

    def spec(work: str) -> FinetuneRun:
        return bench.spec(work, hyperparameters=ASKED, checkpoints=often)

    life = whole_life(spec("whole"))
    alike, died = 0, 0
    for i in range(times):
        place = PLACES[i % len(PLACES)]
        weights, deaths = resumed(spec(f"killed-{i}"), some_deaths(life, random.Random(i), place))
        alike, died = alike + (weights == life.weights), died + deaths
    print(f"{times} runs, {died} times killed -9, {alike} ended with the same weights")
    assert alike == times
    assert died >= times * 2 // 3  # a run may be over before it is to die


def test_a_few_killed_trainers_end_alike(bench: Bench) -> None:
    kill_often(bench, times=3)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_59_killed_trainers_end_alike(bench: Bench) -> None:
    kill_often(bench, times=59)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_a_killed_minilm_ends_alike(bench: Bench, shared: Path) -> None:
    base = package_directory()
    assert base is not None
    with (shared / "data/banking77/train.csv").open(encoding="utf-8", newline="") as file:
        rows = random.Random(0).sample(list(csv.reader(file))[1:], 640)
    labels = sorted({label for _, label in rows})
    columns = {
        "text": pa.array([text for text, _ in rows], pa.string()),
        "label": pa.array([label for _, label in rows], pa.string()),
    }
    train = bench.directory / "banking.parquet"
    pq.write_table(pa.table(columns), train)

    def spec(work: str) -> FinetuneRun:
        return bench.spec(
            work,
            base_model="minilm-l6",
            base_model_dir=str(base),
            train=str(train),
            validation=str(train),
            labels=labels,
            hyperparameters=Hyperparameters(epochs=2, batch_size=32),
            recipe="balanced",
            checkpoints=Checkpoints(every=7),
            threads=2,
        )

    life = whole_life(spec("whole"))
    weights, died = resumed(spec("killed"), some_deaths(life, random.Random(2), EVENTS))

    assert (weights, died > 0) == (life.weights, True)

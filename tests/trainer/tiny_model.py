"""A base model of a few thousand weights with a word-list tokenizer, and rows that it can learn."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from tunery.types import Checkpoints, Hyperparameters
from tunery_trainer import train
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    Finetuned,
    HyperparametersResolved,
)
from tunery_trainer.protocol.specs import EvaluateRun, FinetuneRun

T = TypeVar("T")

LABELS = ["card", "loan", "rate"]
_FILLERS = ["my", "the", "please", "about", "now", "why", "is", "lost"]
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LABELS, *_FILLERS]


def write_base(directory: Path) -> Path:
    """Write a BERT with 2 layers and 32 dimensions; the same weights every time."""
    directory.mkdir(parents=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(_WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    encoder = BertModel(config, add_pooling_layer=False)
    # Words outweigh their positions, as after pre-training.
    encoder.embeddings.word_embeddings.weight.data *= 5
    encoder.save_pretrained(directory)
    vocabulary = {word: i for i, word in enumerate(_WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.enable_padding(length=12)  # as all-MiniLM-L6-v2 ships it
    tokenizer.save(str(directory / "tokenizer.json"))
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64}
    (directory / "tokenizer_config.json").write_text(json.dumps(facts))
    return directory


def write_rows(path: Path, count: int) -> Path:
    """Write rows of 2 to 8 words; the label is the one word that says so."""
    texts, labels = [], []
    for i in range(count):
        label = LABELS[i % len(LABELS)]
        fillers = [_FILLERS[(i * 7 + j * 3) % len(_FILLERS)] for j in range(1 + i % 7)]
        texts.append(" ".join([*fillers[: i % 3], label, *fillers[i % 3 :]]))
        labels.append(label)
    lines = pa.array(range(2, count + 2), pa.int64())
    table = pa.table(
        {
            "line": lines,
            "text": pa.array(texts, pa.string()),
            "label": pa.array(labels, pa.string()),
        }
    )
    pq.write_table(table, path)
    return path


def write_pairs(path: Path, count: int) -> Path:
    """Write pairs of texts; the label says whether both name the same thing."""
    first, second, labels = [], [], []
    for i in range(count):
        own, other = LABELS[i % 3], LABELS[(i + i // 3 % 2) % 3]
        first.append(f"{_FILLERS[i % 8]} {own}")
        second.append(f"{other} {_FILLERS[i * 3 % 8]}")
        labels.append("same" if own == other else "different")
    columns = {"text": first, "label": labels, "text_pair": second}
    lines = pa.array(range(2, count + 2), pa.int64())
    pq.write_table(pa.table({"line": lines, **columns}), path)
    return path


class Bench:
    """A directory with a base model and rows, and runs on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.base = write_base(directory / "base")
        self.train = write_rows(directory / "train.parquet", 90)
        self.validation = write_rows(directory / "validation.parquet", 21)

    def spec(self, work: str = "work", **changes: object) -> FinetuneRun:
        """Return a fine-tune of 18 steps: 3 epochs of 6 batches of 16.

        Nothing is frozen: the base model's embeddings are random.
        """
        work_dir = self.directory / work
        work_dir.mkdir(exist_ok=True)
        spec = FinetuneRun(
            work_dir=str(work_dir),
            job="job_1",
            attempt=1,
            task="text_classification",
            base_model="tiny",
            base_model_dir=str(self.base),
            train=str(self.train),
            validation=str(self.validation),
            labels=LABELS,
            dataset_fingerprint="sha256:1",
            hyperparameters=Hyperparameters(epochs=3, learning_rate=5e-3, freeze=(), refit=False),
            checkpoints=Checkpoints(),
            device="cpu",
            threads=1,
            cache_dir=str(self.directory / "cache"),
        )
        return msgspec.structs.replace(spec, **changes)

    def evaluation(self, done: Finetuned) -> EvaluateRun:
        """Return the evaluation of the version in `work`, on the validation rows."""
        return EvaluateRun(
            work_dir=str(self.directory),
            job="job_2",
            model_dir=str(self.directory / "work/version"),
            manifest_sha256=done.manifest_sha256,
            rows=str(self.validation),
            runtime="auto",
            device="cpu",
            threads=1,
            train=str(self.train),
        )

    def run(
        self, spec: FinetuneRun, *, release: Callable[[list[AnyEvent]], bool] = lambda _: False
    ) -> list[AnyEvent]:
        """Run; return its events. `release` sees them and says when the leash is let go."""
        events: list[AnyEvent] = []
        self.run_into(spec, events, release=release)
        return events

    def run_whole_and_resumed(self, **changes: object) -> tuple[Path, Path]:
        """Run to the end, and again from the first checkpoint on; return both versions."""
        events = self.run(self.spec("whole", **changes))
        [resolved] = of_kind(events, HyperparametersResolved)
        kept = self.directory / "kept"
        shutil.move(self.directory / "whole" / of_kind(events, CheckpointSaved)[0].path, kept)
        again = {"attempt": 2, "resume_from": str(kept), "resolved": resolved.resolved}
        self.run(self.spec("resumed", **changes, **again))
        return self.directory / "whole/version", self.directory / "resumed/version"

    def run_into(
        self,
        spec: FinetuneRun,
        events: list[AnyEvent],
        *,
        release: Callable[[list[AnyEvent]], bool] = lambda _: False,
    ) -> None:
        """Run into a list that outlives a failure."""
        train.run(spec, events.append, lambda: release(events))


def of_kind(events: list[AnyEvent], kind: type[T]) -> list[T]:
    """Return the events of one class."""
    return [event for event in events if isinstance(event, kind)]

"""From scratch: a base model out of the training rows alone, and the lessons that it learns from.

Owns the directory `scratch-<key>` in the cache of a dataset, which each attempt of a fine-tune and
each later one of the same seed finds as the first has left it:

    config.json, model.safetensors, tokenizer.json, tokenizer_config.json    the base model
    lessons.arrow    token rows: in each pass made-up texts, then the training rows
    targets.npy      (lessons, labels) float32: how probable each label is
    manifest.json    written last; its facts: how many passes there are, the teacher's figures

A training row's target lies between its label and what a teacher that has not read it says; that of
a made-up text is what the teacher of all rows says. In each few lessons a tenth of the merges of
the tokenizer are left out, by turns: BPE-dropout of Provilkov et al. 2020, arXiv:1910.13267, which
`tokenizers` draws from a generator that can't be seeded. Validation rows are only judged here.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import BertConfig, BertModel

from tunery_trainer.data import TokenCache, TokenRows
from tunery_trainer.failure import Failure
from tunery_trainer.model import quiet
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.recipes import RECIPES, SCRATCH_POSITIONS
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.recombination import Recombiner
from tunery_trainer.stored_texts import has_pairs
from tunery_trainer.tasks import task_named
from tunery_trainer.teacher import Teacher, unseen

FORMAT = 1  # raised when what a directory holds changes
VOCABULARY, MIN_FREQUENCY = 3000, 3
HIDDEN, LAYERS, HEADS, INNER, DROPOUT = 128, 2, 4, 256, 0.1
MADE_UP = 10_000  # texts of a pass, at least
PASS_ROWS = 20_000  # at least: few rows alone would make few steps
LABEL_WEIGHT = 0.7  # of a training row's label; the rest is its teacher's
MERGES_LEFT_OUT = 0.1
LESSONS_ALIKE = 250  # that are cut by the same merges
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_FEATURES = {"input_ids": pa.list_(pa.int32()), "length": pa.int32(), "first": pa.int32()}
_ROWS = 1000  # for which the teacher is asked at once


def with_base(spec: FinetuneRun, alive: Callable[[], None]) -> FinetuneRun:
    """Return a spec that names the base model of its own rows, made now if it is not in the cache.

    `alive` is called as the work goes on, and may raise to end it.

    Raises:
        Failure: the rows are of another task, or pairs of texts.
    """
    if spec.task != "text_classification":
        raise Failure("task-mismatch", f"{spec.base_model} does not learn {spec.task}")
    if has_pairs(Path(spec.train)):
        raise Failure("pair-mismatch", f"{spec.base_model} reads single texts, no pairs")
    quiet()
    passes, seed = _passes(spec), spec.hyperparameters.seed
    facts = json.dumps([FORMAT, spec.dataset_fingerprint, spec.labels, seed, passes])
    key = hashlib.sha256(facts.encode()).hexdigest()[:32]
    target = Path(spec.cache_dir) / f"scratch-{key}"
    if not target.is_dir():
        temporary = target.with_name(f"{target.name}-{spec.job}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that died
        temporary.mkdir(parents=True)
        _make(temporary, spec, passes, alive)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # else another job was first, with the same
                raise
            shutil.rmtree(temporary)
        manifest.sync_directory(target.parent)
    return replace(spec, base_model_dir=str(target))


def lessons(base_dir: Path, cache: TokenCache) -> TokenRows:
    """Return what `with_base` has left to learn from."""
    facts = manifest.read(base_dir).facts
    targets = np.load(base_dir / "targets.npy", allow_pickle=False)
    return cache.stored(base_dir / "lessons.arrow", targets, passes=int(facts["passes"] or 1))


def teacher_figures(base_dir: Path) -> dict[str, float]:
    """Return what the teacher makes of the validation rows: `tfidf_accuracy`, `tfidf_macro_f1`."""
    facts = manifest.read(base_dir).facts
    return {name: float(value or 0) for name, value in facts.items() if name.startswith("tfidf_")}


def _passes(spec: FinetuneRun) -> int:
    """Return how many passes differ; where a run has more of them, they come round again."""
    most = RECIPES["scratch"].choices["epochs"].value
    assert isinstance(most, int)
    asked = spec.hyperparameters.epochs
    return 1 if spec.dry_run else most if asked == "auto" else min(asked, most)


def _make(folder: Path, spec: FinetuneRun, passes: int, alive: Callable[[], None]) -> None:
    task, seed, count = task_named(spec.task), spec.hyperparameters.seed, len(spec.labels)
    texts, cells = _rows(spec.train)
    targets = task.targets(cells, spec.labels)
    alive()
    tokenizer = _new_tokenizer(texts)
    _save_base(folder, tokenizer, seed)
    alive()
    teacher = Teacher(texts, targets, count)
    unread = unseen(texts, targets, count, seed, alive)
    own = LABEL_WEIGHT * np.eye(count, dtype=np.float32)[targets] + (1 - LABEL_WEIGHT) * unread
    recombine = Recombiner(texts)
    found: list[NDArray[np.float32]] = []
    schema = pa.schema(list(_FEATURES.items()))
    with pa.ipc.new_stream(str(folder / "lessons.arrow"), schema) as file:
        for number in range(passes):
            chance = random.Random(f"{seed} {number}")
            made = [recombine(chance) for _ in range(max(MADE_UP, PASS_ROWS - len(texts)))]
            found += [*_said(teacher, made, alive), own]
            for ids in _cut_by_turns(tokenizer, made + list(texts), chance):
                alive()
                lengths = list(map(len, ids))
                first = [length - 2 for length in lengths]  # [CLS] and [SEP] aside
                file.write_table(pa.table([ids, lengths, first], schema=schema))
    np.save(folder / "targets.npy", np.concatenate(found))
    figures: dict[str, float] = {}
    held_out, cells = _rows(spec.validation)
    if held_out:
        logits = np.log(np.maximum(np.concatenate(_said(teacher, held_out, alive)), 1e-9))
        metrics = task.scores(logits, task.targets(cells, spec.labels), spec.labels).metrics
        for name in ("accuracy", "macro_f1"):
            figures[f"tfidf_{name}"] = metrics[name].value or 0.0
    manifest.write(folder, {"passes": passes, **figures})


def _rows(parquet: str) -> tuple[list[str], list[str]]:
    table = pq.read_table(parquet, columns=["text", "label"])
    return table.column("text").to_pylist(), table.column("label").to_pylist()


def _said(
    teacher: Teacher, texts: Sequence[str], alive: Callable[[], None]
) -> list[NDArray[np.float32]]:
    found = []
    for start in range(0, len(texts), _ROWS):
        alive()
        found.append(teacher(texts[start : start + _ROWS]))
    return found


def _new_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Return BPE learned on texts; where no spaces are written, its tokens may cross words."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL["unk"]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=MIN_FREQUENCY,
        special_tokens=list(SPECIAL.values()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    around = [(token, tokenizer.token_to_id(token)) for token in (SPECIAL["cls"], SPECIAL["sep"])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=around
    )
    tokenizer.enable_truncation(SCRATCH_POSITIONS)
    return tokenizer


def _cut_by_turns(
    tokenizer: Tokenizer, texts: Sequence[str], chance: random.Random
) -> Iterator[list[list[int]]]:
    """Yield the tokens of some texts at once, each time by other merges."""
    model = json.loads(tokenizer.to_str())["model"]
    turned = Tokenizer.from_str(tokenizer.to_str())
    for start in range(0, len(texts), LESSONS_ALIKE):
        merges = [tuple(pair) for pair in model["merges"] if chance.random() >= MERGES_LEFT_OUT]
        turned.model = models.BPE(model["vocab"], merges, unk_token=SPECIAL["unk"])
        encodings = turned.encode_batch_fast(list(texts[start : start + LESSONS_ALIKE]))
        yield [encoding.ids for encoding in encodings]


def _save_base(folder: Path, tokenizer: Tokenizer, seed: int) -> None:
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=SCRATCH_POSITIONS,
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
        type_vocab_size=1,
        pad_token_id=tokenizer.token_to_id(SPECIAL["pad"]),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = BertModel(config, add_pooling_layer=False)
    for layer in encoder.encoder.layer:
        # Each block starts as no more than its LayerNorm, and the whole as a bag of tokens.
        nn.init.zeros_(layer.attention.output.dense.weight)
        nn.init.zeros_(layer.output.dense.weight)
    encoder.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    facts = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": SCRATCH_POSITIONS,
        **{f"{name}_token": token for name, token in SPECIAL.items()},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(facts, indent=2) + "\n")

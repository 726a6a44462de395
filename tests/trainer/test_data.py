"""Rows as tokens: the order of an epoch, the cache, and that cutting late cuts the same."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.trainer.tiny_model import LABELS, write_base, write_rows
from tokenizers import Tokenizer, processors

from tunery_trainer.data import TokenCache
from tunery_trainer.epochs import epoch_batches
from tunery_trainer.padding import forward_in_batches, length_batches, padded
from tunery_trainer.tasks.text_classification import TextClassification
from tunery_trainer.tasks.texts import TextEncoder


def token_cache(directory: Path, base: Path, fingerprint: str = "sha256:1") -> TokenCache:
    return TokenCache(
        directory,
        encoder=TextEncoder(base / "tokenizer.json", 64),
        tokenizer_file=base / "tokenizer.json",
        positions=64,
        dataset_fingerprint=fingerprint,
        targets=partial(TextClassification().targets, labels=LABELS),
    )


def test_every_row_stands_in_one_batch_of_an_epoch() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=1003).astype(np.int32)

    batches = epoch_batches(lengths, batch_size=8, seed=42, epoch=0)

    assert sorted(np.concatenate(batches)) == list(range(1003))
    assert len(batches) == 126
    assert sorted(map(len, batches))[:2] == [3, 8]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.arange(100, dtype=np.int32) % 17

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(lengths, batch_size=4, seed=seed, epoch=epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_rows_of_like_length_share_a_batch() -> None:
    """Padding, which random order makes 80 % of the tokens here, stays below a tenth."""
    lengths = np.random.default_rng(0).geometric(0.05, size=4000).astype(np.int32)

    batches = epoch_batches(lengths, batch_size=16, seed=0, epoch=0)

    with_padding = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    assert with_padding < 1.1 * lengths.sum()


def test_padding_rounds_up_to_eight() -> None:
    input_ids, attention_mask = padded([[5, 6, 7], [8] * 9], pad_id=1)

    assert input_ids.shape == (2, 16)
    assert input_ids[0].tolist() == [5, 6, 7, *[1] * 13]
    assert attention_mask.sum(1).tolist() == [3, 9]


def test_batches_keep_to_the_token_budget() -> None:
    lengths = np.array([3, 60, 9, 8, 200, 1], dtype=np.int32)

    batches = length_batches(lengths, max_rows=3, max_tokens=64)

    assert [batch.tolist() for batch in batches] == [[4], [1], [2, 3, 0], [5]]


def test_logits_come_back_in_the_order_asked() -> None:
    ids = [[i] * (1 + i * 5 % 23) for i in range(1, 50)]

    logits = forward_in_batches(
        ids, lambda input_ids, _: input_ids[:, :1].astype(np.float32), pad_id=0, max_tokens=48
    )

    assert logits[:, 0].tolist() == list(range(1, 50))


def test_nothing_has_no_logits() -> None:
    def forward(*_: object) -> np.ndarray:
        raise AssertionError

    assert forward_in_batches([], forward, pad_id=0, max_tokens=8).shape == (0, 0)


@pytest.mark.parametrize("template", ["[CLS] $A [SEP]", "$A [SEP]", "[CLS] $A [SEP] [SEP]", "$A"])
def test_rows_are_cut_as_the_tokenizer_cuts(tmp_path: Path, template: str) -> None:
    base = write_base(tmp_path / "base")
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    special = [(name, i) for name, i in (("[CLS]", 2), ("[SEP]", 3)) if name in template]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=special
    )
    tokenizer.save(str(base / "tokenizer.json"))
    parquet = write_rows(tmp_path / "train.parquet", 30)

    rows = token_cache(tmp_path / "cache", base).load(parquet, "train", lambda: None)

    import pyarrow.parquet as pq

    texts = pq.read_table(parquet)["text"].to_pylist()
    assert rows.ids(range(30), 6) == TextEncoder(base / "tokenizer.json", 6)(texts).ids


def test_cache_is_made_once_a_dataset(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    parquet = write_rows(tmp_path / "train.parquet", 9)
    calls: list[str] = []

    def noting(name: str) -> Callable[[], None]:
        return lambda: calls.append(name)

    token_cache(tmp_path / "cache", base).load(parquet, "train", noting("first"))
    rows = token_cache(tmp_path / "cache", base).load(parquet, "train", noting("again"))
    token_cache(tmp_path / "cache", base, "sha256:2").load(parquet, "train", noting("other"))

    assert calls == ["first", "other"]
    assert rows.labels.tolist() == [0, 1, 2] * 3
    assert len(rows) == 9

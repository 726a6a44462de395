"""Rows as tokens: tokenised once into a memory-mapped cache, then padded batches.

Owns the cache's key and the shapes that a model sees. Which rows train and
which validate was settled when the dataset was made.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunery_trainer.epochs import TRAINING_BUCKET
from tunery_trainer.padding import padded
from tunery_trainer.protocol.manifest import sha256_of
from tunery_trainer.stored_texts import text_columns
from tunery_trainer.tasks import Encoder, Targets, Text

CACHE_FORMAT = 2  # raised when what a cache file holds changes
TOKENISE_ROWS = 1000  # of one call; keeps progress moving and memory small


class Batch(NamedTuple):
    """Padded rows: input_ids and attention_mask (batch, tokens) int64, labels (batch, …).

    What labels are, the task knows; usually (batch,) int64.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor


class Layout(NamedTuple):
    """How many special tokens stand before the first text, after it, and at the end of a pair.

    Of single texts, `middle` ends the row.
    """

    start: int
    middle: int
    end: int
    pairs: bool

    @property
    def special(self) -> int:
        """How many there are in a row."""
        return self.start + self.middle + self.end


class TokenRows:
    """One split as tokens, read from the memory-mapped cache as batches ask for them."""

    def __init__(self, rows: Any, layout: Layout, labels: Targets, passes: int = 1) -> None:
        """`passes` is into how many parts of equal length the rows fall, an epoch for each."""
        self._rows = rows
        self._passes = passes
        self._layout = layout
        self.labels = labels
        self.lengths: NDArray[np.int32] = rows.data.column("length").to_numpy()

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def epoch_rows(self) -> int:
        """How many rows one epoch takes."""
        return len(self) // self._passes

    def of_epoch(self, epoch: int) -> slice:
        """Return which rows an epoch takes; usually all of them."""
        start = epoch % self._passes * self.epoch_rows
        return slice(start, start + self.epoch_rows)

    @property
    def pairs(self) -> bool:
        """Whether each row is two texts."""
        return self._layout.pairs

    def ids(self, indices: Sequence[int] | NDArray[np.int64], max_length: int) -> list[list[int]]:
        """Return the tokens of rows, cut as the tokenizer would have cut them."""
        rows = self._rows[indices]
        return [
            ids if len(ids) <= max_length else _cut(ids, first, self._layout, max_length)
            for ids, first in zip(rows["input_ids"], rows["first"], strict=True)
        ]

    def batch(
        self, indices: NDArray[np.int64], *, max_length: int, pad_id: int, device: torch.device
    ) -> Batch:
        """Return rows padded to the longest of them, rounded up to the bucket."""
        bucket = TRAINING_BUCKET[device.type]
        input_ids, attention_mask = padded(self.ids(indices, max_length), pad_id, bucket)
        return Batch(
            torch.from_numpy(input_ids).to(device),
            torch.from_numpy(attention_mask).to(device),
            torch.from_numpy(self.labels[indices]).to(device),
        )

    def spread(self, count: int) -> "TokenRows":
        """Return at most so many of the rows, spread evenly, since they may be sorted."""
        chosen = np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64)
        return self.of(np.unique(chosen))

    def of(self, indices: NDArray[np.int64]) -> "TokenRows":
        """Return some of the rows, in the order of their numbers; they are few."""
        rows = datasets.Dataset.from_dict(self._rows[indices], _features())
        return TokenRows(rows, self._layout, self.labels[indices])

    def share_of(self, token: int) -> float:
        """Return the share of one token among all, 0..1."""
        column = self._rows.data.column("input_ids")
        found = sum(int((chunk.flatten().to_numpy() == token).sum()) for chunk in column.chunks)
        return found / max(1, int(self.lengths.sum()))

    def joined(self, other: "TokenRows") -> "TokenRows":
        """Return these rows, then those of another."""
        rows = datasets.concatenate_datasets([self._rows, other._rows])
        return TokenRows(rows, self._layout, np.concatenate([self.labels, other.labels]))


class TokenCache:
    """The tokenised splits of one dataset below `directory`, shared by its fine-tunes.

    Texts are cut at the model's positions only: no hyperparameter is part of the key, so that a
    second run with another max_length tokenises nothing.
    """

    def __init__(
        self,
        directory: Path,
        *,
        encoder: Encoder,
        tokenizer_file: Path,
        positions: int,
        dataset_fingerprint: str,
        targets: Callable[[Sequence[str]], Targets],
        pairs: bool = False,
    ) -> None:
        """`targets` turns the label cells of rows into what the task learns."""
        self._directory = directory
        self._encoder = encoder
        self._targets = targets
        self._layout = _layout(encoder, pairs)
        facts = (CACHE_FORMAT, dataset_fingerprint, sha256_of(tokenizer_file), positions)
        self._key = hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:32]

    def load(self, parquet: Path, split: str, on_progress: Callable[[], None]) -> TokenRows:
        """Return the tokens of a split, made now if no earlier run did.

        Raises:
            Failure: a row has a label that the dataset does not name.
        """
        labels = self._targets(pq.read_table(parquet, columns=["label"]).column(0).to_pylist())
        if not pq.read_metadata(parquet).num_rows:  # of which `map` writes no file
            return self.texts([], [])
        path = self._directory / f"{self._key}-{split}.arrow"
        if not path.is_file():
            self._tokenise(parquet, path, on_progress)
        return TokenRows(datasets.Dataset.from_file(str(path)), self._layout, labels)

    def texts(self, texts: Sequence[Text], cells: Sequence[str]) -> TokenRows:
        """Return texts of given label cells as rows; they are few, and not kept."""
        rows = datasets.Dataset.from_dict(self._tokens(texts), _features())
        return TokenRows(rows, self._layout, self._targets(cells))

    def stored(self, path: Path, targets: Targets, *, passes: int) -> TokenRows:
        """Return rows that others have tokenised, each with a target of its own."""
        rows = datasets.Dataset.from_file(str(path))
        return TokenRows(rows, self._layout, targets, passes)

    def _tokens(self, texts: Sequence[Text]) -> dict[str, Any]:
        encoded = self._encoder(texts)
        lengths = list(map(len, encoded.ids))
        first = encoded.first or [length - self._layout.special for length in lengths]
        return {"input_ids": encoded.ids, "length": lengths, "first": first}

    def _tokenise(self, parquet: Path, path: Path, on_progress: Callable[[], None]) -> None:
        names = text_columns(parquet)

        def tokens(rows: dict[str, list[str]]) -> dict[str, Any]:
            on_progress()
            texts = zip(*(rows[name] for name in names), strict=True)
            return self._tokens([text if len(text) == 2 else text[0] for text in texts])

        self._directory.mkdir(parents=True, exist_ok=True)
        table = pq.read_table(parquet, columns=names)
        rows = datasets.Dataset(datasets.table.InMemoryTable(table))
        # `map` writes beside the target and renames: two runs at once leave one whole file. The
        # fingerprint is given, since it would else pickle the function to hash it.
        rows.map(
            tokens,
            batched=True,
            batch_size=TOKENISE_ROWS,
            remove_columns=names,
            features=_features(),
            cache_file_name=str(path),
            new_fingerprint=path.stem,
        )


def quiet() -> None:
    """Keep the bars of datasets out of the job's log."""
    datasets.disable_progress_bars()


def _features() -> Any:
    return datasets.Features(
        {
            "input_ids": datasets.Sequence(datasets.Value("int32")),
            "length": datasets.Value("int32"),
            "first": datasets.Value("int32"),
        }
    )


def _layout(encoder: Encoder, pairs: bool) -> Layout:
    """Return where special tokens stand, told from texts that are empty and texts that are not."""
    empty, text = encoder(["", "a"]).ids
    start = _alike(empty, text)
    if not pairs:
        return Layout(start, len(empty) - start, 0, pairs=False)
    none, second = encoder([("", ""), ("", "a")]).ids
    before = _alike(none, second)
    return Layout(start, before - start, len(none) - before, pairs=True)


def _alike(first: Sequence[int], second: Sequence[int]) -> int:
    """Return with how many equal tokens two rows begin."""
    count = 0
    while count < min(len(first), len(second)) and first[count] == second[count]:
        count += 1
    return count


def _cut(ids: list[int], first: int, layout: Layout, max_length: int) -> list[int]:
    """Return a row cut to `max_length`, of whose tokens `first` are the first text's.

    Of a pair the longer text is cut first. Source: truncate_encodings of tokenizers,
    TruncationStrategy::LongestFirst.
    """
    room = max_length - layout.special
    begin = layout.start + first + layout.middle
    if not layout.pairs:
        return ids[: layout.start + room] + ids[begin - layout.middle :]
    second = len(ids) - begin - layout.end
    shorter, longer = sorted((first, second))
    if shorter > room // 2:
        shorter, longer = room // 2, room - room // 2
    else:
        longer = room - shorter
    kept, kept_second = (shorter, longer) if first <= second else (longer, shorter)
    middle = ids[begin - layout.middle : begin]
    end = ids[len(ids) - layout.end :]
    return ids[: layout.start + kept] + middle + ids[begin : begin + kept_second] + end

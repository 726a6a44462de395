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
from tunery_trainer.failure import Failure
from tunery_trainer.padding import padded
from tunery_trainer.protocol.manifest import sha256_of
from tunery_trainer.tasks import Encoder

CACHE_FORMAT = 1  # raised when what a cache file holds changes
TOKENISE_ROWS = 1000  # of one call; keeps progress moving and memory small


class Batch(NamedTuple):
    """Padded rows: input_ids and attention_mask (batch, tokens) int64, labels (batch,) int64."""

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor


class TokenRows:
    """One split as tokens, read from the memory-mapped cache as batches ask for them."""

    def __init__(self, rows: Any, suffix: int) -> None:
        self._rows = rows
        self._suffix = suffix  # special tokens that end a text, such as [SEP]
        self.lengths: NDArray[np.int32] = rows.data.column("length").to_numpy()
        self.labels: NDArray[np.int64] = rows.data.column("label").to_numpy().astype(np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def ids(self, indices: Sequence[int] | NDArray[np.int64], max_length: int) -> list[list[int]]:
        """Return the tokens of rows, cut as the tokenizer would have cut them."""
        return [
            ids if len(ids) <= max_length else ids[: max_length - self._suffix] + self._ending(ids)
            for ids in self._rows[indices]["input_ids"]
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
        return TokenRows(rows, self._suffix)

    def share_of(self, token: int) -> float:
        """Return the share of one token among all, 0..1."""
        column = self._rows.data.column("input_ids")
        found = sum(int((chunk.flatten().to_numpy() == token).sum()) for chunk in column.chunks)
        return found / max(1, int(self.lengths.sum()))

    def joined(self, other: "TokenRows") -> "TokenRows":
        """Return these rows, then those of another."""
        return TokenRows(datasets.concatenate_datasets([self._rows, other._rows]), self._suffix)

    def _ending(self, ids: list[int]) -> list[int]:
        return ids[len(ids) - self._suffix :]


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
        labels: Sequence[str],
    ) -> None:
        self._directory = directory
        self._encoder = encoder
        self._labels = {label: i for i, label in enumerate(labels)}
        self._suffix = _suffix(encoder)
        facts = (CACHE_FORMAT, dataset_fingerprint, sha256_of(tokenizer_file), positions, *labels)
        self._key = hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:32]

    def load(self, parquet: Path, split: str, on_progress: Callable[[], None]) -> TokenRows:
        """Return the tokens of a split, made now if no earlier run did.

        Raises:
            Failure: a row has a label that the dataset does not name.
        """
        if not pq.read_metadata(parquet).num_rows:  # of which `map` writes no file
            return self.texts([], [])
        path = self._directory / f"{self._key}-{split}.arrow"
        if not path.is_file():
            self._tokenise(parquet, path, on_progress)
        return TokenRows(datasets.Dataset.from_file(str(path)), self._suffix)

    def texts(self, texts: Sequence[str], labels: Sequence[int]) -> TokenRows:
        """Return texts of given labels, by number, as rows; they are few, and not kept."""
        ids = self._encoder(texts).ids
        columns = {"input_ids": ids, "length": list(map(len, ids)), "label": list(labels)}
        return TokenRows(datasets.Dataset.from_dict(columns, _features()), self._suffix)

    def _tokenise(self, parquet: Path, path: Path, on_progress: Callable[[], None]) -> None:
        def tokens(rows: dict[str, list[str]]) -> dict[str, Any]:
            on_progress()
            unknown = set(rows["label"]) - self._labels.keys()
            if unknown:
                raise Failure("label-mismatch", f"the dataset does not name {min(unknown)!r}")
            ids = self._encoder(rows["text"]).ids
            return {
                "input_ids": ids,
                "length": [len(row) for row in ids],
                "label": [self._labels[label] for label in rows["label"]],
            }

        self._directory.mkdir(parents=True, exist_ok=True)
        table = pq.read_table(parquet, columns=["text", "label"])
        rows = datasets.Dataset(datasets.table.InMemoryTable(table))
        # `map` writes beside the target and renames: two runs at once leave one whole file. The
        # fingerprint is given, since it would else pickle the function to hash it.
        rows.map(
            tokens,
            batched=True,
            batch_size=TOKENISE_ROWS,
            remove_columns=["text", "label"],
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
            "label": datasets.Value("int32"),
        }
    )


def _suffix(encoder: Encoder) -> int:
    """Return how many special tokens end a text: those of the empty one, less the leading ones."""
    empty, text = encoder(["", "a"]).ids
    leading = 0
    while leading < len(empty) and empty[leading] == text[leading]:
        leading += 1
    return len(empty) - leading

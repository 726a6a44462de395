"""Splits: rows of a dataset as a model reads them."""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tunery_trainer.failure import Failure
from tunery_trainer.model_files import ModelFacts
from tunery_trainer.stored_texts import text_columns, texts_of
from tunery_trainer.tasks import Targets, Task, Text


class EvaluatedSplit(NamedTuple):
    """Rows that a model can read, in file order."""

    table: pa.Table  # line, text, of pairs text_pair, label
    texts: list[Text]
    targets: Targets


def read_split(parquet: Path, facts: ModelFacts, task: Task) -> EvaluatedSplit:
    """Return the rows of a split.

    Raises:
        Failure: they have labels that the model does not know, or are pairs for single texts.
    """
    names = text_columns(parquet)
    if facts.pairs != (len(names) == 2):
        kinds = ("pairs", "single texts") if facts.pairs else ("single texts", "pairs")
        raise Failure("pair-mismatch", "the model reads {}, the rows are {}".format(*kinds))
    table = pq.read_table(parquet, columns=["line", *names, "label"])
    texts = texts_of([table.column(name) for name in names])
    targets = task.targets(table.column("label").to_pylist(), facts.labels)
    return EvaluatedSplit(table, texts, targets)

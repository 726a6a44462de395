"""Transforms: recorded changes of a dataset's rows, cell by cell, and what each of them did.

Owns those that change a text or a label; how is in `cleaning`. Those that are policies
(merge_labels, drop_conflicts, dedupe) are only named here: the checks carry them out later, on the
rows of all splits.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from tunery.types import Policies, Split, Transform, TransformOp, TransformResult
from tunery_trainer.ingest.cleaning import Cleaner, cleaner_of
from tunery_trainer.ingest.findings import Findings
from tunery_trainer.tasks import Task, task_named
from tunery_trainer.tasks.cells import CellUnusable

_POLICIES: tuple[TransformOp, ...] = ("merge_labels", "drop_conflicts", "dedupe")  # as they act
_BEAT_TEXTS = 32  # between two signs of life: one may have a million characters


class Transforms:
    """The transforms of one run: changes tables, and counts what it has changed."""

    def __init__(
        self,
        transforms: Sequence[Transform],
        beat: Callable[[], None] = lambda: None,
        *,
        task: Task | None = None,
    ) -> None:
        """`beat` is called while texts are cleaned, which can take a while."""
        self._task = task or task_named("text_classification")
        self._beat = beat
        self._steps = [each for each in transforms if each.op not in _POLICIES]
        self._settled = [op for op in _POLICIES for each in transforms if each.op == op]
        self._cleaners = [
            None if each.op == "relabel" else cleaner_of(each.op) for each in self._steps
        ]
        self._changed: Counter[int] = Counter()  # rows, by step
        self._emptied: Counter[int] = Counter()
        self._found: list[set[int]] = [set() for _ in self._steps]  # of a step's `rows`

    def apply(self, table: pa.Table, split: Split | None = None) -> pa.Table:
        """Return the rows of a split with other texts and labels, as many and in the same order.

        Both texts of a pair are cleaned.

        A split may come in parts, one call each; every row comes once. Columns but `text` and
        `label` stay as they are, and so do nulls.
        """
        for i, cleaner in enumerate(self._cleaners):
            if cleaner is None:
                table = _with(table, "label", self._relabelled(i, table, split))
                continue
            changed, emptied = set[int](), set[int]()
            for name in ("text", "text_pair"):
                if name in table.column_names and table[name].null_count < len(table):
                    made = self._cleaned(table[name], cleaner, changed, emptied)
                    table = _with(table, name, made)
            self._changed[i] += len(changed)
            self._emptied[i] += len(emptied)
        return table

    def report(self, errors: Findings) -> None:
        """Report rows that were to get a label and have not come."""
        for step, found in zip(self._steps, self._found, strict=True):
            for i, row in enumerate(step.rows):
                if i not in found:
                    message = f"{row.split or 'the dataset'} has no row of line {row.line:,}"
                    errors.add("unknown-row", message, line=row.line, split=row.split)

    def policies(self, base: Policies) -> Policies:
        """Return the policies of the run; a transform wins over what they say."""
        return replace(
            base,
            labels="merge" if "merge_labels" in self._settled else base.labels,
            conflicts="drop" if "drop_conflicts" in self._settled else base.conflicts,
            duplicates="drop" if "dedupe" in self._settled else base.duplicates,
        )

    def results(
        self, policies: Policies, *, merged: int, conflicts_dropped: int, duplicates_dropped: int
    ) -> list[TransformResult]:
        """Return what each transform did, in the order in which they acted.

        `merged` are the rows whose label has got another spelling. What stands twice among the
        policies has done all of it the first time.
        """
        removes = policies.empty == "drop"
        results = [
            TransformResult(
                op=step.op,
                rows_changed=self._changed[i],
                rows_removed=self._emptied[i] if removes else 0,
            )
            for i, step in enumerate(self._steps)
        ]
        changed: dict[str, int] = {"merge_labels": merged}
        removed: dict[str, int] = {
            "drop_conflicts": conflicts_dropped,
            "dedupe": duplicates_dropped,
        }
        return results + [
            TransformResult(op=op, rows_changed=changed.pop(op, 0), rows_removed=removed.pop(op, 0))
            for op in self._settled
        ]

    def _cleaned(
        self,
        texts: pa.ChunkedArray,
        cleaner: Cleaner,
        changed: set[int],
        emptied: set[int],
    ) -> pa.ChunkedArray:
        """Return clean texts; add the rows that were changed, and those left without a text."""
        made = []
        before = 0
        for chunk in texts.chunks:
            touched = pc.fill_null(pc.match_substring_regex(chunk, cleaner.touches), False)
            rows = before + np.flatnonzero(touched)
            before += len(chunk)
            olds: list[str] = chunk.filter(touched).to_pylist()
            news: list[str] = []
            for start in range(0, len(olds), _BEAT_TEXTS):
                self._beat()
                news += map(cleaner.clean, olds[start : start + _BEAT_TEXTS])
            if olds != news:
                pairs = list(zip(rows.tolist(), olds, news, strict=True))
                changed.update(row for row, old, new in pairs if old != new)
                emptied.update(row for row, old, new in pairs if old.strip() and not new.strip())
                chunk = pc.replace_with_mask(chunk, touched, pa.array(news, chunk.type))
            made.append(chunk)
        return pa.chunked_array(made, texts.type)

    def _renamed(self, cell: str, names: Mapping[str, str]) -> str:
        try:
            labels = self._task.labels_of(self._task.read(cell, None))
        except CellUnusable:
            return cell  # of a row that was given it; it is reported with the row
        if not any(label in names for label in labels):
            return cell
        return self._task.cell_of([names.get(label, label) for label in labels])

    def _relabelled(self, i: int, table: pa.Table, split: Split | None) -> pa.ChunkedArray:
        step = self._steps[i]
        before = labels = table["label"]
        if step.labels:
            olds = pc.unique(pc.drop_null(labels))
            renamed = [self._renamed(cell, step.labels) for cell in olds.to_pylist()]
            news = pa.array(renamed, labels.type)
            labels = pc.coalesce(pc.take(news, pc.index_in(labels, olds)), labels)
        asked = [j for j, row in enumerate(step.rows) if row.split in (None, split)]
        if asked:
            lines = pa.array([step.rows[j].line for j in asked], pa.int64())
            news = pa.array([step.rows[j].label for j in asked], labels.type)
            places = pc.index_in(table["line"], lines)
            self._found[i].update(
                asked[place] for place in pc.unique(pc.drop_null(places)).to_pylist()
            )
            labels = pc.coalesce(pc.take(news, places), labels)
        self._changed[i] += pc.sum(pc.not_equal(before, labels)).as_py() or 0
        return labels


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)

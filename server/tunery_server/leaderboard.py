"""The leaderboard as CSV: a line per evaluation, a column per metric and for its interval."""

import csv
import io
from collections.abc import Awaitable, Callable

from tunery.types import Evaluation, Metric, Page

MEDIA_TYPE = "text/csv"
_FACTS = (
    *("id", "created_at", "version", "checkpoint", "dataset", "split", "rows"),
    *("runtime", "precision", "test_set_uses", "primary_metric"),
)
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
Cell = str | int | float | None


async def as_csv(fetch: Callable[[str | None], Awaitable[Page[Evaluation]]]) -> str:
    """Return all evaluations of a list, which is fetched page by page after an id."""
    lines: list[dict[str, Cell]] = []
    after: str | None = None
    while True:
        page = await fetch(after)
        lines += map(_line, page.data)
        if not page.has_more:
            return _written(lines)
        after = page.last_id


def _line(evaluation: Evaluation) -> dict[str, Cell]:
    line: dict[str, Cell] = {name: getattr(evaluation, name) for name in _FACTS}
    for name, metric in evaluation.metrics.items():
        line |= _cells(name, metric)
    return line


def _cells(name: str, metric: Metric) -> dict[str, Cell]:
    if metric.low is None:
        return {name: metric.value}
    return {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}


def _written(lines: list[dict[str, Cell]]) -> str:
    heads = list(dict.fromkeys((*_FACTS, *(name for line in lines for name in line))))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_inert, heads))
    writer.writerows([_inert(line.get(head)) for head in heads] for line in lines)
    return text.getvalue()


def _inert(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers.

    Source: OWASP, CSV injection.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_SIGNS) else cell

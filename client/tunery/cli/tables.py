"""Tables: lists of the service as columns that fit the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from tunery._language import Translate
from tunery._progress import duration
from tunery.types import Resolved

STYLES = {
    "ready": "green",
    "succeeded": "green",
    "running": "cyan",
    "loading": "cyan",
    "validating": "cyan",
    "failed": "red",
    "rejected": "red",
    "degraded": "yellow",
    "paused": "yellow",
    "idle": "yellow",
}


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str | Text]], translate: Translate
) -> Table:
    """Return rows under translated heads; a head that begins with > is of a column of numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=any(heads))
    for i, head in enumerate(heads):
        number = head.startswith(">")
        made.add_column(
            translate(head.removeprefix(">")),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=i == 0 or number,
        )
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return made


Fact = tuple[str, str | Text | None]


def facts(rows: Iterable[Fact], translate: Translate) -> Table:
    """Return names and values, one a line; what has no value is left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value is not None and value != "":
            made.add_row(translate(name), value if isinstance(value, Text) else Text(value))
    return made


def status(word: str, translate: Translate) -> Text:
    """Return a status in its colour."""
    return Text(translate(word), style=STYLES.get(word, ""))


def ago(stamp: str | None, translate: Translate) -> str:
    """Return how long ago a moment was."""
    if stamp is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
    if seconds > 48 * 3600:
        return stamp[:10]
    return translate("{time} ago", time=duration(max(0.0, seconds), translate))


def bar(share: float, cells: int = 20) -> str:
    """Return a share of 1 as a bar, in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def size(count: int) -> str:
    """Return bytes in the unit that suits them."""
    for unit, bytes_of in (("GB", 10**9), ("MB", 10**6)):
        if count >= bytes_of:
            return f"{count / bytes_of:.3g} {unit}"
    return f"{count / 1000:.3g} kB"


def resolved_text(resolved: Mapping[str, Resolved]) -> str:
    """Return hyperparameters in a line, each with its rule where it is not a default."""
    return ", ".join(f"{name} {_value(each)}" for name, each in resolved.items())


def _value(setting: Resolved) -> str:
    value = setting.value
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return shown if setting.source == "default" else f"{shown} ({setting.source})"

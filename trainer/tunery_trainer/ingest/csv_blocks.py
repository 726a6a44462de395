"""CSV blocks: the fast way through a file that is written as it should be.

A block is some megabytes of whole records. One whose quotes, newlines and encoding leave no doubt
is parsed by Arrow, its line numbers counted with numpy; `read_block` refuses any other, and whoever
asked takes the careful way of `csv_rows` for it. Both ways give the same rows.
"""

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from tunery_trainer.ingest.records import SCHEMA

BLOCK_BYTES = 4 * 2**20
MAX_BLOCK_BYTES = 4 * BLOCK_BYTES  # a record that is longer is for the careful way
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34

Places = npt.NDArray[np.int64]


class Block(NamedTuple):
    """Whole records, as far as their quotes tell; not `whole` where no end of one is in reach."""

    data: bytes
    whole: bool


class Passed(NamedTuple):
    """The rows of a block, and what the file's counters have to know of it."""

    rows: pa.Table  # of SCHEMA
    lines: int
    foreign: int
    newlines: set[str]
    blank_lines: int


class Layout(NamedTuple):
    """Where the cells are: the columns' places in a row, -1 for one that the file lacks."""

    delimiter: str
    columns: int
    text: int
    label: int
    aside: int = -1
    text_pair: int = -1


def blocks(file: BinaryIO) -> Iterator[Block]:
    """Yield a file in blocks that end with a record, from where it stands."""
    carried = b""
    while data := file.read(BLOCK_BYTES):
        data = carried + data
        end = _last_end(data)
        if end == 0 and len(data) > MAX_BLOCK_BYTES:
            yield Block(data, whole=False)
            return
        if end:
            yield Block(data[:end], whole=True)
        carried = data[end:]
    if carried:
        yield Block(carried, whole=carried.count(b'"') % 2 == 0)


def read_block(data: bytes, layout: Layout, *, lines_before: int) -> Passed | None:
    """Return the rows of a block, a header among them; null where it needs the careful way."""
    if b"\0" in data or data.startswith(BOM_UTF8) or not _is_utf8(data):
        return None  # Arrow would take the mark for the file's, and looks only into some columns
    ended = data if data.endswith(b"\n") else data + b"\n"
    signs = np.frombuffer(ended, np.uint8)
    newlines = np.flatnonzero(signs == _NEWLINE)
    quotes = np.flatnonzero(signs == _QUOTE)
    ends = _record_ends(newlines, quotes)
    crlf = b"\r" in ended
    if crlf and not np.all(signs[np.flatnonzero(signs == _RETURN) + 1] == _NEWLINE):
        return None
    if not _are_in_place(signs, quotes, layout.delimiter):
        return None
    starts = np.concatenate(([0], ends[:-1] + 1))
    filled = ends - starts > (signs[np.maximum(ends - 1, 0)] == _RETURN)
    rows = _parse(ended, layout, has_quotes=bool(len(quotes)))
    if rows is None or rows.num_rows != np.count_nonzero(filled):
        return None
    first_lines = 1 + lines_before + np.searchsorted(newlines, starts[filled])
    before = signs[np.maximum(ends[filled] - 1, 0)] == _RETURN
    if ended is not data:
        before = before[:-1]  # the last line has no end of its own
    kinds = {"\r\n": bool(before.any()), "\n": not before.all()}
    return Passed(
        rows=rows.set_column(0, SCHEMA.field("line"), pa.array(first_lines, pa.int64())),
        lines=len(newlines),
        foreign=0 if ended.isascii() else _foreign_lines(signs, newlines),
        newlines={newline for newline, found in kinds.items() if found},
        blank_lines=len(filled) - int(np.count_nonzero(filled)),
    )


def has_sound_quotes(data: bytes, delimiter: str) -> bool:
    """Return whether each quote opens a cell, closes one, or is half of a doubled one."""
    signs = np.frombuffer(data + b"\n", np.uint8)
    return _are_in_place(signs, np.flatnonzero(signs == _QUOTE), delimiter)


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _last_end(data: bytes) -> int:
    """Return the place behind the last newline that no open quote holds; 0 if there is none."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    signs = np.frombuffer(data, np.uint8)
    ends = _record_ends(np.flatnonzero(signs == _NEWLINE), np.flatnonzero(signs == _QUOTE))
    return int(ends[-1]) + 1 if len(ends) else 0


def _record_ends(newlines: Places, quotes: Places) -> Places:
    if not len(quotes):
        return newlines
    outside: Places = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return outside


def _are_in_place(signs: npt.NDArray[np.uint8], quotes: Places, delimiter: str) -> bool:
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before = signs[np.maximum(opening - 1, 0)]
    opens = np.isin(before, (ord(delimiter), _NEWLINE, _QUOTE)) | (opening == 0)
    closes = np.isin(signs[closing + 1], (ord(delimiter), _NEWLINE, _RETURN, _QUOTE))
    return bool(opens.all() and closes.all())


def _parse(data: bytes, layout: Layout, *, has_quotes: bool) -> pa.Table | None:
    names = [str(i) for i in range(layout.columns)]
    places = dict.fromkeys((layout.text, layout.label, layout.aside, layout.text_pair))
    wanted = [str(i) for i in places if i >= 0]
    try:
        found = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(
                column_names=names, use_threads=False, block_size=len(data) + 1
            ),
            parse_options=csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if has_quotes else False,
                newlines_in_values=has_quotes,
            ),
            convert_options=csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None  # a ragged row
    nothing = pa.nulls(found.num_rows, pa.string())
    columns = [
        pa.nulls(found.num_rows, pa.int64()),
        found.column(str(layout.text)),
        found.column(str(layout.label)),
        nothing if layout.aside < 0 else found.column(str(layout.aside)),
        nothing,
        nothing if layout.text_pair < 0 else found.column(str(layout.text_pair)),
    ]
    return pa.table(columns, schema=SCHEMA)


def _foreign_lines(signs: npt.NDArray[np.uint8], newlines: Places) -> int:
    starts = np.concatenate(([0], newlines[:-1] + 1))
    return int(np.count_nonzero(np.maximum.reduceat(signs, starts) >= 0x80))

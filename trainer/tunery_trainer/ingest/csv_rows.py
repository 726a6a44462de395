"""CSV: lines to cells, by a reader of its own.

Python's csv module can't say where a quote was opened, can't go on behind a broken row, and keeps
its limit in a global. This reader takes the common line, one without a quote, by `str.split`.

Source: RFC 4180; a quote inside an unquoted cell is text, as spreadsheets have it.
"""

from collections.abc import Iterator
from itertools import islice

from tunery.types import Columns
from tunery_trainer.ingest.columns import SAMPLE_ROWS, choose, names_of
from tunery_trainer.ingest.csv_blocks import Layout, blocks, has_sound_quotes, read_block
from tunery_trainer.ingest.findings import Findings, counted
from tunery_trainer.ingest.lines import Lines, TextFile
from tunery_trainer.ingest.records import (
    Opened,
    Part,
    Record,
    Seen,
    is_whole,
    parts_of,
    take_sample,
)

_DELIMITERS = ",;\t|"
_SNIFFED_LINES = 100
_ENDS = "\r\n"
_MAX_QUOTED = 4_000_000  # characters of a cell that are searched for its closing quote

Cells = tuple[int, list[str]]  # line where the row starts, cells


class _QuoteBroken(Exception):
    """A quoted cell does not end as it should; `opening` is the line of its first quote."""

    def __init__(self, opening: int, message: str) -> None:
        super().__init__(message)
        self.opening = opening


def open_csv(
    file: TextFile,
    wanted: Columns | None,
    aside: str | None,
    errors: Findings,
    *,
    delimiter: str | None = None,
) -> Opened | None:
    """Return the table below the header; null when there is no usable header, which is reported."""
    broken = Findings()  # reported again, and kept, when the rows are read
    with file.look():
        lines = Lines(file.rest())
        delimiter = delimiter or _sniff(lines, wanted)
        rows = read_cells(lines, delimiter, broken, Seen())
        first = next(rows, None)
        sample = take_sample(rows, SAMPLE_ROWS, lambda row: sum(map(len, row[1])) if row else 0)
    if first is None:
        errors.take(broken)
        return None
    if not all(map(is_whole, first[1])):
        return None  # escaped bytes, which are reported with the file
    cells = [row[1] for row in sample if row is not None]
    chosen = choose(first[1], cells, wanted, aside, errors, may_lack_header=True)
    if chosen is None:
        return None
    names, used, header = chosen
    layout = Layout(
        delimiter=delimiter,
        columns=len(names),
        text=names.index(used.text),
        label=names.index(used.label),
        aside=-1 if aside is None else names.index(aside),
        text_pair=-1 if used.text_pair is None else names.index(used.text_pair),
    )
    seen = Seen()
    parts = _parts(file, layout, errors, seen, header=header)
    return Opened(used, parts, "csv", delimiter, header, seen)


def _parts(
    file: TextFile, layout: Layout, errors: Findings, seen: Seen, *, header: bool
) -> Iterator[Part]:
    """Yield the rows, block by block on the fast way, and on the careful one where that fails."""
    skip = header  # until a row has come

    def careful(source: Iterator[str]) -> Iterator[Part]:
        nonlocal skip
        rows = read_cells(Lines(source, file.lines), layout.delimiter, errors, seen)
        if skip:
            skip = not list(islice(rows, 1))
        return parts_of(_record(row, layout, errors) for row in rows)

    if file.encoding != "utf-8":
        yield from careful(file.rest())
        return
    with file.path.open("rb") as bytes_of_file:
        bytes_of_file.seek(file.start)
        for block in blocks(bytes_of_file):
            passed = None
            if block.whole:
                passed = read_block(block.data, layout, lines_before=file.lines)
            if passed is not None:
                size = len(block.data)
                file.passed(size_bytes=size, lines=passed.lines, foreign=passed.foreign)
                seen.newlines |= passed.newlines
                seen.blank_lines += passed.blank_lines
                yield Part(passed.rows.slice(1) if skip else passed.rows)
                skip = skip and not passed.rows.num_rows
            elif block.whole and has_sound_quotes(block.data, layout.delimiter):
                yield from careful(file.of_block(block.data))
            else:
                yield from careful(file.rest())
                return


def _record(row: Cells | None, layout: Layout, errors: Findings) -> Record | None:
    if row is None:
        return None
    line, cells = row
    if len(cells) != layout.columns:
        found = counted(len(cells), "cell")
        errors.add(
            "ragged-row", f"the row has {found}, the header has {layout.columns:,}", line=line
        )
        return None
    aside = None if layout.aside < 0 else cells[layout.aside]
    pair = None if layout.text_pair < 0 else cells[layout.text_pair]
    return Record(line, cells[layout.text], cells[layout.label], aside, text_pair=pair)


def read_cells(
    lines: Lines, delimiter: str, errors: Findings, seen: Seen
) -> Iterator[Cells | None]:
    """Yield the rows; null for one whose quotes are broken, after reporting it.

    Behind such a row it goes on at the line after the opening quote. That stays linear: a line
    that left a quote open ends the search of any quote opened before it.
    """
    for text in lines:
        start = lines.number
        if '"' not in text:
            body = text.rstrip(_ENDS)
            if body.strip(" "):
                seen.newlines.add(text[len(body) :])
                yield start, body.split(delimiter)
            else:
                seen.blank_lines += 1
            continue
        try:
            cells, end = _quoted_row(text, lines, delimiter)
        except _QuoteBroken as error:
            errors.add("unbalanced-quote", str(error), line=error.opening)
            yield None
        else:
            seen.newlines.add(end)
            yield start, cells


def _quoted_row(text: str, lines: Lines, delimiter: str) -> tuple[list[str], str]:
    """Return the cells of a row that starts with a line, and the line end behind them."""
    cells: list[str] = []
    position = 0
    while True:
        if text.startswith('"', position):
            cell, text, position = _quoted_cell(text, position, lines, delimiter)
        else:
            end = text.find(delimiter, position)
            end = end if end >= 0 else len(text.rstrip(_ENDS))
            cell, position = text[position:end], end
        cells.append(cell)
        if not text.startswith(delimiter, position):
            return cells, text[position:]
        position += 1


def _quoted_cell(text: str, start: int, lines: Lines, delimiter: str) -> tuple[str, str, int]:
    """Return the cell whose quote is at `start`, the line where it ends, and the place behind it.

    Raises:
        _QuoteBroken: it does not end; the lines behind its first one have been given back.
    """
    opening, position = lines.number, start + 1
    taken: list[str] = []
    pieces: list[str] = []
    size = 0
    while True:
        end = text.find('"', position)
        if end < 0:
            pieces.append(text[position:])
            size += len(text) - position
            follower = next(lines, None) if size <= _MAX_QUOTED else None
            if follower is None:
                within = f"not closed within {_MAX_QUOTED:,} characters"
                closed = within if size > _MAX_QUOTED else "never closed"
                lines.give_back(taken)
                raise _QuoteBroken(opening, f"a quote is opened and {closed}")
            taken.append(follower)
            text, position = follower, 0
        elif text.startswith('"', end + 1):
            pieces.append(text[position : end + 1])
            position = end + 2
        else:
            pieces.append(text[position:end])
            if not text.startswith((delimiter, *_ENDS), end + 1) and end + 1 < len(text):
                where = f" on line {lines.number:,}" if taken else ""
                lines.give_back(taken)
                message = f"the quote that opens here is closed{where} in the middle of a cell"
                raise _QuoteBroken(opening, message)
            return "".join(pieces), text, end + 1


def _sniff(lines: Lines, wanted: Columns | None) -> str:
    """Return the delimiter that splits the header, and then most rows into as many cells."""
    sample = take_sample(lines, _SNIFFED_LINES, len)
    lines.give_back(sample)

    def fitness(delimiter: str) -> tuple[bool, bool, float]:
        rows = [
            row[1] for row in read_cells(Lines(iter(sample)), delimiter, Findings(), Seen()) if row
        ]
        if not rows or len(rows[0]) < 2:
            return False, False, 0.0
        named = wanted is not None and set(names_of(wanted)) <= set(rows[0])
        return True, named, sum(len(row) == len(rows[0]) for row in rows) / len(rows)

    return max(_DELIMITERS, key=fitness)

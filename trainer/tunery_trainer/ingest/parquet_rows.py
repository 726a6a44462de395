"""Parquet: record batches to cells.

Text and label are read as dictionaries, so that a value that stands a million times is held once;
what they would be written out is added up before anything is. The file's own figures are not
believed: memory is bounded by the child's limit, time by whoever started it.
"""

import resource
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tunery.types import Columns
from tunery_trainer.ingest.columns import MAX_COLUMNS, SAMPLE_ROWS, choose
from tunery_trainer.ingest.findings import Findings, quote
from tunery_trainer.ingest.records import (
    MAX_ROWS,
    Opened,
    Part,
    parts_of_batches,
    refuse_more_rows,
    sizes_bytes,
)

MAX_DECODED_BYTES = 2 * 2**30
_BATCH_ROWS = 8192
_UNPACKING_BYTES = 384 * 2**20
_THRIFT_BYTES = 16 * 2**20  # of a file's own description
_SAMPLED_CELL = 1000  # characters
_EXTENSION = b"ARROW:extension:name"  # a type that needs code of its own is not looked into
_FIRST_LINE = 1  # rows are counted from here, as lines are


def open_parquet(
    path: Path,
    wanted: Columns | None,
    aside: str | None,
    errors: Findings,
    beat: Callable[[], None] = lambda: None,
) -> Opened | None:
    """Return the table; null when the file can't be read or lacks the columns.

    `beat` is called while the file is looked through, which can take a while.
    """
    try:
        file = _open(path, [])
        schema = file.schema_arrow
        names = schema.names
        sample = []
        if len(names) <= MAX_COLUMNS and len(set(names)) == len(names):
            readable = [name for name in names if _is_cell(schema.field(name))]
            strings = [name for name in readable if _is_text(schema.field(name))]
            with _bounded():
                sample = _sample(_open(path, strings), readable)
    except MemoryError:
        _too_large(errors)
        return None
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        _unreadable(error, errors)
        return None
    cells = [[row.get(name) or "" for name in names] for row in sample]
    chosen = choose(names, cells, wanted, aside, errors)
    if chosen is None:
        return None
    read = {
        "text": chosen.used.text,
        "label": chosen.used.label,
        "text_pair": chosen.used.text_pair,
        "aside": aside,
    }
    used = {name: column for name, column in read.items() if column is not None}
    extended = [field.name for field in schema if _EXTENSION in (field.metadata or {})]
    if extended:
        _unreadable(f"the column {quote(extended[0])} has an extension type", errors)
        return None
    cells_of = dict.fromkeys(column for name, column in used.items() if name != "aside")
    unfit = [name for name in cells_of if not _is_cell(schema.field(name))]
    if aside is not None and not (_is_cell(schema.field(aside)) or _is_time(schema.field(aside))):
        unfit.append(aside)
    for name in unfit:
        kind = quote(str(schema.field(name).type))
        message = f"the column {quote(name)} holds {kind}, not text"
        errors.add("unsupported-column-type", message, column=name)
    if unfit:
        return None
    if _claimed_bytes(file.metadata, list(used.values())) > MAX_DECODED_BYTES:
        _too_large(errors)
        return None
    return Opened(chosen.used, _parts(path, used, errors, beat), "parquet")


def _open(path: Path, dictionaries: list[str]) -> pq.ParquetFile:
    return pq.ParquetFile(
        path,
        read_dictionary=dictionaries,
        thrift_string_size_limit=_THRIFT_BYTES,
        thrift_container_size_limit=_THRIFT_BYTES,
    )


def _parts(
    path: Path, used: dict[str, str], errors: Findings, beat: Callable[[], None]
) -> Iterator[Part]:
    columns = list(used.values())
    found = 0
    try:
        if not _is_within(path, columns, errors, beat):
            return
        for part in parts_of_batches(_numbered(path, columns), ["line", *used]):
            found += part.rows.num_rows
            yield part
        claimed = pq.read_metadata(path).num_rows
        if found != claimed:
            _unreadable(f"it claims {claimed:,} rows and has {found:,}", errors)
    except MemoryError:
        _too_large(errors)
    except (pa.ArrowException, OSError) as error:
        _unreadable(error, errors)


@contextmanager
def _bounded() -> Generator[None]:
    """Let a block take so much more address space, and no more.

    A page's size is known only when it is unpacked; so a file of some kilobytes can't take the
    memory of the whole ingest.

    Raises:
        MemoryError: it needs more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    wanted = taken + _UNPACKING_BYTES
    limit = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _is_within(path: Path, used: list[str], errors: Findings, beat: Callable[[], None]) -> bool:
    """Return whether there are no more rows, and no more bytes in them, than are read."""
    rows = size = 0
    with _bounded():
        for cells in _batches(path, used):
            beat()
            rows += len(cells[0])
            size += sum(int(sizes_bytes(cell).sum()) for cell in cells)
            if rows > MAX_ROWS:
                refuse_more_rows(errors)
                return False
            if size > MAX_DECODED_BYTES:
                _too_large(errors)
                return False
    return True


def _numbered(path: Path, used: list[str]) -> Iterator[list[pa.Array]]:
    row = _FIRST_LINE
    for cells in _batches(path, used):
        numbers = pa.array(np.arange(row, row + len(cells[0])), pa.int64())
        yield [numbers, *map(_without_nan, cells)]
        row += len(cells[0])


def _batches(path: Path, used: list[str]) -> Iterator[list[pa.Array]]:
    with _open(path, used) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=used, use_threads=False):
            yield [batch.column(name) for name in used]


def _without_nan(cells: pa.Array) -> pa.Array:
    """Return NaN as null: it is what pandas writes for a missing number."""
    if not pa.types.is_floating(cells.type):
        return cells
    return pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells)


def _sample(file: pq.ParquetFile, readable: list[str]) -> list[dict[str, str | None]]:
    """Return the first rows, their long cells cut."""
    for batch in file.iter_batches(SAMPLE_ROWS, columns=readable, use_threads=False):
        # By name: a struct whose field has the path of a column comes, too.
        cut = pa.record_batch([_cut(batch.column(name)) for name in readable], names=readable)
        rows: list[dict[str, str | None]] = cut.to_pylist()
        return rows
    return []


def _cut(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _cut(column.dictionary))
    return pc.utf8_slice_codeunits(pc.cast(_without_nan(column), pa.string()), 0, _SAMPLED_CELL)


def _claimed_bytes(metadata: pq.FileMetaData, used: list[str]) -> int:
    """Return what the columns unpack to, by the file's own account."""
    columns = [i for i in range(metadata.num_columns) if metadata.schema.column(i).path in used]
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    return sum(group.column(i).total_uncompressed_size for group in groups for i in columns)


def _too_large(errors: Findings) -> None:
    limit = f"{MAX_DECODED_BYTES // 2**30} GiB"
    errors.add("decoded-too-large", f"text and label unpack to more than {limit}")


def _value_type(field: pa.Field) -> pa.DataType:
    return field.type.value_type if pa.types.is_dictionary(field.type) else field.type


def _is_text(field: pa.Field) -> bool:
    kind = _value_type(field)
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in kinds)


def _is_cell(field: pa.Field) -> bool:
    """Return whether a column may be the text or the label, which often is a number."""
    kind = _value_type(field)
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return _is_text(field) or any(is_kind(kind) for is_kind in plain)


def _is_time(field: pa.Field) -> bool:
    return any(is_kind(field.type) for is_kind in (pa.types.is_timestamp, pa.types.is_date))


def _unreadable(error: BaseException | str, errors: Findings) -> None:
    reason = " ".join(str(error).split())
    errors.add("unreadable-parquet", f"the Parquet can't be read: {quote(reason)}")

"""Parquet: record batches to cells.

Text and label are read as dictionaries, so that a value that stands a million times is held once;
what they would be written out is added up before anything is. The file's own figures are not
believed: memory is bounded by the child's limit, time by whoever started it.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tunery.types import Columns
from tunery_trainer.ingest.columns import MAX_COLUMNS, SAMPLE_ROWS, choose
from tunery_trainer.ingest.findings import Findings, quote
from tunery_trainer.ingest.records import PART_BYTES, SCHEMA, Opened, Part

MAX_DECODED_BYTES = 2 * 2**30
_BATCH_ROWS = 8192
_UNPACKING_BYTES = 384 * 2**20
_THRIFT_BYTES = 16 * 2**20  # of a file's own description
_SAMPLED_CELL = 1000  # characters
_EXTENSION = b"ARROW:extension:name"  # a type that needs code of its own is not looked into
_FIRST_LINE = 1  # rows are counted from here, as lines are


def open_parquet(
    path: Path, wanted: Columns | None, aside: str | None, errors: Findings
) -> Opened | None:
    """Return the table; null when the file can't be read or lacks the columns."""
    try:
        file = _open(path, [])
        schema = file.schema_arrow
        names = schema.names
        sample = []
        if len(names) <= MAX_COLUMNS and len(set(names)) == len(names):
            readable = [name for name in names if _is_text(schema.field(name))]
            with _bounded():
                sample = _sample(_open(path, readable), readable)
    except MemoryError:
        _too_large(errors)
        return None
    except (pa.ArrowException, OSError, KeyError) as error:
        _unreadable(error, errors)
        return None
    cells = [[row.get(name) or "" for name in names] for row in sample]
    chosen = choose(names, cells, wanted, aside, errors)
    if chosen is None:
        return None
    used = [chosen.used.text, chosen.used.label, *([] if aside is None else [aside])]
    extended = [field.name for field in schema if _EXTENSION in (field.metadata or {})]
    if extended:
        _unreadable(f"the column {quote(extended[0])} has an extension type", errors)
        return None
    fit = [_has_text_type(schema.field(name), errors) for name in used]
    if not all(fit):
        return None
    if _claimed_bytes(file.metadata, used) > MAX_DECODED_BYTES:
        _too_large(errors)
        return None
    return Opened(chosen.used, _parts(path, used, errors), "parquet")


def _open(path: Path, dictionaries: list[str]) -> pq.ParquetFile:
    return pq.ParquetFile(
        path,
        read_dictionary=dictionaries,
        thrift_string_size_limit=_THRIFT_BYTES,
        thrift_container_size_limit=_THRIFT_BYTES,
    )


def _parts(path: Path, used: list[str], errors: Findings) -> Iterator[Part]:
    row = _FIRST_LINE
    try:
        if not _is_within(path, used):
            _too_large(errors)
            return
        for cells in _batches(path, used):
            for start, end in _slices(cells):
                numbers = pa.array(range(row + start, row + end), pa.int64())
                yield Part(_table(numbers, [cell.slice(start, end - start) for cell in cells]))
            row += len(cells[0])
        claimed = pq.read_metadata(path).num_rows
        if row - _FIRST_LINE != claimed:
            found = row - _FIRST_LINE
            _unreadable(f"it claims {claimed:,} rows and has {found:,}", errors)
    except MemoryError:
        _too_large(errors)
    except (pa.ArrowException, OSError) as error:
        _unreadable(error, errors)


@contextmanager
def _bounded() -> Iterator[None]:
    """Let a block take so much more address space, and no more.

    A page's size is known only when it is unpacked; so a file of some kilobytes can't take the
    memory of the whole ingest.

    Raises:
        MemoryError: it needs more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _UNPACKING_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _is_within(path: Path, used: list[str]) -> bool:
    """Return whether the cells unpack to no more than is read."""
    total = 0
    with _bounded():
        for cells in _batches(path, used):
            total += _decoded_bytes(cells)
            if total > MAX_DECODED_BYTES:
                return False
    return True


def _batches(path: Path, used: list[str]) -> Iterator[list[pa.Array]]:
    with _open(path, used) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=used, use_threads=False):
            yield [batch.column(name) for name in used]


def _slices(cells: list[pa.Array]) -> Iterator[tuple[int, int]]:
    """Yield pieces of a batch that stay small when they are written out."""
    count = len(cells[0])
    ends = np.cumsum(sum(map(_sizes, cells)))
    start = 0
    while start < count:
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + PART_BYTES, side="right"))
        end = min(count, max(start + 1, end))
        yield start, end
        start = end


def _table(numbers: pa.Array, cells: list[pa.Array]) -> pa.Table:
    nothing = pa.nulls(len(numbers), pa.string())
    plain = [pc.cast(_without_nan(cell), pa.string()) for cell in cells]
    aside = plain[2] if len(plain) > 2 else nothing
    return pa.table([numbers, plain[0], plain[1], aside, nothing], schema=SCHEMA)


def _without_nan(cells: pa.Array) -> pa.Array:
    """Return NaN as null: it is what pandas writes for a missing number."""
    if not pa.types.is_floating(cells.type):
        return cells
    return pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells)


def _sample(file: pq.ParquetFile, readable: list[str]) -> list[dict[str, str | None]]:
    """Return the first rows, their long cells cut."""
    for batch in file.iter_batches(SAMPLE_ROWS, columns=readable, use_threads=False):
        cut = pa.record_batch([_cut(column) for column in batch.columns], names=readable)
        rows: list[dict[str, str | None]] = cut.to_pylist()
        return rows
    return []


def _cut(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _cut(column.dictionary))
    return pc.utf8_slice_codeunits(pc.cast(column, pa.string()), 0, _SAMPLED_CELL)


def _decoded_bytes(cells: list[pa.Array]) -> int:
    return int(sum(_sizes(cell).sum() for cell in cells))


def _sizes(cells: pa.Array) -> npt.NDArray[np.int64]:
    """Return how many bytes each cell takes when it is written out."""
    if pa.types.is_dictionary(cells.type):
        sizes = pc.binary_length(cells.dictionary).take(cells.indices)
    elif pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        sizes = pc.binary_length(cells)
    else:
        return np.full(len(cells), 8, np.int64)
    filled: npt.NDArray[np.int64] = pc.fill_null(sizes, 0).to_numpy(zero_copy_only=False)
    return filled.astype(np.int64)


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


def _has_text_type(field: pa.Field, errors: Findings) -> bool:
    kind = _value_type(field)
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)  # as labels often are
    if _is_text(field) or any(is_kind(kind) for is_kind in plain):
        return True
    message = f"the column {quote(field.name)} holds {quote(str(field.type))}, not text"
    errors.add("unsupported-column-type", message, column=field.name)
    return False


def _unreadable(error: BaseException | str, errors: Findings) -> None:
    reason = " ".join(str(error).split())
    errors.add("unreadable-parquet", f"the Parquet can't be read: {quote(reason)}")

"""What a Parquet file may hold, and what is said about one that can't be read."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunery.types import Columns, SplitSpec

PARQUET = "application/vnd.apache.parquet"
TEXTS = [f"text number {i}" for i in range(60)]
LABELS = ["ab"[i % 2] for i in range(60)]
DAYS = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(60)]


@pytest.fixture
def parquet(tmp_path):
    """Write a Parquet file of columns."""

    def parquet(**columns):
        path = tmp_path / "rows.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return parquet


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
)
def test_parquet_text_is_read_whatever_its_string_type(ingest, parquet, kind):
    texts = (
        pa.array(TEXTS).cast(kind) if not pa.types.is_string_view(kind) else pa.array(TEXTS, kind)
    )

    outcome = ingest(parquet(text=texts, label=LABELS), media_type=PARQUET)

    assert outcome.ingested.labels == ["a", "b"]
    assert outcome.rows()[0] == {"line": 1, "text": "text number 0", "label": "a"}
    assert outcome.report.dialect.format == "parquet"


def test_parquet_label_may_be_an_integer(ingest, parquet):
    outcome = ingest(parquet(text=TEXTS, label=[i % 3 for i in range(60)]), media_type=PARQUET)

    assert outcome.ingested.labels == ["0", "1", "2"]


def test_parquet_null_is_a_missing_cell(ingest, parquet):
    file = parquet(text=[None, *TEXTS[1:]], label=[*LABELS[:-1], None])

    outcome = ingest(file, media_type=PARQUET)

    assert outcome.errors() == [("empty-text", 1), ("null-label", 60)]


@pytest.mark.parametrize(
    "texts", [[[text] for text in TEXTS], [{"x": text} for text in TEXTS], [b"x"] * 60]
)
def test_parquet_column_that_holds_no_text_is_refused(ingest, parquet, texts):
    columns = Columns(text="text", label="label")

    outcome = ingest(parquet(text=texts, label=LABELS), media_type=PARQUET, columns=columns)

    assert [code for code, _ in outcome.errors()] == ["unsupported-column-type"]


@pytest.mark.parametrize("size", [4, 100, 1000])
def test_parquet_that_is_cut_off_is_unreadable(ingest, parquet, size):
    whole = parquet(text=TEXTS, label=LABELS).read_bytes()

    outcome = ingest(whole[:size], media_type=PARQUET)

    assert [code for code, _ in outcome.errors()] == ["unreadable-parquet"]


def test_parquet_of_few_bytes_that_unpacks_to_gigabytes_is_refused(ingest, parquet):
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 60_000, pa.int32()), ["x" * 90_000])
    labels = pa.array([f"{i % 2}" for i in range(60_000)])

    outcome = ingest(parquet(text=many, label=labels), media_type=PARQUET)

    assert [code for code, _ in outcome.errors()] == ["decoded-too-large"]


def test_parquet_label_is_guessed_as_of_a_csv(ingest, parquet):
    columns = {"score": range(60), "rate": [i / 7e9 for i in range(60)], "words": TEXTS}

    outcome = ingest(parquet(**columns, kind=LABELS), media_type=PARQUET)

    assert (outcome.ingested.columns.text, outcome.ingested.columns.label) == ("words", "kind")


def test_parquet_label_may_be_called_as_its_column(ingest, parquet):
    outcome = ingest(parquet(words=TEXTS, kind=["kind", "other"] * 30), media_type=PARQUET)

    assert outcome.ingested.labels == ["kind", "other"]


@pytest.mark.parametrize("bad_row", [500, 2500])  # in the rows that columns are guessed by, or not
def test_parquet_string_that_is_not_utf8_is_unreadable(ingest, tmp_path, bad_row):
    texts = [b"text %d" % i for i in range(3000)]
    texts[bad_row] = b"caf\xe9"
    table = pa.table({"text": pa.array(texts, pa.binary()), "label": ["a", "b", "c"] * 1000})
    broken = pa.StringArray.from_buffers(3000, *table["text"].chunk(0).buffers()[1:])
    pq.write_table(table.set_column(0, "text", broken), tmp_path / "rows", row_group_size=1000)

    outcome = ingest(tmp_path / "rows", media_type=PARQUET)

    assert [code for code, _ in outcome.errors()] == ["unreadable-parquet"]
    assert "UTF8" in outcome.report.errors[0].message


@pytest.mark.parametrize(
    "kind",
    [pa.date32(), pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", tz="Asia/Shanghai")],
)
def test_parquet_time_column_may_hold_times(ingest, parquet, kind):
    days = pa.array(DAYS[::-1], pa.timestamp("ms")).cast(kind)

    outcome = ingest(
        parquet(text=TEXTS, label=LABELS, day=days),
        media_type=PARQUET,
        split=SplitSpec(time_column="day"),
    )

    assert outcome.ingested.splits["test"] > 0
    assert min(row["line"] for row in outcome.rows("train")) > max(
        row["line"] for row in outcome.rows("test")
    )


def test_parquet_time_is_no_text(ingest, parquet):
    columns = Columns(text="text", label="label")

    outcome = ingest(parquet(text=DAYS, label=LABELS), media_type=PARQUET, columns=columns)

    assert [code for code, _ in outcome.errors()] == ["unsupported-column-type"]


def test_parquet_struct_beside_a_column_of_its_path_is_passed_over(ingest, parquet):
    columns = {"a": [{"text": i} for i in range(60)], "a.text": TEXTS, "kind": LABELS}

    outcome = ingest(parquet(**columns), media_type=PARQUET)

    assert outcome.ingested.columns.text == "a.text"
    assert outcome.rows()[0]["text"] == TEXTS[0]


def test_parquet_of_more_rows_than_are_read_is_refused(ingest, parquet):
    columns = Columns(text="bit", label="bit")

    outcome = ingest(parquet(bit=np.zeros(10_000_001, bool)), media_type=PARQUET, columns=columns)

    assert [code for code, _ in outcome.errors()] == ["dataset-too-large"]


def test_unpacking_is_bounded_where_the_limit_is_near(tmp_path):
    program = """if True:
    import resource
    from pathlib import Path
    from tunery_trainer.ingest.parquet_rows import _bounded

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    near = taken + 2**26
    resource.setrlimit(resource.RLIMIT_AS, (near, near))
    with _bounded():
        print(resource.getrlimit(resource.RLIMIT_AS) == (near, near))
    """

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == b"True\n"

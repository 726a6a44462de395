"""What a file may cost: no cell takes hours, and nothing is held that grows with the file."""

import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunery_trainer.ingest.records import PART_BYTES
from tunery_trainer.ingest.stored_rows import open_stored


@pytest.mark.parametrize("marks", ["\u0301\u0316" * 100_000, "\u0316" * 1000])
def test_text_that_would_take_hours_to_compose_is_refused(ingest, csv_of, marks):
    began = time.monotonic()

    outcome = ingest(csv_of(60, f"a{marks},ham"))

    assert outcome.errors() == [("invalid-unicode", 62)]
    assert "combining marks" in outcome.report.errors[0].message
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("text", ["o\u0308\u0323" * 2000, "क्षि" * 2000, "a" + "\u0316" * 400])
def test_text_with_many_marks_is_read(ingest, csv_of, text):
    outcome = ingest(csv_of(60, f"{text},ham"))

    assert outcome.rows()[-1]["text"] == text


def test_stored_rows_come_in_parts_that_stay_small(tmp_path):
    texts = [f"{i}{'x' * 999_999}" for i in range(20)]
    table = pa.table({"line": range(20), "text": texts, "label": ["a"] * 20})
    pq.write_table(table, tmp_path / "train.parquet")

    parts = [part.rows for part in open_stored(tmp_path / "train.parquet").parts]

    assert max(part.nbytes for part in parts) <= PART_BYTES
    assert [text for part in parts for text in part["text"].to_pylist()] == texts

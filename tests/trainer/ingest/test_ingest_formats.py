"""What else than CSV and JSONL is read: Parquet, a JSON array, declared and guessed encodings."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunery.types import Columns

JSON, PARQUET = "application/json", "application/vnd.apache.parquet"
TEXTS = [f"text number {i}" for i in range(60)]
LABELS = ["ab"[i % 2] for i in range(60)]
CHINESE = "".join(
    f"这家店的味道很好，下次还来{i},{'好评' if i % 2 else '差评'}\n" for i in range(60)
)


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


@pytest.mark.parametrize("indent", [None, 2])
def test_array_of_objects_is_read_with_the_line_of_each(ingest, indent):
    objects = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]

    outcome = ingest(json.dumps(objects, indent=indent), media_type=JSON)

    assert outcome.report.accepted == 60
    assert outcome.rows()[-1]["line"] == (2 + 59 * 4 if indent else 1)
    assert outcome.report.dialect.format == "json"


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ("", "malformed-json-line"),
        (', {"text": }]', "malformed-json-line"),
        (", 3]", "not-an-object"),
        (', {"text": "x", "text": "y"}]', "duplicate-key"),
    ],
)
def test_broken_array_is_said_with_its_line(ingest, tail, code):
    objects = [json.dumps({"text": t, "label": n}) for t, n in zip(TEXTS, LABELS, strict=True)]

    outcome = ingest("[" + ",\n".join(objects) + tail, media_type=JSON)

    assert outcome.errors() == [(code, 60)]


@pytest.mark.parametrize("policy", ["gb18030", "GB18030", "auto"])
def test_encoding_is_the_declared_or_the_likely_one(ingest, policy):
    outcome = ingest(f"text,label\n{CHINESE}".encode("gb18030"), policies={"encoding": policy})

    assert outcome.ingested.labels == ["好评", "差评"]
    assert outcome.report.encoding == "gb18030"


def test_auto_leaves_utf8_what_it_is(ingest):
    outcome = ingest(f"text,label\n{CHINESE}", policies={"encoding": "auto"})

    assert outcome.report.encoding == "utf-8"


def test_bytes_that_the_declared_encoding_lacks_are_said(ingest, csv_of):
    content = csv_of(60).encode() + b"caf\xff\xff\xff,ham\n"

    outcome = ingest(content, policies={"encoding": "gb18030"})

    assert [code for code, _ in outcome.errors()] == ["invalid-unicode"]


def test_blocks_and_single_rows_are_read_alike(ingest, tmp_path):
    # 60,000 rows are several blocks; the broken ones send their blocks the careful way.
    rows = [f'"number {i}, ""quoted""\nand so on",{"ab"[i % 2]}' for i in range(60_000)]
    rows[15_000] = "ragged"
    rows[45_000] = "empty,,"
    content = "text,label\n" + "\n".join(rows) + "\n"

    outcome = ingest(content, policies={"near_duplicates": "skip"})

    # A row takes two lines.
    assert outcome.errors() == [("ragged-row", 2 + 2 * 15_000), ("ragged-row", 1 + 2 * 45_000)]
    assert outcome.report.rows == 60_000


def test_all_findings_are_listed_beyond_the_first_thousand(ingest, csv_of):
    outcome = ingest(csv_of(60, *["ragged"] * 1500))

    lines = (outcome.directory / "findings.ndjson").read_text().splitlines()
    assert len(lines) == 1500
    assert json.loads(lines[-1])["line"] == 61 + 1500
    assert json.loads(lines[-1])["severity"] == "error"

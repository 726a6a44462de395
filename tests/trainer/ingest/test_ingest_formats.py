"""What else than CSV and JSONL is read: a JSON array, declared and guessed encodings."""

import json

import pytest

JSON = "application/json"
TEXTS = [f"text number {i}" for i in range(60)]
LABELS = ["ab"[i % 2] for i in range(60)]
CHINESE = "".join(
    f"这家店的味道很好，下次还来{i},{'好评' if i % 2 else '差评'}\n" for i in range(60)
)


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
        (', {"\\ud800": 1}]', "invalid-unicode"),
        ('{"text": "no comma", "label": "a"}]', "malformed-json-line"),
        (",]", "malformed-json-line"),
        ("] [1]", "malformed-json-line"),
        ("] }{", "malformed-json-line"),
    ],
)
def test_broken_array_is_said_with_its_line(ingest, tail, code):
    objects = [json.dumps({"text": t, "label": n}) for t, n in zip(TEXTS, LABELS, strict=True)]

    for newline in ("\n", "\r", "\r\n"):
        outcome = ingest("[" + f",{newline}".join(objects) + tail, media_type=JSON)

        assert outcome.errors() == [(code, 60)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_array_may_have_a_byte_order_mark(ingest, encoding):
    objects = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]

    outcome = ingest(json.dumps(objects).encode(encoding), media_type=JSON)

    assert outcome.report.accepted == 60


def test_array_on_one_line_may_be_of_any_length(ingest):
    objects = [
        {"text": f"{i} {'x' * 500_000}", "label": label} for i, label in enumerate(LABELS[:30])
    ]

    outcome = ingest(json.dumps(objects), media_type=JSON, policies={"near_duplicates": "skip"})

    assert outcome.report.accepted == 30


@pytest.mark.parametrize("content", ["[]", " [\n\n] \n"])
def test_empty_array_is_said_to_be_empty(ingest, content):
    outcome = ingest(content, media_type=JSON)

    assert [(found.code, found.message) for found in outcome.report.errors] == [
        ("no-rows", "the array is empty")
    ]


def test_broken_byte_in_an_array_is_reported_once(ingest):
    objects = [json.dumps({"text": t, "label": n}) for t, n in zip(TEXTS, LABELS, strict=True)]
    objects[30] = '{"text": "caf\u00e9", "label": "a"}'
    content = ("[" + ",\n".join(objects) + "]").encode().replace(b"\xc3\xa9", b"\xe9")

    outcome = ingest(content, media_type=JSON)

    assert outcome.errors() == [("invalid-utf8", 31)]


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

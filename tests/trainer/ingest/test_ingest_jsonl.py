"""What a JSONL file may hold, and what is said about a line that can't be read."""

import json

import pytest

JSONL = "application/x-ndjson"
ROWS = [json.dumps({"text": f"text number {i}", "label": "ab"[i % 2]}) for i in range(60)]


def jsonl(*extra: str) -> str:
    return "\n".join([*ROWS, *extra]) + "\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"text": "x", ', "malformed-json-line"),
        ("text,label", "malformed-json-line"),
        ('["x", "a"]', "not-an-object"),
        ("3", "not-an-object"),
        ("null", "not-an-object"),
        ('{"label": "a"}', "missing-field"),
        ('{"text": "x"}', "missing-field"),
        ('{"text": "x", "label": "a", "label": "b"}', "duplicate-key"),
        ('{"text": "x \\ud800", "label": "a"}', "invalid-unicode"),
        ('{"text": "x", "label": "\\udfff"}', "invalid-unicode"),
        ("[" * 100_000, "json-too-deep"),
        ('{"text": 3, "label": "a"}', "wrong-type"),
        ('{"text": ["x"], "label": "a"}', "wrong-type"),
        ('{"text": "x", "label": ["a"]}', "wrong-type"),
        ('{"text": "x", "label": null}', "null-label"),
        ('{"text": "x", "label": NaN}', "null-label"),
        ('{"text": null, "label": "a"}', "empty-text"),
        ('{"text": "x\\u0000", "label": "a"}', "nul-byte"),
    ],
)
def test_bad_line_is_named(ingest, line, code):
    outcome = ingest(jsonl(line), media_type=JSONL)

    assert outcome.errors() == [(code, 61)]


def test_invalid_utf8_is_reported_once_for_its_line(ingest):
    content = jsonl().encode() + b'{"text": "\xff", "label": "a"}\n'

    outcome = ingest(content, media_type=JSONL)

    assert outcome.errors() == [("invalid-utf8", 61)]


def test_blank_lines_are_skipped_and_still_numbered(ingest):
    outcome = ingest(jsonl("", "  ", '{"text": "last", "label": "a"}'), media_type=JSONL)

    assert outcome.rows()[-1] == {"line": 63, "text": "last", "label": "a"}
    assert outcome.report.dialect.format == "jsonl"


@pytest.mark.parametrize(
    ("literal", "label"), [("1", "1"), ("1.0", "1.0"), ("-7", "-7"), ("true", "true"), ('"1"', "1")]
)
def test_label_is_the_literal_of_the_file(ingest, literal, label):
    line = f'{{"text": "last", "label": {literal}}}'

    outcome = ingest(jsonl(line), media_type=JSONL)

    assert outcome.rows()[-1]["label"] == label


def test_escapes_are_decoded_and_nothing_else(ingest):
    line = json.dumps({"text": ' 1.0 "\n\t\r 好😀 ', "label": "a"})

    outcome = ingest(jsonl(line), media_type=JSONL)

    assert outcome.rows()[-1]["text"] == ' 1.0 "\n\t\r 好😀 '


def test_unknown_media_type_is_refused(ingest):
    outcome = ingest(jsonl(), media_type="application/zip")

    assert [code for code, _ in outcome.errors()] == ["unsupported-format"]

"""What a JSONL file may hold, and what is said about a line that can't be read."""

import json

import pytest

from tunery.types import Columns, SplitSpec
from tunery_trainer.protocol.events import Interrupted

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
        ('{"text": "x", "label": "a", "\\ud800": "b"}', "invalid-unicode"),
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


def test_half_a_character_in_a_field_that_is_not_read_is_let_through(ingest):
    line = '{"text": "last", "label": "a", "more": "\\ud800", "deep": [{"x": "\\udc80"}]}'

    outcome = ingest(jsonl(line), media_type=JSONL)

    assert outcome.rows()[-1]["text"] == "last"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ('"\\ud800"', "invalid-unicode"),
        ('"\\udc80"', "invalid-unicode"),
        ("[1]", "wrong-type"),
        ('{"x": 1}', "wrong-type"),
    ],
)
def test_group_that_is_none_is_named(ingest, cell, code):
    rows = [f'{{"text": "text {i}", "label": "{"ab"[i % 2]}", "g": {i}}}' for i in range(60)]
    bad = f'{{"text": "last", "label": "a", "g": {cell}}}'

    outcome = ingest("\n".join([*rows, bad]), media_type=JSONL, split=SplitSpec(group_by="g"))

    assert outcome.errors() == [(code, 61)]
    assert outcome.report.errors[0].column == "g"


def test_boolean_is_read_as_it_is_written(ingest):
    line = '{"text": "last", "label": "a", "part": true}'
    rows = [row.replace("}", ', "part": "train"}') for row in ROWS]

    outcome = ingest("\n".join([*rows, line]), media_type=JSONL, split=SplitSpec(column="part"))

    assert outcome.report.errors[0].message == "'true' is none of train, validation and test"


@pytest.mark.parametrize("columns", [None, Columns(text="phrase", label="emotion")])
def test_label_may_be_called_as_its_column(ingest, columns):
    rows = [
        {"phrase": f"some longer text {i}", "emotion": ("emotion", "joy")[i % 2]} for i in range(60)
    ]

    outcome = ingest("\n".join(map(json.dumps, rows)), media_type=JSONL, columns=columns)

    assert outcome.ingested.labels == ["emotion", "joy"]


def test_field_that_holds_no_cells_is_not_guessed_to_be_the_label(ingest):
    rows = [
        {"meta": {"id": i}, "flag": i % 7 == 0, "words": f"some text {i}", "kind": "ab"[i % 2]}
        for i in range(60)
    ]

    outcome = ingest("\n".join(map(json.dumps, rows)), media_type=JSONL)

    assert (outcome.ingested.columns.text, outcome.ingested.columns.label) == ("words", "flag")


def test_file_without_a_whole_line_is_read_to_its_end(ingest):
    lines = ["broken"] * 1500 + ["x" * 13 * 2**20, *ROWS]

    outcome = ingest("\n".join(lines), media_type=JSONL)

    assert outcome.report.errors_total == 1501
    codes = [code for code, _ in outcome.errors()]
    assert codes == ["malformed-json-line"] * 1000
    assert outcome.report.rows == 1560


def test_line_that_is_too_large_is_reported_once(ingest):
    outcome = ingest("broken\n" + "x" * 13 * 2**20, media_type=JSONL)

    assert outcome.errors() == [("malformed-json-line", 1), ("line-too-large", 2)]


def test_reading_stops_where_it_is_asked_to(ingest):
    asked = iter(range(1000))

    outcome = ingest("broken\n" * 100_000, media_type=JSONL, released=lambda: next(asked) > 2)

    assert outcome.last == Interrupted(step=0)

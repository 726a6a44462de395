"""How a CSV may be written, and what is said about one that can't be read (RELIABILITY.md 3D)."""

import pytest

from tunery.types import PROBLEMS, Columns, SplitSpec


@pytest.mark.parametrize(
    ("extra", "code", "line"),
    [
        ("one,two,ham", "ragged-row", 62),
        ("lonely", "ragged-row", 62),
        ("nul\0,ham", "nul-byte", 62),
        ("text,nul\0", "invalid-label", 62),
        (f"{'x' * 1_000_001},ham", "cell-too-large", 62),
        (",ham", "empty-text", 62),
        (" \t,ham", "empty-text", 62),
        ("no label,", "null-label", 62),
        ("no label,  ", "null-label", 62),
        (f"long label,{'x' * 257}", "invalid-label", 62),
        ("bell,\a", "invalid-label", 62),
        ('"never closed,ham', "unbalanced-quote", 62),
        ('"closed "early" here",ham', "unbalanced-quote", 62),
        ('"two\nlines",ham\nragged', "ragged-row", 64),
    ],
)
def test_bad_row_is_named_with_its_line(ingest, csv_of, extra, code, line):
    outcome = ingest(csv_of(60, extra))

    assert outcome.errors() == [(code, line)]
    assert outcome.rejected.error.code == code
    assert outcome.rejected.error.message.startswith(f"line {line}: ")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty-file"),
        ("\n\n", "no-rows"),
        ("text,label\n", "no-rows"),
        ("text,text,label\na,b,c\n", "duplicate-column"),
        ("text\nno label anywhere\n", "missing-column"),
        (",".join(f"c{i}" for i in range(1001)) + "\n", "too-many-columns"),
        ("x" * 13 * 2**20, "line-too-large"),
        (b"PAR1....", "format-mismatch"),
        (b"PK\x03\x04....", "format-mismatch"),
        ("text,label\na,b\n".encode("utf-16-le"), "invalid-utf8"),
    ],
)
def test_unusable_file_is_rejected_with_one_finding(ingest, content, code):
    outcome = ingest(content)

    assert [found for found, _ in outcome.errors()] == [code]
    assert outcome.rejected.errors == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_newline_ends_a_row(ingest, csv_of, newline):
    names = {"\n": "lf", "\r\n": "crlf", "\r": "cr"}

    outcome = ingest(csv_of(60, "ragged").replace("\n", newline))

    assert outcome.errors() == [("ragged-row", 62)]
    assert outcome.report.dialect.newline == names[newline]


def test_last_line_needs_no_end_to_be_like_the_others(ingest, csv_of):
    outcome = ingest(csv_of(60).replace("\n", "\r\n").rstrip())

    assert outcome.report.dialect.newline == "crlf"


@pytest.mark.parametrize(("blank", "lines"), [("\r\n", 2**21), (" " * 999 + "\n", 4200)])
def test_header_may_stand_below_megabytes_of_blank_lines(ingest, csv_of, blank, lines):
    outcome = ingest(blank * lines + csv_of(60))

    assert outcome.report.rows == 60
    assert outcome.report.blank_lines == lines


@pytest.mark.parametrize(
    ("label", "split"),
    [
        ("text", SplitSpec()),
        ("label", SplitSpec(group_by="label")),
        ("label", SplitSpec(group_by="text")),
    ],
)
def test_column_may_be_named_twice(ingest, csv_of, label, split):
    outcome = ingest(csv_of(60), columns=Columns(text="text", label=label), split=split)

    assert outcome.report.rows == 60
    assert outcome.report.columns.label == label


def test_mixed_newlines_are_read_and_said(ingest):
    rows = [f"text {i},{'a' if i % 2 else 'b'}" + ("\r" if i % 3 else "\r\n") for i in range(60)]

    outcome = ingest("text,label\n" + "".join(rows))

    assert outcome.report.rows == 60
    assert outcome.report.dialect.newline == "mixed"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_recognised(ingest, delimiter):
    rows = "".join(f'"one, two; {i}"{delimiter}{"ab"[i % 2]}\n' for i in range(60))

    outcome = ingest(f"text{delimiter}label\n{rows}")

    assert outcome.report.dialect.delimiter == delimiter
    assert outcome.ingested.labels == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "NA",
        "null",
        "1.0",
        "  kept  ",
        "a\nb\r\nc\rd",
        'say "hi", then;go',
        "好吃😀",
        "=1+1",
        "a\u2028b",
    ],
)
def test_text_is_stored_exactly_as_it_was(ingest, csv_of, text):
    quoted = '"' + text.replace('"', '""') + '"'

    outcome = ingest(csv_of(60, f"{quoted},ham"))

    assert outcome.rows()[-1] == {"line": 62, "text": text, "label": "ham"}


def test_unquoted_quote_is_text(ingest, csv_of):
    outcome = ingest(csv_of(60, 'a 5" pipe,ham'))

    assert outcome.rows()[-1]["text"] == 'a 5" pipe'


def test_row_is_numbered_by_its_first_physical_line(ingest, csv_of):
    outcome = ingest(csv_of(60, '"a\n\nb",ham', "", "last,spam"))

    assert [row["line"] for row in outcome.rows()[-2:]] == [62, 66]


def test_rows_after_an_open_quote_are_still_checked(ingest, csv_of):
    outcome = ingest(csv_of(60, '"never closed,ham', "ragged", "fine,ham", ",spam"))

    assert outcome.errors() == [("unbalanced-quote", 62), ("ragged-row", 63), ("empty-text", 65)]


@pytest.mark.parametrize("other", ["", 'a "b",ham'])  # on the fast way, and on the careful one
def test_cell_in_quotes_is_measured_to_its_end(ingest, csv_of, other):
    large = "\n".join(["x" * 600_000] * 3)
    rows = [f'"{large}",ham', f'"{"x" * 999_999}","ha\nm"', other]

    outcome = ingest(csv_of(60, *rows), policies={"near_duplicates": "skip"})

    assert outcome.errors() == [("cell-too-large", 62), ("invalid-label", 65)]


def test_quote_that_is_not_closed_for_long_is_said_to_be_just_that(ingest, csv_of):
    outcome = ingest(csv_of(60, '"opened,ham', *["x" * 999] * 5000, '",ham', 'a "b",ham'))

    assert outcome.report.errors[0].line == 62
    assert "not closed within 4,000,000 characters" in outcome.report.errors[0].message


def test_row_with_two_faults_is_reported_twice(ingest, csv_of):
    outcome = ingest(csv_of(60, ","))

    assert outcome.errors() == [("empty-text", 62), ("null-label", 62)]


def test_first_thousand_findings_are_kept_and_all_counted(ingest, csv_of):
    outcome = ingest(csv_of(60, *["ragged"] * 1500))

    assert len(outcome.report.errors) == 1000
    assert outcome.report.errors_total == outcome.rejected.errors == 1500


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_mark_is_honoured(ingest, csv_of, encoding):
    outcome = ingest(csv_of(60, "好吃,ham").encode(encoding))

    assert outcome.rows()[-1]["text"] == "好吃"
    assert outcome.ingested.columns.text == "text"
    assert outcome.report.encoding == {"utf-8-sig": "utf-8"}.get(encoding, encoding)


def test_invalid_byte_is_placed_by_line_and_offset(ingest, csv_of):
    head = csv_of(60, "caf\u00e9 number 1,ham").encode()

    outcome = ingest(head + b"bad \xff byte,ham\n")

    assert outcome.errors() == [("invalid-utf8", 63)]
    assert f"byte 0xff at offset {len(head) + 4:,}" in outcome.report.errors[0].message


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", "送餐很快，味道不错，下次还会再来"),
        ("shift_jis", "とても美味しかったので、また来ます"),
        ("cp1252", "très bon café, où déjeuner à Noël"),
    ],
)
def test_other_encoding_is_named_with_a_sample(ingest, encoding, text):
    rows = "".join(f'"{text}{i}",{"ab"[i % 2]}\n' for i in range(60))

    outcome = ingest(f"text,label\n{rows}".encode(encoding))

    assert outcome.errors() == [("invalid-utf8", 2)]
    assert f"looks like {encoding}: '\"{text}0" in outcome.report.errors[0].hint


def test_missing_column_proposes_a_look_alike_and_takes_none(ingest, csv_of):
    columns = Columns(text="Text", label="label")

    outcome = ingest(csv_of(60), columns=columns)

    assert outcome.errors() == [("missing-column", 1)]
    assert outcome.report.errors[0].hint == "Did you mean 'text'?"


def test_missing_column_lists_fifty_names(ingest):
    header = ",".join(f"c{i}" for i in range(60))

    outcome = ingest(header + "\n", columns=Columns(text="text", label="c1"))

    message = outcome.report.errors[0].message
    assert "'c49' and 10 more" in message
    assert "'c50'" not in message


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("label,text", "text", "label"),
        ("标签,评论", "评论", "标签"),
        ("Category,Utterance", "Utterance", "Category"),
        ("kind,words", "words", "kind"),
    ],
)
def test_columns_are_guessed_and_said(ingest, header, text, label):
    rows = "".join(f"{'ab'[i % 2]},some longer text {i}\n" for i in range(60))

    outcome = ingest(f"{header}\n{rows}")

    used = outcome.ingested.columns
    assert (used.text, used.label, used.inferred) == (text, label, True)


def test_file_without_a_header_is_not_robbed_of_its_first_row(ingest):
    rows = "".join(f"some longer text {i},{'ab'[i % 2]}\n" for i in range(60))

    outcome = ingest(rows)

    used = outcome.ingested.columns
    assert (used.text, used.label, used.inferred) == ("column_1", "column_2", True)
    assert outcome.report.dialect.header is False
    assert [row["line"] for row in outcome.rows()] == list(range(1, 61))


def test_every_code_is_in_the_problem_table(ingest, csv_of):
    outcome = ingest(csv_of(60, ",", "ragged", "x,\a", '"open'))

    assert {code for code, _ in outcome.errors()} <= PROBLEMS.keys()

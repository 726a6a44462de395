"""What the bytes of a file may be, how they are recognised, and what is said of wrong ones."""

import json

import pytest

from tunery.types import ENCODINGS, encoding_of
from tunery_trainer.ingest.encodings import guess, settle_encoding
from tunery_trainer.ingest.findings import Findings
from tunery_trainer.ingest.lines import TextFile

JSON = "application/json"
CHINESE = [f"这家店的味道很好，下次还来{i}" for i in range(60)]
FRENCH = [f"très bon café numéro {i}" for i in range(60)]


def csv_of(header: str, texts: list[str]) -> str:
    return f"{header}\n" + "".join(f"{text},{'ab'[i % 2]}\n" for i, text in enumerate(texts))


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_encoding_gives_whole_characters_whatever_the_bytes(encoding):
    for first in range(256):
        pairs = b"".join(bytes((first, second)) for second in range(256))
        pairs.decode(encoding, "replace").encode()

    assert encoding_of(encoding) == encoding


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("latin-1", "iso8859-1"), ("GBK", "gbk"), ("Shift-JIS", "shift_jis"), ("ms949", "cp949")],
)
def test_encoding_has_several_names(name, encoding):
    assert encoding_of(name) == encoding


@pytest.mark.parametrize(
    "name",
    ["utf-7", "unicode_escape", "punycode", "idna", "undefined", "hex", "rot13", "gb", "", "utf\0"],
)
def test_what_is_no_encoding_of_text_is_refused(ingest, name):
    outcome = ingest("text,label\n", policies={"encoding": name})

    assert encoding_of(name) is None
    assert [code for code, _ in outcome.errors()] == ["unsupported-format"]


@pytest.mark.parametrize("before", ["", "x"])  # with one a mebibyte ends within a character
def test_lines_of_kilobytes_in_another_encoding_are_recognised(tmp_path, before):
    path = tmp_path / "lines"
    line = f"{before}{'这家店的味道很好，下次还来' * 1250}\n".encode("gb18030")
    path.write_bytes(line * 60)

    assert settle_encoding(path, "auto") == "gb18030"


def test_broken_byte_among_utf8_is_not_taken_for_another_encoding(ingest):
    content = csv_of("text,label", FRENCH).encode() + b"caf\xe9tier du coin,a\n"

    outcome = ingest(content, policies={"encoding": "auto"})

    assert outcome.report.encoding == "utf-8"
    assert outcome.errors() == [("invalid-utf8", 62)]


@pytest.mark.parametrize(
    ("encoding", "header", "texts"),
    [("gb18030", "评论,标签", CHINESE), ("cp1252", "phrase,catégorie", FRENCH)],
)
def test_header_in_another_encoding_is_recognised_with_the_rows(ingest, encoding, header, texts):
    outcome = ingest(csv_of(header, texts).encode(encoding))

    assert outcome.errors() == [("invalid-utf8", 1)]
    assert f"looks like {encoding}: '{header}'" in outcome.report.errors[0].hint


@pytest.mark.parametrize("indent", [None, 1])
def test_keys_in_another_encoding_are_recognised(ingest, indent):
    objects = [{"评论": text, "标签": "好差"[i % 2]} for i, text in enumerate(CHINESE)]
    content = json.dumps(objects, ensure_ascii=False, indent=indent).encode("gbk")

    outcome = ingest(content, media_type=JSON)

    assert [code for code, _ in outcome.errors()] == ["invalid-utf8"]
    assert "looks like gb18030" in outcome.report.errors[0].hint


@pytest.mark.parametrize("extra", ["", "ragged"])  # on the fast way, and on the careful one
def test_broken_byte_in_a_column_that_is_not_read_is_reported(ingest, extra):
    rows = "".join(f"text {i},{'ab'[i % 2]},note\n" for i in range(60))
    content = f"text,label,notes\n{rows}".encode() + b"last,a,\xff\n" + extra.encode()

    outcome = ingest(content)

    assert ("invalid-utf8", 62) in outcome.errors()


def test_every_damaged_line_is_listed(ingest):
    bad = [b"text \xff %d,a\n" % i for i in range(1500)]
    good = b"".join(b"text %d,%s\n" % (i, b"ab"[i % 2 : i % 2 + 1]) for i in range(15_000))

    outcome = ingest(b"text,label\n" + good + b"".join(bad), policies={"near_duplicates": "skip"})

    listed = (outcome.directory / "findings.ndjson").read_bytes().splitlines()
    lines = [found["line"] for found in map(json.loads, listed) if found["code"] == "invalid-utf8"]
    assert lines == list(range(15_002, 16_502))
    assert outcome.report.errors_total == 1500


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_byte_order_mark_goes_before_the_policy(ingest, encoding):
    outcome = ingest(csv_of("text,label", CHINESE).encode(encoding))

    assert outcome.rows()[0]["text"] == CHINESE[0]
    assert outcome.report.encoding == encoding


@pytest.mark.parametrize(
    ("head", "encoding", "wrong"),
    [
        ("text,label\rold\r", "gb18030", b"caf\xff\xff"),
        ("text,label\n上上\n", "utf-16", b"\x00\xd8\n\x00"),  # 上 has the byte of a line end
    ],
)
def test_byte_that_the_declared_encoding_lacks_is_said_with_its_line(ingest, head, encoding, wrong):
    outcome = ingest(head.encode(encoding) + wrong, policies={"encoding": encoding})

    found = next(found for found in outcome.report.errors if found.code == "invalid-unicode")
    assert found.line == 3
    assert found.hint == "Name the encoding that the file is in, or save it as UTF-8."


def test_text_that_begins_with_a_mark_keeps_it_in_every_block(ingest):
    rows = "".join(f"\ufefftext {i:0100},{'ab'[i % 2]}\n" for i in range(40_000))

    outcome = ingest(f"text,label\n{rows}", policies={"near_duplicates": "skip"})

    assert {row["text"][0] for row in outcome.rows()} == {"\ufeff"}


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1])
def test_line_end_of_two_characters_is_one_wherever_it_stands(tmp_path, size):
    path = tmp_path / "lines"
    path.write_bytes(b"x" * (size - 1) + b"\r\n" + b"y\r\r" + b"z")

    lines = list(TextFile(path, Findings(), "utf-8").rest())

    assert [len(line) for line in lines] == [size + 1, 2, 1, 1]


def test_damage_of_long_lines_is_kept_in_little_memory(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b"x" * 100_000 + b"\xff" * 100_000 + b"\n" for _ in range(50)))
    file = TextFile(path, Findings(), "utf-8")

    for _ in file.rest():
        pass

    assert (file.damaged, file.damage[1].offset) == (50, 300_001)
    assert sum(len(damage.excerpt) for damage in file.damage) < 500_000


def test_guess_is_made_from_lines_that_are_cut_off():
    lines = [text.encode("gb18030")[:-1] for text in CHINESE]

    assert guess(lines)[0] == "gb18030"

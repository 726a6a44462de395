"""Cleaning: what becomes of single texts."""

import random
import time

import pytest

from tunery_trainer.ingest.cleaning import normalise, strip_html


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("plain", "plain"),
        ("cafe\u0301", "caf\u00e9"),
        ("ﬁ Ｆ ½", "ﬁ Ｆ ½"),  # NFC, not NFKC: nothing is lost
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a \t\u00a0\u3000 b", "a b"),
        ("a\tb", "a b"),
        ("  a\n\n b \n", "a\n\n b"),
        ("👩\u200d👧", "👩\u200d👧"),  # a joiner is no blank
        (" \t\r\n", ""),
    ],
)
def test_text_is_normalised(given: str, made: str) -> None:
    assert normalise(given) == made
    assert normalise(made) == made


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("a <b>bold</b> <i class='x'>word</i>", "a bold word"),
        ("un<b>believ</b>able", "unbelievable"),
        ("<tr><td>1</td><td>2</td></tr>", "1  2"),
        ("<a href='x>y' title=\"z\">link</a>", "link"),
        ("see <!-- not <b>this</b> --> that", "see  that"),
        ("<script>if (a < b) alert('x')</script>text", "text"),
        ("<style>p { color: red }</style>text<script>never closed", "text"),
        ("<!DOCTYPE html><html><head><title>T</title></head><body>B</body></html>", "T\nB"),
        ("<?php echo 1 ?>text", "text"),
        ("<![if IE]>text<![endif]>", "text"),
        ("AT&amp;T &lt;3 &#x4f60;&#22909;&nbsp;!", "AT&T <3 你好\u00a0!"),
        ("AT&T & co &unknown;", "AT&T & co &unknown;"),
        ("  blanks\n\n&amp; lines  ", "  blanks\n\n& lines  "),  # no markup: nothing else changes
        ("a <!-- open <b>b</b> > c", "a <!-- open <b>b > c"),
        ("I <3 you, 1 < 2 and x<y", "I <3 you, 1 < 2 and x<y"),
        ("</>", ""),
        ("<b></b>", ""),
        ("<", "<"),
        ("&#0;&#xD800;", "\ufffd\ufffd"),
    ],
)
def test_html_is_stripped(given: str, made: str) -> None:
    assert strip_html(given) == made


def test_no_markup_is_too_broken() -> None:
    chosen = random.Random(42)
    pieces = ["<", "</", "<!--", "-->", "<![", "]]>", "<script", "</script", ">", "/>", "<?", "<!"]
    pieces += ["&", "&#", "&amp", ";", "a", " ", "=", '"', "'", "\n"]

    for _ in range(5000):
        text = "".join(chosen.choices(pieces, k=chosen.randint(1, 15)))
        strip_html(text).encode()  # may be anything, and is Unicode


@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<a ", "<a b='", "</", "<![", "&", "<script>", "<!--x>"]
)
@pytest.mark.parametrize("end", ["", ">"])
def test_a_hundred_thousand_characters_of_markup_take_no_time(piece: str, end: str) -> None:
    text = piece * (100_000 // len(piece)) + end
    began = time.monotonic()

    strip_html(text)

    assert time.monotonic() - began < 5.0

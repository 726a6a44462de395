"""Cleaning: what a transform does to one text. Knows neither rows nor tables."""

import re
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from typing import NamedTuple

_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_BLANKS = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
# Of HTML: what stands on lines of its own, what stands apart on a line, what is no text.
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd"),
        *("details", "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer"),
        *("form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html"),
        *("legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "section"),
        *("select", "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul"),
    )
)
_CELLS = frozenset(("td", "th"))
_SILENT = frozenset(("script", "style"))


class Cleaner(NamedTuple):
    """A function of texts; those that `touches` (RE2) does not find in stay as they are."""

    touches: str
    clean: Callable[[str], str]


def cleaner_of(op: str) -> Cleaner:
    """Return what a transform does to a text."""
    if op == "normalise":
        # Texts of ASCII without blanks to spare need no look.
        return Cleaner(r"[^\x20-\x7e\n]|  |^[ \n]|[ \n]$", normalise)
    if op == "strip_html":
        return Cleaner("[<&]", strip_html)
    if op == "redact":
        from tunery_trainer.ingest.personal_data import redact

        return Cleaner(r"[@＠]|\p{Nd}", redact)  # no personal data is without either
    raise ValueError(f"{op} is done to no text")


def normalise(text: str) -> str:
    """Return the text as Unicode NFC, with LF for line ends and one space for a run of blanks."""
    composed = _LINE_ENDS.sub("\n", unicodedata.normalize("NFC", text))
    return _BLANKS.sub(" ", composed).strip()


def strip_html(text: str) -> str:
    """Return the text without tags, comments, scripts and styles, entities as characters.

    Blocks and line breaks become lines; where there is markup, lines without a word go. A `<` that
    no `>` follows is a sign of the text.
    """
    end = text.rfind(">") + 1
    page = _Page()
    page.feed(text[:end] + text[end:].replace("<", "&lt;"))
    page.close()
    return page.text()


class _Page(HTMLParser):
    """Gathers the text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._silent = False
        self._marked_up = False
        self._unended = False  # a comment; then so are all behind it

    def text(self) -> str:
        joined = "".join(self._parts)
        if not self._marked_up:
            return joined
        lines = (line.strip() for line in joined.split("\n"))
        return "\n".join(line for line in lines if line)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = tag in _SILENT
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        self._silent = False
        self._part(tag)

    def handle_comment(self, data: str) -> None:
        self._marked_up = True

    def handle_decl(self, decl: str) -> None:
        self._marked_up = True

    def handle_pi(self, data: str) -> None:
        self._marked_up = True

    def parse_comment(self, i: int, report: bool = True) -> int:
        """Find the end of a comment; where one has none, don't search the rest for each other."""
        end = -1 if self._unended else super().parse_comment(i, report)
        self._unended = end < 0
        return end

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Take `<![…>` for a comment, as browsers do: the library's own way can fail."""
        return self.parse_bogus_comment(i)

    def _part(self, tag: str) -> None:
        self._marked_up = True
        if tag in _BLOCKS:
            self._parts.append("\n")
        elif tag in _CELLS:
            self._parts.append(" ")

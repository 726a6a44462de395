"""Lines: a file's bytes as decoded physical lines, numbered from 1, their ends untouched.

Owns encodings, newlines and the length of a line; knows neither CSV nor JSON. A line whose bytes
are not UTF-8 is passed on with the bytes escaped, so that the rows around it can still be judged.
"""

import codecs
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from tunery_trainer.ingest.findings import MAX_KEPT, Findings

MAX_LINE = 12 * 2**20  # characters; twice that is held while such a line is put together
_PIECE = 2**20  # characters read at a time


class Damage(NamedTuple):
    """A line that is not UTF-8."""

    line: int
    offset: int  # of the first wrong byte in the file, counted from 0
    start: int  # of that byte in the line
    data: bytes


class TextFile:
    """Iterates over the physical lines of a file, which end in LF, CRLF or CR.

    `damage` keeps the first lines that are not UTF-8 and `damaged` counts all; a line that is too
    long is reported and comes out blank.
    """

    def __init__(self, path: Path, errors: Findings) -> None:
        with path.open("rb") as file:
            self.head = file.read(4096)
        self.encoding = _encoding(self.head)
        self.damage: list[Damage] = []
        self.damaged = 0
        self.lines = 0
        self.foreign = 0  # lines that are UTF-8 and not ASCII
        self._path = path
        self._errors = errors
        self._offset = len(codecs.BOM_UTF8) if self.head.startswith(codecs.BOM_UTF8) else 0

    def __iter__(self) -> Iterator[str]:
        utf8 = self.encoding == "utf-8"
        with self._path.open(
            encoding="utf-8-sig" if utf8 else self.encoding,
            errors="surrogateescape" if utf8 else "strict",
            newline="",
        ) as file:
            try:
                while text := file.readline(_PIECE):
                    self.lines += 1
                    if len(text) == _PIECE and text[-1] not in "\r\n":
                        text = self._rest(text, file)
                    if utf8:
                        self._inspect(text)
                    yield text
            except UnicodeDecodeError as error:
                message = f"the bytes after line {self.lines:,} are not {self.encoding}: {error}"
                self._errors.add("invalid-unicode", message[:200], line=self.lines + 1)

    def _rest(self, start: str, file: TextIO) -> str:
        pieces, size = [start], len(start)
        while pieces[-1][-1] not in "\r\n" and (piece := file.readline(_PIECE)):
            size += len(piece)
            if size > MAX_LINE:  # from here on only measured, so that memory stays bounded
                self._offset += sum(len(each.encode(errors="surrogateescape")) for each in pieces)
                pieces.clear()
            pieces.append(piece)
        if size <= MAX_LINE:
            return "".join(pieces)
        message = f"the line has {size:,} characters; at most {MAX_LINE:,} are read"
        self._errors.add("line-too-large", message, line=self.lines)
        self._offset += sum(len(each.encode(errors="surrogateescape")) for each in pieces) - 1
        return "\n"

    def _inspect(self, text: str) -> None:
        if text.isascii():
            self._offset += len(text)
            return
        try:
            self._offset += len(text.encode())
            self.foreign += 1
        except UnicodeEncodeError as error:
            data = text.encode("utf-8", "surrogateescape")
            self.damaged += 1
            if len(self.damage) < MAX_KEPT:
                start = len(text[: error.start].encode())
                self.damage.append(Damage(self.lines, self._offset + start, start, data))
            self._offset += len(data)


class Lines:
    """Numbers lines, and takes back those that were read too far."""

    def __init__(self, source: Iterator[str]) -> None:
        self.number = 0  # of the line that came last
        self._source = source
        self._returned: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._returned.popleft() if self._returned else next(self._source)
        self.number += 1
        return text

    def give_back(self, lines: list[str]) -> None:
        """Let these come again: the last ones that came, in their order."""
        self._returned.extendleft(reversed(lines))
        self.number -= len(lines)


def _encoding(head: bytes) -> str:
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if wide else "utf-8"

"""Lines: a file's bytes as decoded physical lines, numbered from 1, their ends untouched.

Owns encodings, newlines and the length of a line; knows neither CSV nor JSON. A line whose bytes
are not UTF-8 is passed on with the bytes escaped, so that the rows around it can still be judged.
"""

import codecs
import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from tunery_trainer.ingest.findings import MAX_KEPT, Findings

MAX_LINE = 12 * 2**20  # characters; twice that is held while such a line is put together
_PIECE = 2**20  # characters read at a time
_HEAD = 4096  # bytes


class Damage(NamedTuple):
    """A line that is not UTF-8."""

    line: int
    offset: int  # of the first wrong byte in the file, counted from 0
    start: int  # of that byte in the line
    data: bytes


class TextFile:
    """A file of physical lines, which end in LF, CRLF or CR, and what reading it has shown so far.

    `damage` keeps the first lines that are not UTF-8 and `damaged` counts all; a line that is too
    long is reported and comes out blank.
    """

    def __init__(self, path: Path, errors: Findings, encoding: str) -> None:
        self.path = path
        with path.open("rb") as file:
            self.head = file.read(_HEAD)
        self.encoding, bom = _byte_order_mark(self.head) or (encoding, 0)
        self.start = bom  # where the first line begins
        self._errors = errors
        self._mute = False
        self.rewind()

    def rewind(self) -> None:
        """Forget what reading has shown."""
        self.damage: list[Damage] = []
        self.damaged = 0
        self.foreign = 0  # lines that are UTF-8 and not ASCII
        self.lines = 0  # that came so far
        self.offset = self.start  # of the first byte behind them

    def look(self) -> Iterator[str]:
        """Yield the lines from the beginning, without a word about what is wrong with them."""
        self.rewind()
        self._mute = True
        try:
            yield from self.rest()
        finally:
            self._mute = False
            self.rewind()

    def rest(self) -> Iterator[str]:
        """Yield the lines that have not come yet."""
        with self.path.open("rb") as raw:
            raw.seek(self.offset)
            with io.TextIOWrapper(raw, self.encoding, errors=self._on_error(), newline="") as file:
                yield from self._read(file)

    def of_block(self, block: bytes) -> Iterator[str]:
        """Yield the lines of the bytes that come next; only of UTF-8."""
        text = block.decode("utf-8", "surrogateescape")
        return self._read(io.StringIO(text, newline=""))

    def passed(self, *, size_bytes: int, lines: int, foreign: int) -> None:
        """Count bytes that somebody else has read, in whole lines."""
        self.offset += size_bytes
        self.lines += lines
        self.foreign += foreign

    def _on_error(self) -> str:
        return "surrogateescape" if self.encoding == "utf-8" else "strict"

    def _read(self, file: TextIO) -> Iterator[str]:
        try:
            while text := file.readline(_PIECE):
                self.lines += 1
                if len(text) == _PIECE and text[-1] not in "\r\n":
                    text = self._whole(text, file)
                if self.encoding == "utf-8":
                    self._inspect(text)
                yield text
        except UnicodeDecodeError as error:
            wrong = error.object[error.start : error.start + 1].hex()
            line = self.lines + 1 + error.object.count(b"\n", 0, error.start)
            self._add("invalid-unicode", f"byte 0x{wrong} of it is not {self.encoding}", line)

    def _whole(self, start: str, file: TextIO) -> str:
        pieces, size = [start], len(start)
        while pieces[-1][-1] not in "\r\n" and (piece := file.readline(_PIECE)):
            size += len(piece)
            if size > MAX_LINE:  # from here on only measured, so that memory stays bounded
                self.offset += sum(map(_size_bytes, pieces))
                pieces.clear()
            pieces.append(piece)
        if size <= MAX_LINE:
            return "".join(pieces)
        message = f"the line has {size:,} characters; at most {MAX_LINE:,} are read"
        self._add("line-too-large", message, self.lines)
        self.offset += sum(map(_size_bytes, pieces)) - 1
        return "\n"

    def _inspect(self, text: str) -> None:
        if text.isascii():
            self.offset += len(text)
            return
        try:
            self.offset += len(text.encode())
            self.foreign += 1
        except UnicodeEncodeError as error:
            data = text.encode("utf-8", "surrogateescape")
            self.damaged += 1
            if len(self.damage) < MAX_KEPT:
                start = len(text[: error.start].encode())
                self.damage.append(Damage(self.lines, self.offset + start, start, data))
            self.offset += len(data)

    def _add(self, code: str, message: str, line: int) -> None:
        if not self._mute:
            self._errors.add(code, message, line=line)


class Lines:
    """Numbers lines, and takes back those that were read too far."""

    def __init__(self, source: Iterator[str], number: int = 0) -> None:
        self.number = number  # of the line that came last
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


def _byte_order_mark(head: bytes) -> tuple[str, int] | None:
    """Return the encoding that a byte order mark says, and how long it is."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8", len(codecs.BOM_UTF8)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", 0  # the codec needs the mark, and takes it away
    return None


def _size_bytes(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))

"""Lines: a file's bytes as decoded physical lines, numbered from 1, their ends untouched.

Owns encodings, newlines and the length of a line; knows neither CSV nor JSON. A line whose bytes
are not UTF-8 is passed on with the bytes escaped, so that the rows around it can still be judged.
"""

import codecs
import io
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from tunery_trainer.ingest.findings import MAX_KEPT, Findings

MAX_LINE = 12 * 2**20  # characters; twice that is held while such a line is put together
_PIECE = 2**20  # characters read at a time
_HEAD = 4096  # bytes
_EXCERPT = 4096  # bytes kept on either side of a wrong one
_BEAT_CHARACTERS = 2**18
_END = re.compile("\r\n?|\n")
_MARKS = (
    # UTF-32 first: its mark begins with that of UTF-16. Their codecs take the marks away.
    (codecs.BOM_UTF32_LE, "utf-32", 0),
    (codecs.BOM_UTF32_BE, "utf-32", 0),
    (codecs.BOM_UTF16_LE, "utf-16", 0),
    (codecs.BOM_UTF16_BE, "utf-16", 0),
    (codecs.BOM_UTF8, "utf-8", len(codecs.BOM_UTF8)),
)


class Damage(NamedTuple):
    """A line that is not UTF-8."""

    line: int
    offset: int  # of the first wrong byte in the file, counted from 0
    byte: int  # that byte
    excerpt: bytes  # some of the line, with that byte in it


class TextFile:
    """A file of physical lines, which end in LF, CRLF or CR, and what reading it has shown so far.

    `damage` keeps the first lines that are not UTF-8 and `damaged` counts all; a line that is too
    long is reported and comes out blank. `beat` is called while it is read, which can take a while.
    """

    def __init__(
        self,
        path: Path,
        errors: Findings,
        encoding: str,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        with path.open("rb") as file:
            self.head = file.read(_HEAD)
        self.encoding, self.start = encoding, 0  # where the first line begins
        for mark, name, size in _MARKS:
            if self.head.startswith(mark):
                self.encoding, self.start = name, size
                break
        self._errors = errors
        self._beat = beat
        self._mute = False
        self.rewind()

    def rewind(self) -> None:
        """Forget what reading has shown."""
        self.damage: list[Damage] = []
        self.damaged = 0
        self.foreign = 0  # lines that are UTF-8 and not ASCII; a long one counts several times
        self.lines = 0  # that came so far
        self.offset = self.start  # of the first byte behind them
        self._last_damaged = 0

    @contextmanager
    def look(self) -> Generator[None]:
        """Let it be read from the beginning without a word about what is wrong, and forget that."""
        self.rewind()
        self._mute = True
        try:
            yield
        finally:
            self._mute = False
            self.rewind()

    def rest(self) -> Iterator[str]:
        """Yield the lines that have not come yet."""
        return self._joined(self.pieces())

    def pieces(self) -> Iterator[str]:
        """Yield the lines that have not come yet, of a long one piece by piece."""
        with self.path.open("rb") as raw:
            raw.seek(self.offset)
            with io.TextIOWrapper(raw, self.encoding, errors=self._on_error(), newline="") as file:
                yield from self._read(file)

    def of_block(self, block: bytes) -> Iterator[str]:
        """Yield the lines of the bytes that come next; only of UTF-8."""
        text = block.decode("utf-8", "surrogateescape")
        return self._joined(self._read(io.StringIO(text, newline="")))

    def passed(self, *, size_bytes: int, lines: int, foreign: int) -> None:
        """Count bytes that somebody else has read, in whole lines."""
        self.offset += size_bytes
        self.lines += lines
        self.foreign += foreign

    def all_damage(self) -> Iterator[Damage]:
        """Yield every line that is not UTF-8; reads the file again where not all were kept."""
        if self.damaged == len(self.damage):
            return iter(self.damage)
        return islice(self._damage_again(), self.damaged)

    def _damage_again(self) -> Iterator[Damage]:
        with self.look():
            for _ in self.pieces():
                yield from self.damage
                self.damage.clear()

    def _on_error(self) -> str:
        return "surrogateescape" if self.encoding == "utf-8" else "strict"

    def _read(self, file: TextIO) -> Iterator[str]:
        """Yield pieces that end with a line, or within a long one; never within a CRLF."""
        ahead, begins, unheard = "", True, 0
        try:
            while piece := ahead or file.readline(_PIECE):
                ahead = ""
                if len(piece) >= _PIECE and piece[-1] == "\r":
                    ahead = file.readline(_PIECE)
                    if ahead == "\n":
                        piece, ahead = f"{piece}\n", ""
                self.lines += begins
                begins = piece[-1] in "\r\n"
                unheard += len(piece)
                if unheard > _BEAT_CHARACTERS:
                    unheard = 0
                    self._beat()
                if self.encoding == "utf-8":
                    self._inspect(piece)
                yield piece
        except UnicodeDecodeError as error:
            wrong = error.object[error.start : error.start + 1].hex()
            before = error.object[: error.start].decode(error.encoding, "replace")
            self._add(
                "invalid-unicode",
                f"byte 0x{wrong} of it is not {self.encoding}",
                self.lines + begins + len(_END.findall(before)),
                hint="Name the encoding that the file is in, or save it as UTF-8.",
            )

    def _joined(self, pieces: Iterator[str]) -> Iterator[str]:
        for piece in pieces:
            long = len(piece) >= _PIECE and piece[-1] not in "\r\n"
            yield self._whole(piece, pieces) if long else piece

    def _whole(self, start: str, pieces: Iterator[str]) -> str:
        line, size = [start], len(start)
        while line[-1][-1] not in "\r\n" and (piece := next(pieces, "")):
            size += len(piece)
            if size > MAX_LINE:  # from here on only measured, so that memory stays bounded
                line.clear()
            line.append(piece)
        if size <= MAX_LINE:
            return "".join(line)
        message = f"the line has {size:,} characters; at most {MAX_LINE:,} are read"
        self._add("line-too-large", message, self.lines)
        return "\n"

    def _inspect(self, piece: str) -> None:
        if piece.isascii():
            self.offset += len(piece)
            return
        try:
            self.offset += len(piece.encode())
            self.foreign += 1
        except UnicodeEncodeError as error:
            data = piece.encode("utf-8", "surrogateescape")
            if self._last_damaged != self.lines:
                self._last_damaged = self.lines
                self.damaged += 1
                if len(self.damage) < MAX_KEPT:
                    start = len(piece[: error.start].encode())
                    begin = start if start > _EXCERPT else 0
                    excerpt = data[begin : start + _EXCERPT]
                    self.damage.append(
                        Damage(self.lines, self.offset + start, data[start], excerpt)
                    )
            self.offset += len(data)

    def _add(self, code: str, message: str, line: int, *, hint: str | None = None) -> None:
        if not self._mute:
            self._errors.add(code, message, hint=hint, line=line)


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

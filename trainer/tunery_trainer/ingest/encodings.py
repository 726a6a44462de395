"""Encodings: says what bytes that are not UTF-8 probably are, with a sample to recognise.

Owns the guess and its wording. It decides nothing: a wrong guess would garble every text, so the
user is shown one and asked.
"""

import codecs
from collections.abc import Callable, Sequence
from pathlib import Path

from tunery.types import encoding_of
from tunery_trainer.ingest.findings import Findings, quote
from tunery_trainer.ingest.lines import Damage, TextFile

_FOREIGN = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"ARROW1": "Arrow",
    b"\x89HDF": "HDF5",
    b"SQLite format 3": "SQLite",
    b"%PDF": "PDF",
    b"\x80\x04": "a pickle",
}
_SAMPLE_LINES = 50
_CHUNK_BYTES = 2**20
_SAVE = "save it as UTF-8."
_WHOLE_FILE_SHARE = 0.1  # with more wrong lines than this, it is the file that is wrong


def settle_encoding(path: Path, policy: str, beat: Callable[[], None] = lambda: None) -> str | None:
    """Return the encoding to read a file with: what the policy names, or for `auto` the likely one.

    Null where the policy names none. A byte order mark goes before either. `beat` is called while
    the file is looked through.
    """
    if policy != "auto":
        return _canonical(policy)
    if _is_utf8(path):
        return "utf-8"
    file = TextFile(path, Findings(), "utf-8", beat)
    for _ in file.pieces():
        pass
    name, _ = _likely(file)
    return name or "utf-8"  # which then says where it isn't


def refuse_foreign(file: TextFile, errors: Findings) -> bool:
    """Report a file whose first bytes are no text at all; return whether it is one."""
    for magic, name in _FOREIGN.items():
        if file.head.startswith(magic):
            errors.add("format-mismatch", f"the bytes are {name}, not text")
            return True
    if file.encoding == "utf-8" and file.head.count(0) > len(file.head) / 4:
        order = "le" if file.head[1:2] == b"\0" else "be"
        errors.add(
            "invalid-utf8",
            "every other byte is NUL, from byte 0 on",
            hint=f"The file looks like utf-16-{order} without a byte order mark: {_SAVE}",
            line=1,
        )
        return True
    return False


def report_damage(file: TextFile, errors: Findings, *, header: bool) -> bool:
    """Report the lines that are not UTF-8; return whether the whole file is in another encoding.

    Such a file gets one finding instead of one per line. A damaged header counts as a whole file.
    """
    if not file.damage:
        return False
    first = file.damage[0]
    name, sample = _likely(file)
    if name is None:
        hint = "Save the file as UTF-8, or remove these bytes."
    else:
        shown = quote(sample.strip())
        hint = (
            f"The file looks like {name}: {shown}. If so, set policies.encoding to it, or {_SAVE}"
        )
    whole = header or file.damaged > file.lines * _WHOLE_FILE_SHARE
    if whole and file.damaged > 1:
        message = f"{file.damaged:,} of {file.lines:,} lines are not UTF-8, first {_place(first)}"
        errors.add("invalid-utf8", message, hint=hint, line=first.line)
        return True
    for damage in file.all_damage():
        errors.add("invalid-utf8", f"{_place(damage)} is not UTF-8", hint=hint, line=damage.line)
    return header


def guess(lines: Sequence[bytes]) -> tuple[str | None, str]:
    """Return the likely encoding of lines, and the first of them decoded; (None, "") if unsure.

    An encoding is likely when all lines decode and most of what is not ASCII then is a character
    that its language often uses; a wrong decoding gives rare characters. A line may be cut off
    within a character.
    """
    for name, is_common in _GUESSES:
        decoder = codecs.getincrementaldecoder(name)
        try:
            texts = [decoder().decode(line) for line in lines]
        except UnicodeDecodeError:
            continue
        signs = [character for text in texts for character in text if not character.isascii()]
        if sum(map(is_common, signs)) > len(signs) / 2:
            return name, texts[0]
    return None, ""


def _canonical(name: str) -> str | None:
    encoding = encoding_of(name)
    # Only "utf-8", spelled so, is read with the place of each wrong byte.
    return "utf-8" if encoding in ("utf-8-sig", "ascii") else encoding


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _likely(file: TextFile) -> tuple[str | None, str]:
    """Return what `guess` says of a file that has been read as UTF-8.

    Where more of it is UTF-8 than isn't, it is just that, with a few broken bytes.
    """
    if file.foreign > file.damaged:
        return None, ""
    return guess([damage.excerpt for damage in file.damage[:_SAMPLE_LINES]])


def _is_kana(character: str) -> bool:
    return "\u3040" <= character <= "\u30ff"


def _is_common_hanzi(character: str) -> bool:
    try:
        lead = character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    return 0xB0 <= lead <= 0xD7 or lead in (0xA1, 0xA3)  # level 1, by use; punctuation


def _is_common_traditional(character: str) -> bool:
    try:
        lead = character.encode("big5")[0]
    except UnicodeEncodeError:
        return False
    return 0xA1 <= lead <= 0xC6  # punctuation and level 1


def _is_hangul(character: str) -> bool:
    return "\uac00" <= character <= "\ud7a3"


def _is_western(character: str) -> bool:
    return (character.isalpha() and character not in "ÿþ") or character in "£¥§©«®°»¿¡’‘“”–—…€"


_GUESSES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("shift_jis", _is_kana),
    ("gb18030", _is_common_hanzi),
    ("euc_kr", _is_hangul),
    ("big5", _is_common_traditional),
    ("cp1252", _is_western),
)


def _place(damage: Damage) -> str:
    return f"byte 0x{damage.byte:02x} at offset {damage.offset:,}"

"""Encodings: says what bytes that are not UTF-8 probably are, with a sample to recognise.

Owns the guess and its wording. It decides nothing: a wrong guess would garble every text, so the
user is shown one and asked.
"""

import codecs
from collections.abc import Callable, Sequence
from pathlib import Path

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


def settle_encoding(path: Path, policy: str) -> str:
    """Return the encoding to read a file with: what the policy names, or for `auto` the likely one.

    A byte order mark goes before either.
    """
    if policy != "auto":
        return _canonical(policy)
    decoder = codecs.getincrementaldecoder("utf-8")()
    strange: list[bytes] = []
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            sample = file.read(_CHUNK_BYTES).splitlines()
            strange = [line for line in sample if not line.isascii()][:_SAMPLE_LINES]
    name, _ = guess(strange)
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
    name, sample = guess([damage.data for damage in file.damage[:_SAMPLE_LINES]])
    if name is None or file.foreign > file.damaged:  # then it is UTF-8 with a few broken bytes
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
    for damage in file.damage:
        errors.add("invalid-utf8", f"{_place(damage)} is not UTF-8", hint=hint, line=damage.line)
    errors.total += file.damaged - len(file.damage)
    return header


def guess(lines: Sequence[bytes]) -> tuple[str | None, str]:
    """Return the likely encoding of lines, and the first of them decoded; (None, "") if unsure.

    An encoding is likely when all lines decode and most of what is not ASCII then is a character
    that its language often uses; a wrong decoding gives rare characters.
    """
    for name, is_common in _GUESSES:
        try:
            texts = [line.decode(name) for line in lines]
        except UnicodeDecodeError:
            continue
        signs = [character for text in texts for character in text if not character.isascii()]
        if sum(map(is_common, signs)) > len(signs) / 2:
            return name, texts[0]
    return None, ""


def _canonical(name: str) -> str:
    # Only "utf-8", spelled so, is read with the place of each wrong byte.
    codec = codecs.lookup(name).name
    return "utf-8" if codec in ("utf-8", "utf-8-sig", "ascii") else codec


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
    byte = damage.data[damage.start]
    return f"byte 0x{byte:02x} at offset {damage.offset:,}"

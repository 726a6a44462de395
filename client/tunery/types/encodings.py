"""Encodings: how the bytes of a file may be read as text.

Leaves out what the standard library decodes to half characters, to bytes, or to nothing at all.
"""

import codecs
from difflib import get_close_matches

# By the names that codecs.lookup gives.
ENCODINGS = frozenset(
    (
        *("ascii", "utf-8", "utf-8-sig"),
        *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *("gb2312", "gbk", "gb18030", "big5", "big5hkscs", "cp950"),
        *("shift_jis", "shift_jis_2004", "shift_jisx0213", "cp932"),
        *("euc_jp", "euc_jis_2004", "euc_jisx0213", "iso2022_jp"),
        *("euc_kr", "cp949", "johab", "tis-620", "kz1048", "ptcp154"),
        *(f"iso8859-{i}" for i in (*range(1, 12), *range(13, 17))),
        *(f"cp{i}" for i in range(1250, 1259)),
        *("cp437", "cp720", "cp737", "cp775", "cp850", "cp852", "cp855", "cp856", "cp857"),
        *("cp858", *(f"cp{i}" for i in range(860, 867)), "cp869", "cp874", "cp1125"),
        *("koi8-r", "koi8-t", "koi8-u", "mac-roman", "mac-latin2", "mac-cyrillic", "mac-greek"),
        *("mac-turkish", "mac-iceland", "mac-croatian", "mac-romanian"),
    )
)


def encoding_of(name: str) -> str | None:
    """Return the one name of an encoding that has several; null for one that is not read."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: the name holds NUL, or half a character
        return None
    return found if found in ENCODINGS else None


def encoding_hint(name: str) -> str:
    """Return what to write for a name that no encoding has."""
    alike = get_close_matches(name.lower(), sorted(ENCODINGS), n=1)
    return f"Did you mean '{alike[0]}'?" if alike else "Name one such as utf-8 or gb18030."

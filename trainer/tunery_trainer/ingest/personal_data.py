"""Personal data: how many texts hold some, by kind, and texts without it.

Owns what counts as which kind. Numbers count only where a checksum, a prefix or a sign says what
they are, so that an order number is none. Values are never kept, counted apart or told.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tunery_trainer.ingest.findings import Notes, counted

KINDS = ("email", "iban", "resident_id", "bank_card", "phone", "ip_address")
_NAMES = {
    "email": "an e-mail address",
    "iban": "an IBAN",
    "resident_id": "a Chinese resident id",
    "bank_card": "a bank card's number",
    "phone": "a telephone number",
    "ip_address": "an IP address",
}
# What no text without can hold any of them (RE2): most texts cost no more than this.
_MAYBE = (
    "[0-9A-Za-z０-９Ａ-Ｚａ-ｚ._%+．＿％＋-][@＠][0-9A-Za-z０-９Ａ-Ｚａ-ｚ]"
    "|[+＋][0-9０-９]|(?:[0-9０-９][ －-]?){10}[0-9０-９]"
    r"|[0-9０-９]{1,3}(?:[.．][0-9０-９]{1,3}){3}"
    "|[A-ZＡ-Ｚ]{2}[0-9０-９]{2} ?[0-9A-Z０-９Ａ-Ｚ]{4} ?[0-9A-Z０-９Ａ-Ｚ]{4}"
)
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

# No word boundaries: to a pattern, a Chinese character is a letter of the word that it touches.
# What may stand before is asked behind the first character, so that the search leaps to that one:
# it is six times as fast.
_LOCAL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-")
_MAX_LOCAL = 64  # characters; RFC 5321, 4.5.3.1.1
_DOMAIN = re.compile(
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_IBAN_HEAD = re.compile(r"[A-Z](?<![A-Za-z0-9].)[A-Z][0-9]{2}(?= ?[A-Z0-9]{4})")
_RESIDENT_ID = re.compile(r"[1-9](?<![A-Za-z0-9].)[0-9]{16}[0-9Xx](?![A-Za-z0-9])")
_CARD = re.compile(r"[2-6](?<![A-Za-z0-9.].)(?<![0-9]-.)[0-9]{3}(?:[ -]?[0-9]){9,15}")
# Mobile numbers that China has assigned, after the 1: MIIT's numbering plan, as of 2024.
_MOBILE = (
    "(?:3[0-9]|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])"
    "(?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})"
)
# Source: ITU-T E.164: a + and at most 15 digits; those of +1 by the North American plan.
_PHONE = re.compile(
    r"[+01](?<![A-Za-z0-9_/.#+].)(?<![0-9]-.)(?:"
    rf"(?<=1){_MOBILE}|(?:(?<=\+)|(?<=0)0)86[ -]?1{_MOBILE}"
    r"|(?<=\+)1[ .-]?(?:\([2-9][0-9]{2}\)|[2-9][0-9]{2})[ .-]?[2-9][0-9]{2}[ .-]?[0-9]{4}"
    r"|(?<=\+)(?!86)[2-9][0-9](?:[ .-]?(?:[0-9]|\([0-9]{1,4}\))){6,13}"
    r")(?![0-9A-Za-z_]|[.-][0-9])"
)
_MAX_DIGITS = 15
_IP_ADDRESS = re.compile(
    r"[1-9](?<![A-Za-z0-9_.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![A-Za-z0-9_]|\.[0-9])"
)

# Weights and check characters. Source: GB 11643-1999, which is ISO 7064 MOD 11-2.
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS = "10X98765432"
# Prefixes and lengths that issuers have: American Express, Diners, JCB, Visa, Mastercard, Discover,
# UnionPay, Maestro. Source: ISO/IEC 7812-1 and the issuers' published ranges.
_ISSUERS = re.compile(
    "3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    "|4[0-9]{12}(?:[0-9]{3}){0,2}"
    "|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    "|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}|62[0-9]{14,17}|(?:5[06-8]|6[37])[0-9]{11,17}"
)
# Characters of an IBAN, by country. Source: ISO 13616, the IBAN registry of SWIFT, release 97.
_IBAN_REGISTRY = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 "
    "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 "
    "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 "
    "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_IBAN_LENGTHS = {each[:2]: int(each[2:]) for each in _IBAN_REGISTRY.split()}


class _Span(NamedTuple):
    start: int
    end: int
    kind: str


def count(texts: pa.Array) -> dict[str, int]:
    """Return how many texts hold personal data of each kind; a null holds none.

    Shapes: texts (rows) string or large_string.
    """
    found = dict.fromkeys(KINDS, 0)
    maybe = pc.fill_null(pc.match_substring_regex(texts, _MAYBE), fill_value=False)
    for text in texts.filter(maybe).to_pylist():
        for kind in {span.kind for span in _spans(text)}:
            found[kind] += 1
    return found


def redact(text: str) -> str:
    """Return the text with `[email]`, `[phone]` and so on instead of personal data."""
    parts: list[str] = []
    end = 0
    for span in _spans(text):
        parts += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join(parts) + text[end:]


def warn(counts: Mapping[str, int], notes: Notes) -> None:
    """Warn if some rows hold personal data: of which kind, and how many."""
    found = [
        f"{_NAMES[kind]} ({counted(counts[kind], 'row')})" for kind in KINDS if counts.get(kind)
    ]
    if found:
        notes.warnings.add("personal-data", f"texts hold {', '.join(found)}")


def _spans(text: str) -> list[_Span]:
    """Return where personal data stands, in order and apart.

    Where two kinds overlap, the one that is named first in KINDS has it: the digits before an @ are
    no telephone number.
    """
    plain = text if text.isascii() else text.translate(_HALF_WIDTH)  # as long as the text
    taken = bytearray(len(text))
    spans: list[_Span] = []
    for span in _candidates(plain):
        if taken.find(1, span.start, span.end) == -1:
            taken[span.start : span.end] = b"\1" * (span.end - span.start)
            spans.append(span)
    return sorted(spans)


def _candidates(text: str) -> Iterator[_Span]:
    """Yield what may overlap, in the order of KINDS."""
    yield from _emails(text)
    for match in _IBAN_HEAD.finditer(text):
        end = _iban_end(text, match.start())
        if end is not None:
            yield _Span(match.start(), end, "iban")
    for match in _RESIDENT_ID.finditer(text):
        if _is_resident_id(match[0]):
            yield _Span(*match.span(), "resident_id")
    yield from _cards(text)
    for match in _PHONE.finditer(text):
        if sum(map(str.isdigit, match[0])) <= _MAX_DIGITS:
            yield _Span(*match.span(), "phone")
    for match in _IP_ADDRESS.finditer(text):
        if _is_ip_address(match[0]):
            yield _Span(*match.span(), "ip_address")


def _emails(text: str) -> Iterator[_Span]:
    at = text.find("@")
    while at != -1:
        start = at
        while start and at - start <= _MAX_LOCAL and text[start - 1] in _LOCAL:
            start -= 1
        while text[start] in ".-":
            start += 1
        domain = _DOMAIN.match(text, at)
        if 0 < at - start <= _MAX_LOCAL and text[at - 1] not in ".-" and domain is not None:
            yield _Span(start, domain.end(), "email")
        at = text.find("@", at + 1)


def _cards(text: str) -> Iterator[_Span]:
    match = _CARD.search(text)
    while match is not None:
        end = _card_end(text, *match.span())
        if end is not None:
            yield _Span(match.start(), end, "bank_card")
        match = _CARD.search(text, end or match.start() + 1)


def _iban_end(text: str, start: int) -> int | None:
    """Return where the IBAN that begins here ends, or null if it is none.

    Source: ISO 13616: the first four characters at the end, letters as 10 to 35, modulo 97 is 1.
    """
    length = _IBAN_LENGTHS.get(text[start : start + 2])
    if length is None:
        return None
    characters = ""
    end = start
    while len(characters) < length and end < len(text):
        character = text[end]
        if character.isascii() and (character.isdigit() or character.isupper()):
            characters += character
        elif character != " " or text[end - 1] == " ":
            return None
        end += 1
    if len(characters) < length or re.match("[A-Za-z0-9]", text[end : end + 1]):
        return None
    moved = characters[4:] + characters[:4]
    return end if int("".join(str(int(each, 36)) for each in moved)) % 97 == 1 else None


def _is_resident_id(number: str) -> bool:
    """Return whether region, day of birth and check character are possible ones."""
    if not 11 <= int(number[:2]) <= 91:  # provinces of GB/T 2260, 91: abroad
        return False
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(
        int(digit) * weight for digit, weight in zip(number, _RESIDENT_WEIGHTS, strict=False)
    )
    return 1900 <= born.year < 2100 and _RESIDENT_CHECKS[total % 11] == number[-1].upper()


def _card_end(text: str, start: int, end: int) -> int | None:
    """Return where the number of a card ends among the digits that follow, null if there is none.

    Behind it may stand other digits, such as the month until which the card holds.
    """
    for stop in range(end, start + 12, -1):
        if not text[stop - 1].isdigit() or re.match("[A-Za-z0-9]", text[stop : stop + 1]):
            continue
        if _is_card(text[start:stop].replace(" ", "").replace("-", "")):
            return stop
    return None


def _is_card(number: str) -> bool:
    """Return whether an issuer has such numbers, and the check digit is right.

    Source: ISO/IEC 7812-1, annex B: every second digit from the right doubled, modulo 10 is 0.
    """
    if _ISSUERS.fullmatch(number) is None:
        return False
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


def _is_ip_address(address: str) -> bool:
    """Return whether it leads to a machine; a chapter or a version has small numbers only."""
    octets = address.split(".")
    return (
        all(int(octet) <= 255 and str(int(octet)) == octet for octet in octets)
        and any(len(octet) > 1 for octet in octets)
        and octets[0] not in ("127", "255")
    )

"""Personal data: what counts as some, and what only looks so.

All values are made up or are the examples of their standards.
"""

import pyarrow as pa
import pytest

from tunery_trainer.ingest.findings import Notes
from tunery_trainer.ingest.personal_data import count, redact, warn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail bob.smith+x@mail.example.co.uk, please", "mail [email], please"),
        ("邮箱abc@qq.com联系", "邮箱[email]联系"),
        ("13912345678@qq.com", "[email]"),
        ("请致电13912345678。", "请致电[phone]。"),
        ("1 139 1234 5678 or 139-1234-5678", "1 [phone] or [phone]"),
        ("+86 13912345678, 008613912345678", "[phone], [phone]"),
        ("call +1 (415) 555-2671 now", "call [phone] now"),
        ("+44 20 7946 0958. +49 (0)30 901820", "[phone]. [phone]"),
        ("身份证11010519491231002X。", "身份证[resident_id]。"),
        ("110105194912310038? 11010519491231002x", "[resident_id]? [resident_id]"),
        ("card 4111 1111 1111 1111 123", "card [bank_card] 123"),
        ("378282246310005 5500-0000-0000-0004", "[bank_card] [bank_card]"),
        ("pay GB82 WEST 1234 5698 7654 32 and wait", "pay [iban] and wait"),
        ("ES9121000418450200051332 OK", "[iban] OK"),
        ("from 192.168.0.17: timeout", "from [ip_address]: timeout"),
        ("１３９１２３４５６７８ ａ＠ｂ．ｃｎ", "[phone] [email]"),
    ],
)
def test_personal_data_is_redacted_by_kind(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order 12345678 of 2024-01-01 12:34:56",
        "tracking number 12912345678 or 139123456789",
        "id A13912345678, #13912345678, /13912345678",
        "1+12345678",
        "110105194912310021",  # the check character is wrong
        "110105194913310021",  # no such month
        "4111111111111112",
        "20240101123456 3.14159265358979 0000000000000000",
        "GB82 WEST 1234 5698 7654 33",
        "ZZ82 WEST 1234 5698 7654 32",
        "v1.2.3.4 1.2.3.4 10.0.0.300 10.0.0.1.2 127.0.0.1",
        "@user wrote a@b, @@ and x@-y.com",
        "no digit and no sign",
        "",
    ],
)
def test_what_only_looks_like_personal_data_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_rows_are_counted_once_for_each_kind(kind):
    texts = pa.array(["a@b.cn c@d.cn 13912345678", "x 13912345678", "none", None, ""], kind)

    counts = count(texts.slice(0, 5))

    assert counts == {
        "email": 1,
        "iban": 0,
        "resident_id": 0,
        "bank_card": 0,
        "phone": 2,
        "ip_address": 0,
    }


@pytest.mark.parametrize(
    "text",
    [
        "a@b.cn",
        "13912345678",
        "139 1234 5678",
        "+49 (0)30 901820",
        "11010519491231002X",
        "4111 1111 1111 1111",
        "378282246310005",
        "NO93 8601 1117 947",
        "GB82WEST12345698765432",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
        "192.168.0.17",
        "１３９１２３４５６７８",
        "ａ＠ｂ．ｃｎ",
    ],
)
def test_the_quick_look_misses_nothing(text):
    assert redact(text).startswith("[")
    assert sum(count(pa.array([text])).values()) == 1


def test_warning_has_the_counts_and_no_value():
    notes = Notes()

    warn({"email": 1, "phone": 1204, "iban": 0}, notes)

    (finding,) = notes.warnings.sorted()
    assert finding.code == "personal-data"
    assert finding.message == (
        "texts hold an e-mail address (1 row), a telephone number (1,204 rows)"
    )
    assert "redact" in finding.hint


def test_nothing_found_is_no_warning():
    notes = Notes()

    warn(count(pa.array(["nothing"])), notes)

    assert notes.warnings.total == 0


def test_long_text_takes_no_quadratic_time():
    text = "a@b.cn 13912345678 4111 1111 1111 1112 " * 10_000

    assert redact(text).count("[phone]") == 10_000

"""The page of a report: what it says of the texts."""

import io

import msgspec
import pytest
from rich.console import Console

from tunery._language import translator
from tunery.cli.report import report_page
from tunery.types import Report

OLD = {
    **{"dataset": "ds_1", "rows": 10, "accepted": 10, "encoding": "utf-8", "dialect": None},
    **{"columns": None, "errors": [], "errors_total": 0, "warnings": [], "warnings_total": 0},
    "labels": {"counts": {}, "variants": []},
    "duplicates": {"exact": 0, "dropped": 0, "groups": []},
    "conflicts": {"texts": 0, "dropped": 0, "examples": []},
    "leakage": {"exact": 0, "normalised": 0, "dropped": 0, "examples": []},
}
NEW = {
    "dropped_total": 3,
    "lengths": {
        **{"base_model": "minilm-l6", "p50": 14, "p95": 33, "p99": 52, "max": 98, "sampled": 10},
        **{"truncated_at": {"64": 0.004}, "suggested_max_length": 56, "unknown_share": 0.0312},
    },
    "scripts": {"han": 0.901, "latin": 0.098, "greek": 0.001},
    "personal_data": {"email": 0, "phone": 1204},
}


def page_of(report: dict[str, object], language: str) -> list[str]:
    """Return the page as words and lines without blanks to spare."""
    file = io.StringIO()
    decoded = msgspec.convert(report, Report)
    page = report_page(decoded, "reviews", translator("zh" if language == "zh" else "en"))
    Console(file=file, width=120).print(page)
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_the_page_says_what_the_texts_are_made_of() -> None:
    page = page_of(OLD | NEW, "en")

    assert page[2:6] == [
        "left out 3",
        "tokens 14 in the median, 95 % 33, 99 % 52, at most 98; max_length 56;"
        " 3.1% unknown to minilm-l6",
        "scripts han 90%, latin 10%",
        "personal data phone 1,204",
    ]


def test_the_page_says_it_in_chinese() -> None:
    page = page_of(OLD | NEW, "zh")

    assert "文字 汉字 90%, 拉丁文 10%" in page
    assert "个人信息 电话号码 1,204" in page


@pytest.mark.parametrize("word", ["tokens", "scripts", "personal", "left out"])
def test_reports_of_older_versions_have_a_page_without_it(word: str) -> None:
    assert not any(line.startswith(word) for line in page_of(OLD, "en"))


def test_hints_name_the_flag_of_the_command_line() -> None:
    empty = {"code": "empty-text", "message": "m", "hint": "Fill it in.", "split": None}
    report = OLD | {"errors": [{**empty, "line": 2}], "errors_total": 1}

    assert "empty-text: Fill it in. (--empty drop)" in page_of(report, "en")


def test_a_page_without_findings_asks_for_nothing() -> None:
    assert page_of(OLD, "en")[-1] == "Nothing to mend."

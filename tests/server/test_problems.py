"""Problem answers: language, hints, and the page that explains each code."""

import html
import json
import re
from typing import Any, Literal

import httpx
import pytest
from tests.server.conftest import Api

from tunery.explanations import explanation
from tunery.types import MEDIA_TYPES, PROBLEMS
from tunery_server import openapi
from tunery_server.problems import Refusal, language_of, quote
from tunery_server.settings import Settings


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,zh;q=0.5", "en"),
        ("fr, zh;q=0.1", "zh"),
        ("zh;q=x", "en"),
        ("*", "en"),
        (";;;,,,", "en"),
    ],
)
def test_language_is_the_one_that_the_client_prefers(header: str, language: str) -> None:
    assert language_of(header) == language


def test_title_and_hint_come_in_chinese(calm_api: Api) -> None:
    answer = calm_api.get("/jobs/x", headers={"Accept-Language": "zh-CN"})

    assert answer.json()["title"] == "没有这个任务"
    assert answer.headers["content-language"] == "zh"


def test_quoted_input_is_short_and_printable() -> None:
    assert quote("a\n\x1b[31m\ud800" + "x" * 500) == "'" + r"a\n\x1b[31m\ud800" + "x" * 63 + "'"


@pytest.mark.parametrize("code", ["rate-limited", "model-loading", "draining"])
def test_429_and_503_always_say_when_to_come_back(code: str) -> None:
    assert int(Refusal(code, "").headers["Retry-After"]) >= 1


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_code_has_a_page(calm_api: Api, code: str, language: Literal["en", "zh"]) -> None:
    answer = page_of(calm_api, code, language)

    kind = PROBLEMS[code]
    assert answer.status_code == 200
    assert answer.headers["content-language"] == language
    assert f"<code>{code}</code>" in answer.text
    title, hint = (kind.title_zh, kind.hint_zh) if language == "zh" else (kind.title, kind.hint)
    first_words = re.split(r"[`*\n]", explanation(code, language))[0]
    for text in (title, hint.replace("`", ""), first_words):
        assert text in seen(answer.text)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_page_runs_nothing_and_leads_nowhere(calm_api: Api, code: str) -> None:
    answer = page_of(calm_api, code, "en")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert re.findall(r"\w+://|<(?:script|a|img|link|iframe)\b|\son\w+=", answer.text) == []


def test_page_shows_the_status_or_says_where_the_code_is_found(calm_api: Api) -> None:
    assert "<span>HTTP 422</span>" in page_of(calm_api, "unknown-field", "en").text
    assert (
        "<span>seen in a report or in error.code</span>"
        in page_of(calm_api, "ragged-row", "en").text
    )
    assert "<span>见于报告或 error.code</span>" in page_of(calm_api, "ragged-row", "zh").text


def test_page_escapes_what_looks_like_a_tag(calm_api: Api) -> None:
    english = page_of(calm_api, "missing-credentials", "en").text
    chinese = page_of(calm_api, "missing-credentials", "zh").text

    assert "&lt;data dir&gt;/admin.key" in english
    assert "&lt;数据目录&gt;/admin.key" in chinese


def test_page_shows_examples_as_code(calm_api: Api) -> None:
    text = page_of(calm_api, "invalid-utf8", "zh").text

    assert "<pre><code" in text
    assert "iconv -f GB18030 -t UTF-8 reviews.csv &gt; reviews-utf8.csv" in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_of_a_code_is_also_json(calm_api: Api, language: Literal["en", "zh"]) -> None:
    answer = calm_api.get(
        "/problems/empty-text", anonymous=True, headers={"Accept-Language": language}
    )

    kind = PROBLEMS["empty-text"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept, Accept-Language"
    assert answer.json() == {
        "code": "empty-text",
        "status": 422,
        "title": kind.title_zh if language == "zh" else kind.title,
        "hint": kind.hint_zh if language == "zh" else kind.hint,
        "explanation": explanation("empty-text", language),
    }


def test_settings_that_explanations_name_exist() -> None:
    text = "\n".join(explanation(code, "en") for code in PROBLEMS)
    in_prose = re.findall(r"`--([a-z-]+)`", text)
    in_examples = [
        name
        for command in re.findall(r"tunery serve [^`\n]*", text)
        for name in re.findall(r"--([a-z-]+)", command)
    ]

    named = {name.replace("-", "_") for name in in_prose + in_examples} - {"data_binary"}  # curl's
    assert len(named) > 10
    assert named <= set(Settings.__struct_fields__)


def test_json_of_a_code_that_only_ends_on_a_resource_has_no_status(calm_api: Api) -> None:
    assert calm_api.get("/problems/ragged-row", anonymous=True).json()["status"] is None


def test_api_description_is_whole_and_stable(calm_api: Api) -> None:
    described: Any = json.loads(openapi.document())

    assert (described["openapi"][:3], described["info"]["title"]) == ("3.1", "tunery")
    assert calm_api.get("/openapi.json").content == openapi.document()
    schemas = described["components"]["schemas"]
    assert schemas["FinetuneSpec"]["additionalProperties"] is False
    assert schemas["Hyperparameters"]["properties"]["seed"]["maximum"] == 4294967295
    named = set(_references(described))
    assert named <= {f"#/components/schemas/{name}" for name in schemas}
    for path, item in described["paths"].items():
        for operation in item.values():
            problem = operation["responses"]["500"]["content"]["application/problem+json"]
            assert problem["schema"]["$ref"].endswith("/Problem"), path
    assert described["paths"]["/health/live"]["get"]["security"] == []
    page = described["paths"]["/problems/{code}"]["get"]["responses"]["200"]["content"]
    assert page["application/json"]["schema"]["$ref"].endswith("/ProblemPage")
    raw = described["paths"]["/files"]["post"]["requestBody"]["content"]
    assert set(raw) == set(MEDIA_TYPES)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []


def page_of(api: Api, code: str, language: str) -> httpx.Response:
    headers = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": language}
    return api.get(f"/problems/{code}", anonymous=True, headers=headers)


def seen(page: str) -> str:
    """Return the words of a page, without its markup."""
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", "", page, flags=re.DOTALL))

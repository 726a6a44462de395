"""Problem answers: language, hints, and the page that explains each code."""

import json
from typing import Any

import pytest
from tests.server.conftest import Api

from tunery.types import PROBLEMS
from tunery_server import openapi
from tunery_server.problems import Refusal, language_of, quote


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


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_code_has_a_page(calm_api: Api, code: str) -> None:
    answer = calm_api.get(f"/problems/{code}", anonymous=True, headers={"Accept": "text/html"})

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert f"<code>{code}</code>" in answer.text


def test_page_of_a_code_is_also_json(calm_api: Api) -> None:
    answer = calm_api.get("/problems/empty-text", anonymous=True)

    assert answer.json()["status"] == 422


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
    raw = described["paths"]["/files"]["post"]["requestBody"]["content"]
    assert set(raw) == {"text/csv", "application/x-ndjson"}


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []

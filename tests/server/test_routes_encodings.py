"""Encodings as a dataset may name them."""

import pytest
from tests.server.conftest import Api


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [
        ("gb1803", "Did you mean 'gb18030'?"),
        ("utf-7", "Did you mean 'utf-8'?"),
        ("unicode_escape", "Name one such as utf-8 or gb18030."),
        ("undefined", "Name one such as utf-8 or gb18030."),
        ("utf\0", "Did you mean 'utf-8'?"),
    ],
)
def test_what_is_no_encoding_of_text_is_refused(calm_api: Api, encoding: str, hint: str) -> None:
    spec = {"name": "x", "file": "file_1", "policies": {"encoding": encoding}}

    answer = calm_api.post("/datasets", spec)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "schema-violation"), answer.text
    assert problem["hint"] == hint
    assert problem["errors"][0]["pointer"] == "/policies/encoding"


@pytest.mark.parametrize("encoding", ["auto", "GBK", "latin-1", "windows-1252", "Shift-JIS"])
def test_encoding_may_have_any_of_its_names(calm_api: Api, encoding: str) -> None:
    spec = {"name": "x", "file": "file_1", "policies": {"encoding": encoding}}

    answer = calm_api.post("/datasets", spec)

    assert answer.json()["detail"] == "there is no file 'file_1'"  # only that is wrong

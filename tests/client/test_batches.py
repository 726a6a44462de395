"""Many texts in as few requests as the service allows, in their order."""

import asyncio
import itertools
import json
import threading
import time
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.answers import (
    Script,
    async_client_of,
    client_of,
    predicted,
    problem,
    refused,
)

from tunery._batches import batches
from tunery.errors import InvalidAnswer, InvalidArgument, ModelNotFound, OutOfRange
from tunery.types import MAX_INPUTS

TWO_MIB = 2 * 1024 * 1024
SIZES = st.sampled_from([0, 1, 100, 900, 1000, 6000, 50_000, 100_000])
LETTERS = st.sampled_from(["a", "\x00", "\x1f", '"', "\\", "é", "字", "😀", "\u2028"])
TEXTS = st.lists(st.builds(lambda letter, size: letter * size, LETTERS, SIZES), max_size=40)


@settings(deadline=None, max_examples=40)
@given(texts=TEXTS, copies=st.integers(1, 12))
def test_batches_hold_all_texts_in_order_within_the_limits(texts: list[str], copies: int) -> None:
    found = list(batches(texts * copies))

    assert [text for batch in found for text in batch.inputs] == texts * copies
    for batch in found:
        sent = msgspec.json.encode(batch.request("intent", top_k=1, truncate=True))
        assert len(batch.inputs) <= MAX_INPUTS
        assert len(sent) <= TWO_MIB


def test_256_short_texts_are_one_request_and_257_are_two() -> None:
    assert [len(each.inputs) for each in batches(["x"] * 256)] == [256]
    assert [(each.start, len(each.inputs)) for each in batches(["x"] * 257)] == [(0, 256), (256, 1)]
    assert list(batches([])) == []


@pytest.mark.parametrize("wrong", [None, 7, b"bytes", ["list"]])
def test_what_is_no_text_is_told_by_its_place(wrong: Any) -> None:
    with pytest.raises(TypeError, match=rf"input 300 is {type(wrong).__name__}, not str"):
        list(batches(["x"] * 300 + [wrong]))


def test_half_a_character_is_told_by_its_place() -> None:
    with pytest.raises(InvalidArgument, match=r"input 300: 'a\\ud800' is not UTF-8"):
        list(batches(["x"] * 300 + ["a\ud800"]))


def test_a_refusal_points_into_all_of_the_texts() -> None:
    places = [{"code": "empty-text", "message": "empty", "pointer": "/inputs/3"}]

    def handler(request: httpx.Request) -> httpx.Response:
        if len(json.loads(request.content)["inputs"]) == 256:
            return predicted(request)
        return httpx.Response(422, json=problem("out-of-range", 422, errors=places))

    with client_of(handler) as client, pytest.raises(OutOfRange) as caught:
        client.predict("intent", ["x"] * 300)

    assert [getattr(each, "pointer", None) for each in caught.value.errors] == ["/inputs/259"]
    assert caught.value.__notes__ == ["in the request for inputs 256 to 299 of all"]


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_predictions_keep_the_order_of_their_texts(concurrency: int) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        first = int(json.loads(request.content)["inputs"][0])
        time.sleep(0.02 if first == 0 else 0.0)  # the first request is the last to be answered
        return predicted(request)

    texts = [str(i) for i in range(1500)]
    with client_of(handler) as client:
        found = client.predict("intent", texts, concurrency=concurrency)

    assert [each.label for each in found] == texts


def test_a_refusal_does_not_wait_for_the_requests_that_are_on_their_way() -> None:
    ended = threading.Event()

    def handler(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["inputs"][0] == "0":
            return refused("model-not-found", 404)
        ended.wait(20.0)
        return predicted(request)

    with client_of(handler) as client:
        began = time.monotonic()
        with pytest.raises(ModelNotFound):
            client.predict("intent", [str(i) for i in range(1500)])
        took = time.monotonic() - began
        ended.set()

    assert took < 10.0


def all_but_one(request: httpx.Request) -> httpx.Response:
    found = predicted(request).json()
    return httpx.Response(200, json={**found, "predictions": found["predictions"][1:]})


def test_an_answer_without_a_prediction_for_each_text_is_invalid() -> None:
    with client_of(all_but_one) as client, pytest.raises(InvalidAnswer, match="came for 2 texts"):
        client.predict("intent", ["a", "b"])


def test_an_awaited_answer_without_a_prediction_for_each_text_is_invalid() -> None:
    async def body() -> None:
        async with async_client_of(all_but_one) as client:
            await client.predict("intent", ["a", "b"])

    with pytest.raises(InvalidAnswer, match="came for 2 texts"):
        asyncio.run(body())


@pytest.mark.parametrize("concurrency", [1, 4])
def test_of_endless_texts_only_what_is_on_its_way_is_taken(concurrency: int) -> None:
    taken = itertools.count()
    script = Script(predicted)

    with client_of(script) as client:
        responses = client.predict.responses(
            "intent", (str(i) for i in taken), concurrency=concurrency
        )
        first = next(responses)
        getattr(responses, "close")()  # noqa: B009

    assert first.predictions[0].label == "0"
    assert next(taken) <= 7 * 256

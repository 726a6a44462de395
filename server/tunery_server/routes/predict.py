"""Predictions: the hot path. No query, no copy of a text that is not needed."""

import asyncio

from litestar import Response, post
from litestar.params import JSONBody

from tunery.types import (
    MAX_INPUTS,
    MAX_TEXT_CHARACTERS,
    PredictRequest,
    PredictResponse,
    TextInput,
    TextPair,
)
from tunery_server.answers import answer
from tunery_server.engines import ClientGone
from tunery_server.meter import DEPLOYMENT
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request

MAX_TIMEOUT_MS = 600_000
MAX_SCORES = 200_000  # inputs times top_k of one answer


@post("/predict", status_code=200, operation_id="predict", opt={"scope": "predict"})
async def predict(request: Request, data: JSONBody[PredictRequest]) -> Response[PredictResponse]:
    """Answer texts in the order asked, all from one version."""
    return answer(await predicted(request, data))


async def predicted(request: Request, data: PredictRequest) -> PredictResponse:
    """Return the answer to a request.

    Raises:
        Refusal: it can't be answered, or not in time.
    """
    check_inputs(data.inputs)
    if len(data.inputs) * data.top_k > MAX_SCORES:
        raise Refusal.at("batch-too-large", "/top_k", f"{len(data.inputs)} inputs x {data.top_k}")
    asked = request.headers.get("x-request-timeout-ms")
    timeout_seconds = _timeout_ms(asked, request.services.settings.predict_timeout_ms) / 1000
    gone = asyncio.ensure_future(_hang_up(request))
    try:
        version, predictions = await request.services.engines.predict(
            request.project, data, timeout_seconds=timeout_seconds, gone=gone
        )
    except ClientGone:
        raise Refusal("incomplete-body", "the client has gone") from None
    finally:
        gone.cancel()
        deployment = request.services.engines.deployment_of(request.project, data.model)
        request.scope["state"][DEPLOYMENT] = request.project, deployment
    return PredictResponse(
        model=data.model,
        version=version,
        request_id=request.request_id,
        predictions=predictions,
    )


def check_inputs(inputs: list[TextInput]) -> None:
    """Refuse what no engine needs to see.

    Raises:
        Refusal: 413 for too much, 422 for nothing.
    """
    if not inputs:
        raise Refusal.at("empty-batch", "/inputs", "there are no inputs")
    if len(inputs) > MAX_INPUTS:
        raise Refusal.at("batch-too-large", "/inputs", f"{len(inputs)} inputs")
    for i, each in enumerate(inputs):
        if isinstance(each, TextPair):
            _check_text(each.text, f"/inputs/{i}/text")
            _check_text(each.text_pair, f"/inputs/{i}/text_pair")
        else:
            _check_text(each, f"/inputs/{i}")


def _check_text(text: str, pointer: str) -> None:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise Refusal.at("text-too-large", pointer, f"{len(text)} characters")
    if not text or text.isspace():
        raise Refusal.at("empty-text", pointer, "the text is empty")


def _timeout_ms(given: str | None, default: int) -> int:
    if given is None:
        return default
    if given.isascii() and given.isdecimal() and len(given) <= 6:
        milliseconds = int(given)
        if 1 <= milliseconds <= MAX_TIMEOUT_MS:
            return milliseconds
    raise Refusal("invalid-deadline", f"X-Request-Timeout-Ms is {quote(given)}")


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


HANDLERS = [predict]

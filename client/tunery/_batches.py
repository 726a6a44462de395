"""Batches: many texts cut to what one request may hold, and faults told by their place in all.

Pure; the clients send the batches and keep their order.
"""

from collections.abc import Iterable, Iterator

import msgspec

from tunery.errors import ApiError, InvalidAnswer, InvalidArgument
from tunery.types import (
    MAX_INPUTS,
    FieldError,
    PredictRequest,
    PredictResponse,
    TextInput,
    TextPair,
)

MAX_BATCH_BYTES = 1_500_000  # of JSON; the service takes 2 MiB unless it is told otherwise
_SHOWN_CHARACTERS = 80
_FRAME_BYTES = 6  # a sixth of the names, quotes and braces of a pair
_encoder = msgspec.json.Encoder()


class Batch(msgspec.Struct, kw_only=True, frozen=True):
    """Texts of one request; `start` is the place of the first in all."""

    start: int
    inputs: list[TextInput]

    def request(self, model: str, *, top_k: int, truncate: bool) -> PredictRequest:
        """Return what is asked about them."""
        return PredictRequest(model=model, inputs=self.inputs, top_k=top_k, truncate=truncate)

    def checked(self, response: PredictResponse) -> PredictResponse:
        """Return an answer that has a prediction for each text.

        Raises:
            InvalidAnswer: it has more, or fewer.
        """
        if len(response.predictions) != len(self.inputs):
            raise InvalidAnswer(
                f"{len(response.predictions)} predictions came for {len(self.inputs)} texts"
            )
        return response

    def explained(self, error: ApiError) -> ApiError:
        """Let a refusal point into all of the texts instead of into this batch."""
        if self.start:
            last = self.start + len(self.inputs) - 1
            error.add_note(f"in the request for inputs {self.start} to {last} of all")
            error.errors = [
                msgspec.structs.replace(each, pointer=_shifted(each.pointer, self.start))
                if isinstance(each, FieldError)
                else each
                for each in error.errors
            ]
        return error


class Batcher:
    """Gathers texts, in order, to as many at once as a request may hold."""

    def __init__(self) -> None:
        self._start = 0
        self._held: list[TextInput] = []
        self._bytes = 0

    def take(self, text: TextInput) -> Iterator[Batch]:
        """Take a text or a pair, and yield the batch that has no more room for it.

        Raises:
            TypeError: it is neither; its place is in the message.
            InvalidArgument: it holds half a character.
        """
        place = self._start + len(self._held)
        if not isinstance(text, str | TextPair):  # pyright: ignore[reportUnnecessaryIsInstance] - the types end here
            raise TypeError(f"input {place} is {type(text).__name__}, not str or TextPair")
        for part in _parts(text):
            try:
                part.encode()
            except UnicodeEncodeError:
                shown = ascii(part[:_SHOWN_CHARACTERS])
                raise InvalidArgument(f"input {place}: {shown} is not UTF-8") from None
        size = _size(text)
        if len(self._held) == MAX_INPUTS or self._bytes + size > MAX_BATCH_BYTES:
            yield from self.end()
        self._held.append(text)
        self._bytes += size

    def end(self) -> Iterator[Batch]:
        """Yield what is held."""
        if self._held:
            yield Batch(start=self._start, inputs=self._held)
            self._start += len(self._held)
            self._held, self._bytes = [], 0


def batches(inputs: Iterable[TextInput]) -> Iterator[Batch]:
    """Yield batches of the texts, in order. Raises like `Batcher.take`."""
    batcher = Batcher()
    for text in inputs:
        yield from batcher.take(text)
    yield from batcher.end()


def _parts(text: TextInput) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else (text.text, text.text_pair)


def _size(text: TextInput) -> int:
    """Return the bytes of an input as JSON, or more."""
    characters = _FRAME_BYTES + sum(map(len, _parts(text)))
    if characters * 6 < MAX_BATCH_BYTES // MAX_INPUTS:
        return characters * 6  # the worst case, where it can't matter
    return len(_encoder.encode(text)) + 1


def _shifted(pointer: str | None, by: int) -> str | None:
    if pointer is None or not pointer.startswith("/inputs/"):
        return pointer
    head, _, tail = pointer.removeprefix("/inputs/").partition("/")
    moved = f"/inputs/{int(head) + by}" if head.isdecimal() else pointer
    return f"{moved}/{tail}" if tail else moved

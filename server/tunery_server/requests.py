"""Requests: what a handler sees of one, and how its JSON body becomes a struct of the contract.

Litestar's own decoding lets a nesting of 100,000, a stray byte and any Content-Type through to a
500 or to a handler; here each has its answer.
"""

import json
import re
from typing import Any

import litestar
import msgspec
from litestar.datastructures import State
from litestar.types import Empty

from tunery_server.keys import Key
from tunery_server.problems import REQUEST_ID, Refusal, quote
from tunery_server.services import Services
from tunery_server.violations import refusal_of

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_OFFSET = re.compile(r"\(byte (\d+)\)")


class Request(litestar.Request[Any, Key, State]):
    """A request of this service."""

    @property
    def services(self) -> Services:
        """What handlers work with."""
        services: Services = self.scope["litestar_app"].state["services"]
        return services

    @property
    def key(self) -> Key:
        """The key that let the request in."""
        key: Key = self.scope["auth"]
        return key

    @property
    def project(self) -> str:
        """Whose rows the request may see."""
        return self.key.project

    @property
    def request_id(self) -> str:
        """The id that answers and logs name."""
        request_id: str = self.scope["state"][REQUEST_ID]
        return request_id

    async def body(self) -> bytes:
        """Return the bytes of a JSON body.

        Raises:
            Refusal: it is not declared as JSON, or there is none.
        """
        if self._body is Empty:
            check_encoding(self)
            media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "application/json":
                shown = quote(media_type) if media_type else "none"
                raise Refusal(
                    "unsupported-media-type", f"Content-Type is {shown}; send application/json"
                )
        body = await super().body()
        if not body:
            raise Refusal("empty-body", "the body has no bytes")
        return body

    async def json(self) -> Any:
        """Return the body as the type that the handler's `data` has.

        Raises:
            Refusal: 400 for what is no JSON, 422 for what is not of the type.
        """
        field = self.route_handler.parsed_fn_signature.parameters["data"]
        return decode(await self.body(), field.annotation)


def check_encoding(request: litestar.Request[Any, Any, Any]) -> None:
    """Refuse a compressed body: its size is not known before it is unpacked."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Refusal("unsupported-content-encoding", f"Content-Encoding is {quote(encoding)}")


def decode(body: bytes, of: Any) -> Any:
    """Return a body as a value of a type.

    Raises:
        Refusal: see `Request.json`.
    """
    try:
        return msgspec.json.decode(body, type=of)
    except msgspec.ValidationError as error:
        # The decoder stops at the first field that is wrong: what follows may be no JSON at all.
        _check_syntax(body)
        raise refusal_of(error, of) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _unreadable(body, error) from None


def _check_syntax(body: bytes) -> None:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        return
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _unreadable(body, error) from None


def _unreadable(body: bytes, error: Exception) -> Refusal:
    if isinstance(error, RecursionError):
        return Refusal("json-too-deep", "the nesting is deeper than the decoder goes")
    if isinstance(error, UnicodeDecodeError):
        return Refusal("invalid-utf8", _where_not_utf8(body))
    if _has_lone_surrogate(body):
        return Refusal("invalid-unicode", "an escape \\ud800 to \\udfff has no partner")
    offset = _OFFSET.search(str(error))
    at = offset.group(1) if offset else str(len(body))
    reason = "it ends too early" if offset is None else "an unexpected character"
    return Refusal("malformed-json", f"{reason}, at byte {at}")


def _where_not_utf8(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} is 0x{body[error.start]:02x}"
    return "an escape does not give UTF-8"


def _has_lone_surrogate(body: bytes) -> bool:
    # msgspec calls half a pair malformed or truncated; the standard library lets it through.
    if _SURROGATE.search(body) is None:
        return False
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False

"""Problems: how a refusal becomes an answer, RFC 9457 in English or Chinese.

Owns the exception that every route raises and the handlers that Litestar calls. The texts stand
in `tunery.types.problems`; what a refusal adds is its detail.

    Refusal
"""

import errno
import logging
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from sqlalchemy.exc import DBAPIError

from tunery.types import PROBLEMS, FieldError, Problem
from tunery_server.db.engine import Unreachable

logger = logging.getLogger("tunery.api")
Language = Literal["en", "zh"]

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "tunery_request_id"  # key of the ASGI scope's state, as is the next one
CODE = "tunery_code"  # of the problem that is the answer
MAX_ERRORS = 100
MAX_QUOTED_CHARACTERS = 80
_WAIT_SECONDS = {429: 10, 503: 1}
_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
_MISSING = re.compile(r"Missing required query parameter '(\w+)'")  # Litestar says so
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Refusal(Exception):
    """A request that is answered with a problem of the table."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.hint = hint
        self.errors = list(errors[:MAX_ERRORS])
        self.status = PROBLEMS[code].status or 500
        self.headers = dict(headers or {})
        if retry_after is not None or self.status in _WAIT_SECONDS:
            wait = retry_after or _WAIT_SECONDS.get(self.status, 1)
            self.headers["Retry-After"] = str(wait)

    @classmethod
    def at(cls, code: str, pointer: str, message: str, *, hint: str | None = None) -> Self:
        """Return the refusal of one place in the body (a JSON pointer)."""
        error = FieldError(code=code, message=message, pointer=pointer)
        return cls(code, message, hint=hint, errors=[error])

    def body(self, request_id: str, language: Language) -> bytes:
        """Return the problem as JSON."""
        kind = PROBLEMS[self.code]
        title, hint = kind.texts(language)
        problem = Problem(
            type=f"/problems/{self.code}",
            title=title,
            status=self.status,
            detail=self.detail,
            instance=request_id,
            code=self.code,
            hint=self.hint or hint,
            errors=self.errors,
        )
        return msgspec.json.encode(problem)


def quote(text: str) -> str:
    """Return a part of the input as a message may show it: short, control characters escaped."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[:MAX_QUOTED_CHARACTERS]
    )
    return f"'{shown[:MAX_QUOTED_CHARACTERS]}'"


def language_of(accept_language: str) -> Language:
    """Return the language that a client prefers, of the two there are."""
    best: Language = "en"
    best_weight = 0.0
    for part in accept_language[:1000].split(","):
        tag, _, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        primary = tag.strip().lower().partition("-")[0]
        if primary in ("en", "zh") and weight > best_weight:
            best, best_weight = ("zh" if primary == "zh" else "en"), weight
    return best


def on_refusal(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
    """Answer a refusal."""
    request.scope["state"][CODE] = refusal.code
    request_id: str = request.scope["state"].get(REQUEST_ID, "")
    language = language_of(request.headers.get("accept-language", ""))
    return Response(
        refusal.body(request_id, language),
        status_code=refusal.status,
        media_type=MEDIA_TYPE,
        headers={"Content-Language": language, **refusal.headers},
    )


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what Litestar itself refuses."""
    if isinstance(error, ValidationException):
        return on_refusal(request, _bad_parameter(error))
    if error.status_code >= 500:
        return on_exception(request, error)
    code = _BY_STATUS.get(error.status_code, "bad-request")
    detail = {
        "not-found": f"{quote(request.scope['path'])} is no path of this service",
        "method-not-allowed": f"{request.method} is not a method of this path",
    }.get(code, error.detail)
    return on_refusal(request, Refusal(code, detail, headers=error.headers))


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a fault of ours, and log it under the request's id."""
    return on_refusal(request, fault(request, error))


def fault(request: Request[Any, Any, Any], error: Exception) -> Refusal:
    """Log a fault of ours under the request's id; return what the client is told of it."""
    code = _code_of(error)
    request_id = request.scope["state"].get(REQUEST_ID, "")
    logger.error(
        "%s %s: %s %s",
        request.method,
        request.scope["path"],
        code,
        request_id,
        exc_info=error,
    )
    return Refusal(code, f"see request {request_id} in the log")


def _code_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return "insufficient-storage"
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "storage-io-error"
    if isinstance(error, Unreachable):
        return "overloaded"
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.OperationalError):
        if "full" in str(error.orig):
            return "insufficient-storage"
        if "I/O" in str(error.orig):
            return "storage-io-error"
        if "locked" in str(error.orig):
            return "overloaded"
    return "internal-error"


def _bad_parameter(error: ValidationException) -> Refusal:
    missing = _MISSING.match(error.detail)
    if missing is not None:
        code, message = "missing-required-field", f"{missing.group(1)} is missing from the query"
        place = FieldError(code=code, message=message, pointer=f"/query/{missing.group(1)}")
        return Refusal(code, message, errors=[place])
    entries: list[dict[str, str]] = error.extra if isinstance(error.extra, list) else []
    found = [(entry.get("key", ""), entry.get("message", "")) for entry in entries]
    names = {name for name, _ in found}
    if names & {"limit", "after"}:
        code = "invalid-after" if _of_events(error) and "after" in names else "invalid-pagination"
    else:
        code = "out-of-range" if any("=" in text for _, text in found) else "schema-violation"
    errors = [
        FieldError(code=code, message=message[:200], pointer=f"/query/{name}")
        for name, message in found
    ]
    detail = "; ".join(f"{name}: {message[:100]}" for name, message in found)
    return Refusal(code, detail or "a query parameter can't be used", errors=errors)


def _of_events(error: ValidationException) -> bool:
    return "/events" in error.detail


HANDLERS: dict[int | type[Exception], Any] = {
    Refusal: on_refusal,
    HTTPException: on_http_exception,
    Exception: on_exception,
}

"""The description of the API, OpenAPI 3.1, from the routes and the structs of the contract.

Litestar finds the paths and their parameters. The schemas are msgspec's own: they know every
bound, and that a request may have no other fields (Litestar's leave that out).
"""

import functools
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

from tunery import __version__
from tunery.types import MEDIA_TYPES, Event, ListedFinding, Problem
from tunery_server.app import litestar_app
from tunery_server.problems import MEDIA_TYPE

_REF = "#/components/schemas/{name}"
_ALWAYS = {"400": "It can't be parsed.", "421": "Another host.", "500": "A fault of tunery."}
_KEYED = {"401": "No valid key.", "403": "The key may not do this.", "429": "Too many."}
_BODY = {
    "408": "The body came too slowly.",
    "413": "Too large.",
    "415": "Another media type.",
    "422": "Not acceptable.",
    "507": "The disk is full.",
}
_LATER = {"404": "It is not there.", "409": "Its state does not allow this.", "503": "Not now."}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "It is done once per key; a replay has Idempotency-Replayed: true.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
_TIMEOUT = {
    "name": "X-Request-Timeout-Ms",
    "in": "header",
    "required": False,
    "description": "A deadline that reaches the engine.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 600_000},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "An ETag; 412 when the resource has another by now.",
    "schema": {"type": "string"},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "An ETag; 304 when the resource still has it.",
    "schema": {"type": "string"},
}


@functools.cache
def document() -> bytes:
    """Return the description as indented JSON, in an order that does not change."""
    app = litestar_app(State(), openapi_config=OpenAPIConfig(title="tunery", version=__version__))
    described: dict[str, Any] = app.openapi_schema.to_schema()
    operations = list(_operations(app, described))
    types = {of for _, handler in operations for of in (_asked(handler), _given(handler))}
    ordered = sorted((of for of in types if of is not None), key=str)
    found, components = msgspec.json.schema_components(
        [*ordered, Problem, Event, ListedFinding], ref_template=_REF
    )
    schemas = dict(zip(ordered, found, strict=False))
    for operation, handler in operations:
        _complete(operation, handler, schemas)
    described["info"]["description"] = "Fine-tune a transformer, prove it, load it, serve it."
    described["servers"] = [{"url": "/"}]
    described["security"] = [{"key": []}]
    described["components"] = {
        "schemas": components,
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "tnr_…"}},
    }
    encoded = msgspec.json.encode(described, order="sorted")
    return msgspec.json.format(encoded, indent=2) + b"\n"


def _operations(
    app: Litestar, described: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], HTTPRouteHandler]]:
    handlers = {
        handler.operation_id: handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
    }
    described["paths"] = {
        path: item for path, item in described["paths"].items() if not path.startswith("/schema")
    }
    for item in described["paths"].values():
        for operation in item.values():
            yield operation, handlers[operation["operationId"]]


def _asked(handler: HTTPRouteHandler) -> Any:
    field = handler.parsed_fn_signature.parameters.get("data")
    return None if field is None else field.annotation


def _given(handler: HTTPRouteHandler) -> Any:
    returned = handler.parsed_fn_signature.return_type.annotation
    for part in (returned, *get_args(returned)):
        if get_origin(part) is Response:
            (of,) = get_args(part)
            return None if of is bytes else of
    return None


def _complete(
    operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[Any, dict[str, Any]]
) -> None:
    text = (handler.fn.__doc__ or "").strip()
    operation["summary"] = text.partition(";")[0].partition(".")[0]
    operation["description"] = text
    public = bool(handler.opt.get("public"))
    if public:
        operation["security"] = []
    else:
        operation["x-scope"] = handler.opt.get("scope", "train")
    asked, given = _asked(handler), _given(handler)
    if asked is not None:
        operation["requestBody"]["content"]["application/json"]["schema"] = schemas[asked]
    if handler.opt.get("raw_body"):
        raw = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(MEDIA_TYPES, raw)}
    parameters = operation.setdefault("parameters", [])
    if operation["operationId"] in _ONCE:
        parameters.append(_IDEMPOTENCY)
    if operation["operationId"] == "predict":
        parameters.append(_TIMEOUT)
    if operation["operationId"] in _MATCHING:
        parameters.append(_IF_MATCH)
    if any(parameter["name"] == "wait" for parameter in parameters) and not _streams(handler):
        parameters.append(_IF_NONE_MATCH)
    status = str(handler.status_code)
    success = operation["responses"][status]
    success.pop("headers", None)
    if given is not None:
        success["content"] = {"application/json": {"schema": schemas[given]}}
    if operation["operationId"] == "get_dataset_report":
        listed = {"$ref": _REF.format(name="ListedFinding")}
        success["content"]["application/x-ndjson"] = {"schema": listed}
    if operation["operationId"] in ("get_metrics", "list_evaluations"):
        success["content"]["text/csv"] = {"schema": {"type": "string"}}
    if operation["operationId"] == "metrics":
        success["content"] = {"text/plain": {"schema": {"type": "string"}}}
    if operation["operationId"] == "get_evaluation_report":
        kinds = ("text/html", "text/markdown", "image/svg+xml")
        success["content"] = {kind: {"schema": {"type": "string"}} for kind in kinds}
    if _streams(handler):
        success["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    operation["responses"] = {status: success, **_refusals(handler, public=public)}
    if _streams(handler):
        operation["responses"]["204"] = {"description": "No event is left to stream."}
    if _IF_NONE_MATCH in parameters:
        operation["responses"]["304"] = {"description": "Unchanged."}
    if operation["operationId"] in _ACTIONS:
        operation["responses"]["200"] = {**success, "description": "It has ended; unchanged."}


_MATCHING = ("put_deployment", "delete_deployment")
_ACTIONS = ("cancel_job", "pause_job", "resume_job")
_CREATING = (
    "upload_file",
    "create_dataset",
    "transform_dataset",
    "find_label_issues",
    "finetune",
    "evaluate",
    "create_key",
)
_ONCE = (*_CREATING, "rollback_deployment", *_ACTIONS)  # per Idempotency-Key


def _streams(handler: HTTPRouteHandler) -> bool:
    return bool(handler.opt.get("event_stream"))


def _refusals(handler: HTTPRouteHandler, *, public: bool) -> dict[str, Any]:
    texts = {**_ALWAYS, **_LATER}
    if not public:
        texts |= _KEYED
    texts["422"] = "Not acceptable."
    methods = handler.http_methods
    if "GET" not in methods:
        texts |= _BODY
    if "PUT" in methods or "DELETE" in methods:
        texts["412"] = "If-Match names another state."
    if handler.opt.get("scope") == "predict":
        texts["504"] = "The deadline has passed."
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}
    return {
        status: {"description": text, "content": content} for status, text in sorted(texts.items())
    }

"""Problem pages: what each code means, for whoever follows the `type` of an error."""

import html

from litestar import Response, get
from litestar.params import FromPath

from tunery.types import PROBLEMS, ProblemKind
from tunery_server.answers import encode
from tunery_server.problems import Language, Refusal, language_of, quote
from tunery_server.requests import Request

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="{language}"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1rem/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}}</style>
<h1>{title}</h1><p><code>{code}</code>{status}</p><p>{hint}</p></html>
"""


@get("/problems/{code:str}", operation_id="explain_problem", opt={"public": True})
async def explain(request: Request, code: FromPath[str]) -> Response[bytes]:
    """Explain a problem code, as HTML or as JSON."""
    kind = PROBLEMS.get(code)
    if kind is None:
        raise Refusal("not-found", f"there is no problem {quote(code)}")
    language = language_of(request.headers.get("accept-language", ""))
    headers = {"Content-Security-Policy": _POLICY, "Content-Language": language, "Vary": "Accept"}
    title, hint = _texts(kind, language)
    if "html" in request.headers.get("accept", ""):
        page = _PAGE.format(
            language=language,
            title=html.escape(title),
            code=html.escape(code),
            status=f" · HTTP {kind.status}" if kind.status else "",
            hint=html.escape(hint),
        )
        return Response(page.encode(), media_type="text/html; charset=utf-8", headers=headers)
    known = {"code": code, "status": kind.status, "title": title, "hint": hint}
    return Response(encode(known), media_type="application/json", headers=headers)


def _texts(kind: ProblemKind, language: Language) -> tuple[str, str]:
    return (kind.title_zh, kind.hint_zh) if language == "zh" else (kind.title, kind.hint)


HANDLERS = [explain]

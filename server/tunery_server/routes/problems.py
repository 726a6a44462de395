"""Problem pages: what each code means, for whoever follows the `type` of an error."""

import functools
import html
from typing import cast

from litestar import MediaType, Response, get
from litestar.params import FromPath
from markdown_it import MarkdownIt

from tunery.explanations import problem_page
from tunery.types import PROBLEMS, ProblemPage
from tunery_server.answers import answer
from tunery_server.problems import Language, Refusal, language_of, quote
from tunery_server.requests import Request

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="{tag}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · tunery</title>
<style>{style}</style></head>
<body><main>
<p class="facts"><code>{code}</code><span>{status}</span></p>
<h1>{title}</h1>
<p class="hint"><strong>{to_do}</strong>{hint}</p>
{explanation}</main></body></html>
"""
_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1f2328; --faint: #59636e;
  --box: #f3f5f7; --line: #d5dae0; --hint: #fff7e0; --edge: #c98a00 }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --text: #dfe3e8; --faint: #98a1ab;
    --box: #1e2328; --line: #363d45; --hint: #2b2414; --edge: #d9a326 } }
body { margin: 0; background: var(--page); color: var(--text);
  font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: break-word }
body:lang(zh) { line-height: 1.8 }
main { max-width: 43rem; margin: 0 auto; padding: 3rem 1.25rem }
h1 { margin: .6rem 0 1.25rem; font-size: 1.75rem; line-height: 1.25 }
code { font: .875em/1.5 ui-monospace, monospace; background: var(--box); border-radius: .25rem;
  padding: .1em .35em }
.facts { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: 0;
  color: var(--faint) }
.facts code { padding: .15em .6em; border: 1px solid var(--line); color: var(--text) }
.hint { margin: 0 0 1.5rem; padding: .75rem 1rem; background: var(--hint);
  border-left: .25rem solid var(--edge); border-radius: .25rem }
.hint strong { display: block }
.hint code { background: none; padding: 0 }
pre { margin: 1.25rem 0; padding: .85rem 1rem; overflow-x: auto; background: var(--box);
  border: 1px solid var(--line); border-radius: .35rem; line-height: 1.5 }
pre code { padding: 0; background: none }
"""


@get("/problems/{code:str}", operation_id="explain_problem", opt={"public": True})
async def explain(request: Request, code: FromPath[str]) -> Response[ProblemPage]:
    """Explain a problem code, as HTML or as JSON."""
    if code not in PROBLEMS:
        raise Refusal("not-found", f"there is no problem {quote(code)}")
    language = language_of(request.headers.get("accept-language", ""))
    headers = {
        "Content-Security-Policy": _POLICY,
        "Content-Language": language,
        "Vary": "Accept, Accept-Language",
    }
    if "html" not in request.headers.get("accept", ""):
        return answer(problem_page(code, language), headers=headers)
    # The type is what the API documentation shows; see answers.from_bytes.
    rendered = cast("ProblemPage", _rendered(code, language))
    return Response(rendered, media_type=MediaType.HTML, headers=headers)


@functools.cache
def _rendered(code: str, language: Language) -> bytes:
    page = problem_page(code, language)
    # With html off, what looks like a tag in a text, such as <data dir>, is shown as it stands.
    markdown = MarkdownIt("commonmark", {"html": False})
    rendered = _PAGE.format(
        tag="zh-Hans" if language == "zh" else "en",  # Hans: fonts draw some signs differently
        style=_STYLE,
        title=html.escape(page.title),
        code=html.escape(code),
        status=_status(page.status, language),
        to_do="怎么办" if language == "zh" else "What to do",
        hint=markdown.renderInline(page.hint),
        explanation=markdown.render(page.explanation),
    )
    return rendered.encode()


def _status(status: int | None, language: Language) -> str:
    if status is not None:
        return f"HTTP {status}"
    return "见于报告或 error.code" if language == "zh" else "seen in a report or in error.code"


HANDLERS = [explain]

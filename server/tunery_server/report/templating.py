"""Templates: how what stands in a report is escaped, so that a text of the data stays a text.

HTML and SVG escape every value by themselves, Markdown by `finalize`. What would turn the direction
of a line, or does nothing but harm, is shown as its escape.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Control characters but tab and line feed, marks that turn the direction, what XML can't hold.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)
_MARKDOWN = re.compile(r"(^[-+#=]|[\\`*_{}\[\]()<>!|~&$])")


@functools.cache
def pages() -> Environment:
    """Return the environment of HTML and SVG."""
    return _environment(autoescape=True, finalize=_visible)


@functools.cache
def cards() -> Environment:
    """Return the environment of Markdown; a value is never more than one line."""
    return _environment(autoescape=False, finalize=_in_markdown)


def figure(value: float | None) -> Markup:
    """Return a figure with three digits after the point, or more where it is small."""
    if value is None:
        return Markup("–")
    return Markup(f"{value:,.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.2g}")


def percent(value: float) -> Markup:
    """Return a share in per cent."""
    return Markup(f"{value:.1%}")


def count(value: int) -> Markup:
    """Return a number of things."""
    return Markup(f"{value:,}")


def cut(text: str, characters: int) -> str:
    """Return a text that is no longer than so many characters."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def told(value: object) -> str:
    """Return a text as it is, and any other value as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _environment(*, autoescape: bool, finalize: Callable[[Any], Any]) -> Environment:
    environment = Environment(
        loader=PackageLoader("tunery_server.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = environment.filters
    filters |= {"figure": figure, "percent": percent, "count": count, "cut": cut, "told": told}
    return environment


def _visible(value: Any) -> Any:
    """Return a value of a page; markup has been through here."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _UNSEEN.sub(_escape, value)


def _in_markdown(value: Any) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MARKDOWN.sub(r"\\\1", _UNSEEN.sub(_escape, " ".join(value.split())))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"

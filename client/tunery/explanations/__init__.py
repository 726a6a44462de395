"""Explanations: for each code of the problem table, what happened, how to see it, how to mend it.

`en.md` and `zh.md` hold the same sections in the table's order. The server's `/problems/{code}` and
`tunery problems` show them below the title and the hint, which they do not repeat.
"""

import functools
import re
from importlib import resources
from typing import Literal

from tunery.types import PROBLEMS, ProblemPage

_SECTION = re.compile(r"^## (\S+)\n(.*?)(?=^##? |\Z)", re.MULTILINE | re.DOTALL)


def explanation(code: str, language: Literal["en", "zh"]) -> str:
    """Return the markdown that explains a problem code.

    Raises:
        KeyError: the table has no such code.
    """
    return _sections(language)[code]


def problem_page(code: str, language: Literal["en", "zh"]) -> ProblemPage:
    """Return all that is told of a problem code.

    Raises:
        KeyError: the table has no such code.
    """
    kind = PROBLEMS[code]
    title, hint = kind.texts(language)
    return ProblemPage(
        code=code,
        status=kind.status,
        title=title,
        hint=hint,
        explanation=explanation(code, language),
    )


@functools.cache
def _sections(language: Literal["en", "zh"]) -> dict[str, str]:
    text = resources.files(__name__).joinpath(f"{language}.md").read_text("utf-8")
    return {code: body.strip() for code, body in _SECTION.findall(text)}

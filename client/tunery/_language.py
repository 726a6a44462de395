"""Languages: the messages of the SDK's progress display and of the command line.

A message is its English text; `_chinese.py` holds the other one. What the service says comes in
the language that the client asks for, and needs none of this.
"""

from collections.abc import Callable

from tunery._chinese import CHINESE
from tunery._settings import Language
from tunery.types import PROBLEMS

Translate = Callable[..., str]


def translator(language: Language) -> Translate:
    """Return a function that gives a message in a language, with its values filled in."""
    known = _chinese() if language == "zh" else {}

    def translate(message: str, /, **values: object) -> str:
        text = known.get(message, message)
        return text.format(**values) if values else text

    return translate


def _chinese() -> dict[str, str]:
    """Return the catalogue, with the hints that reports hold in English."""
    return {kind.hint: kind.hint_zh for kind in PROBLEMS.values()} | CHINESE

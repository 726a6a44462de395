"""Label names: labels as texts that training can add to its rows. Imports no torch."""

import re
from collections.abc import Sequence

_WORD = re.compile(r"[^\W\d_]{3,}|[^\x00-\x7f\W\d_]")  # three letters, or one that is no ASCII


def names_of(labels: Sequence[str]) -> list[str] | None:
    """Return each label as a text, such as `card arrival` of `card_arrival`.

    None where one of them says nothing, such as `1` or `B2`.
    """
    if not all(_WORD.search(label) for label in labels):
        return None
    return [" ".join(re.split(r"[\s_\-./:]+", _words_apart(label))).strip() for label in labels]


def _words_apart(label: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)  # cardArrival

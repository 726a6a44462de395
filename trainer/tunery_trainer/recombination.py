"""Recombination: texts that no one wrote, out of the clauses and characters of those that are."""

import random
import re
from collections.abc import Sequence

MAX_CHARACTERS = 150
# The shares of the ways in which a text is made, cumulated; the rest stays as it was written.
_ANY_CLAUSES, _OWN_CLAUSES, _RUN_OF_TWO = 0.35, 0.6, 0.8
_MOST_CLAUSES = 12
_DAMAGED, _DAMAGE = 0.4, 0.2  # share of the texts, and of their characters at most
_ENDS = r"，。！？；、：,.!?;:~～…\s"
_CLAUSE = re.compile(f"[^{_ENDS}]+[{_ENDS}]*")


class Recombiner:
    """Writes texts out of the clauses of others; in languages with spaces a clause is a word."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._clauses = [_CLAUSE.findall(text) or [text] for text in texts]
        self._pool = [clause for clauses in self._clauses for clause in clauses]
        self._characters = "".join(texts)

    def __call__(self, chance: random.Random) -> str:
        """Return one text."""
        text = "".join(self._parts(chance))[:MAX_CHARACTERS]
        if chance.random() < _DAMAGED and len(text) > 2:
            text = self._damaged(text, chance)
        return text or chance.choice(self._pool)

    def _parts(self, chance: random.Random) -> list[str]:
        way = chance.random()
        if way < _ANY_CLAUSES:
            count = min(_MOST_CLAUSES, 1 + int(chance.expovariate(0.4)))
            return chance.choices(self._pool, k=count)
        if way < _OWN_CLAUSES:  # in any order, and perhaps a strange one
            own = chance.choice(self._clauses).copy()
            chance.shuffle(own)
            kept = own[: chance.randint(1, len(own))]
            return kept + chance.choices(self._pool, k=chance.randint(0, 1))
        if way < _RUN_OF_TWO:
            both = chance.choice(self._clauses) + chance.choice(self._clauses)
            count = chance.randint(1, len(both))
            start = chance.randint(0, len(both) - count)
            return both[start : start + count]
        return [chance.choice(self._texts)]

    def _damaged(self, text: str, chance: random.Random) -> str:
        """Return a text some of whose characters are lost or replaced."""
        rate = chance.random() * _DAMAGE
        return "".join(
            each if chance.random() > rate else chance.choice(("", chance.choice(self._characters)))
            for each in text
        )

"""Findings: what is wrong with the file (errors) and what only looks odd (warnings).

Owns their bounds: all are counted, the first 1,000 are kept. Knows no format and no check.
"""

from dataclasses import dataclass, field

from msgspec.structs import replace

from tunery.types import PROBLEMS, Finding

MAX_KEPT = 1000
_MAX_QUOTED = 80  # characters of the file in one message


class Findings:
    """Counts all findings and keeps the first ones."""

    def __init__(self) -> None:
        self.total = 0
        self._kept: list[Finding] = []

    def add(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        line: int | None = None,
        column: str | None = None,
        split: str | None = None,
    ) -> None:
        """Add one; without a hint of its own it has the one of the problem table."""
        self.total += 1
        if len(self._kept) < MAX_KEPT:
            finding = Finding(
                code=code,
                message=message,
                hint=hint or PROBLEMS[code].hint,
                line=line,
                column=column,
                split=split,
            )
            self._kept.append(finding)

    def take(self, others: "Findings", *, split: str | None = None) -> None:
        """Add those of another collection, as those of a split file."""
        self.total += others.total
        room = MAX_KEPT - len(self._kept)
        self._kept += [replace(each, split=each.split or split) for each in others._kept[:room]]

    def clear(self) -> None:
        """Forget them all."""
        self.total = 0
        self._kept.clear()

    def sorted(self) -> list[Finding]:
        """Return the kept ones in file order; those about a whole file come first."""
        return sorted(self._kept, key=lambda finding: (finding.split or "", finding.line or 0))


@dataclass(frozen=True)
class Notes:
    """Both kinds, as they are handed from check to check."""

    errors: Findings = field(default_factory=Findings)
    warnings: Findings = field(default_factory=Findings)


def quote(value: str) -> str:
    """Return a value as a message may show it: short, and with control characters escaped."""
    return repr(value if len(value) <= _MAX_QUOTED else value[:_MAX_QUOTED] + "…")


def counted(number: int, noun: str) -> str:
    """Return e.g. '1 row' or '1,204 rows'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

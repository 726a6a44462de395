"""Findings: what is wrong with the file (errors), what only looks odd (warnings), what is left out.

Owns their bounds: all are counted, the first 1,000 are kept, the others go to a file. Knows no
format and no check.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tunery.types import PROBLEMS, Finding

MAX_KEPT = 1000
_MAX_QUOTED = 80  # characters of the file in one message
_HELD = 1000  # findings gathered before they are written

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Finding)


class Findings:
    """Counts all findings and keeps the first ones; the others only where there is a file."""

    def __init__(self, overflow: Path | None = None) -> None:
        self.total = 0
        self._kept: list[Finding] = []
        self._overflow = overflow
        self._held: list[Finding] = []

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
        if len(self._kept) >= MAX_KEPT and self._overflow is None:
            return
        finding = Finding(
            code=code,
            message=message,
            hint=hint or PROBLEMS[code].hint,
            line=line,
            column=column,
            split=split,
        )
        self._keep(finding)

    def take(self, others: "Findings", *, split: str | None = None) -> None:
        """Add those of another collection, as those of a split file."""
        self.total += others.total
        for each in others.all():
            self._keep(replace(each, split=each.split or split))

    def clear(self) -> None:
        """Forget them all."""
        self.total = 0
        self._kept.clear()
        self._held.clear()
        if self._overflow is not None:
            self._overflow.unlink(missing_ok=True)

    def sorted(self) -> list[Finding]:
        """Return the kept ones in file order; those about a whole file come first."""
        return sorted(self._kept, key=lambda finding: (finding.split or "", finding.line or 0))

    def all(self) -> Iterator[Finding]:
        """Yield all that are known: the kept ones in file order, then the others as they came."""
        yield from self.sorted()
        if self._overflow is not None and self._overflow.exists():
            with self._overflow.open("rb") as file:
                yield from map(_decoder.decode, file)
        yield from self._held

    def _keep(self, finding: Finding) -> None:
        if len(self._kept) < MAX_KEPT:
            self._kept.append(finding)
        elif self._overflow is not None:
            self._held.append(finding)
            if len(self._held) >= _HELD:
                with self._overflow.open("ab") as file:
                    file.write(_encoder.encode_lines(self._held))
                self._held.clear()


class Notes:
    """All three kinds, as they are handed from check to check."""

    def __init__(self, directory: Path | None = None) -> None:
        def within(name: str) -> Findings:
            return Findings(None if directory is None else directory / name)

        self.errors = within("errors.ndjson")
        self.warnings = within("warnings.ndjson")
        self.dropped = within("dropped.ndjson")


def write_all(path: Path, notes: Notes) -> None:
    """Write every finding as a line of JSON that also says how severe it is."""
    kinds = {"error": notes.errors, "warning": notes.warnings, "dropped": notes.dropped}
    with path.open("wb") as file:
        for severity, findings in kinds.items():
            for finding in findings.all():
                line = {"severity": severity, **msgspec.structs.asdict(finding)}
                file.write(_encoder.encode(line) + b"\n")


def quote(value: str) -> str:
    """Return a value as a message may show it: short, and with control characters escaped."""
    return repr(value if len(value) <= _MAX_QUOTED else value[:_MAX_QUOTED] + "…")


def counted(number: int, noun: str) -> str:
    """Return e.g. '1 row' or '1,204 rows'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

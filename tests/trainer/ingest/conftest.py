"""Runs the ingest program on real files, as the child does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from tunery.types import Finding, Policies, Report, SplitSpec
from tunery_trainer.ingest.program import run
from tunery_trainer.protocol.events import AnyEvent, Ingested, Rejected
from tunery_trainer.protocol.specs import IngestRun, SourceFile


@dataclass
class Outcome:
    """What one run left behind."""

    events: list[AnyEvent]
    directory: Path

    @property
    def last(self) -> AnyEvent:
        """Return the last event."""
        return self.events[-1]

    @property
    def ingested(self) -> Ingested:
        """Return the last event, which has to be Ingested."""
        assert isinstance(self.last, Ingested), self.last
        return self.last

    @property
    def rejected(self) -> Rejected:
        """Return the last event, which has to be Rejected."""
        assert isinstance(self.last, Rejected), self.last
        return self.last

    @property
    def report(self) -> Report:
        """Return report.json."""
        return msgspec.json.decode((self.directory / "report.json").read_bytes(), type=Report)

    def errors(self) -> list[tuple[str, int | None]]:
        """Return code and line of each error that was kept."""
        return [(finding.code, finding.line) for finding in self.report.errors]

    def warning(self, code: str) -> Finding:
        """Return the first warning of a code."""
        return next(finding for finding in self.report.warnings if finding.code == code)

    def warning_codes(self) -> list[str]:
        """Return the codes of all warnings."""
        return [finding.code for finding in self.report.warnings]

    def rows(self, *splits: str) -> list[dict[str, Any]]:
        """Return the stored rows of some splits, all by default, in file order."""
        names = splits or ("train", "validation", "test")
        tables = [pq.read_table(self.directory / f"{name}.parquet") for name in names]
        return sorted(
            (row for table in tables for row in table.to_pylist()), key=lambda row: row["line"]
        )


Source = bytes | str | Path
Ingest = Callable[..., Outcome]


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    """Ingest one source, or a mapping of them by split."""

    def ingest(
        sources: Source | Mapping[str, Source],
        *,
        media_type: str = "text/csv",
        released: Callable[[], bool] = lambda: False,
        policies: Mapping[str, str] | None = None,
        split: SplitSpec | None = None,
        **fields: Any,
    ) -> Outcome:
        by_split = sources if isinstance(sources, Mapping) else {None: sources}
        files = []
        for name, source in by_split.items():
            path = source if isinstance(source, Path) else tmp_path / f"{name}.data"
            if not isinstance(source, Path):
                path.write_bytes(source.encode() if isinstance(source, str) else source)
            files.append(SourceFile(path=str(path), media_type=media_type, split=name))
        spec = IngestRun(
            work_dir=str(tmp_path),
            job="job_1",
            dataset="ds_1",
            task=fields.pop("task", "text_classification"),
            files=files,
            columns=fields.pop("columns", None),
            split=split or SplitSpec(),
            policies=msgspec.convert(dict(policies or {}), Policies),
            memory_bytes=2**31,
            **fields,
        )
        events: list[AnyEvent] = []
        run(spec, events.append, released)
        return Outcome(events, tmp_path / "dataset")

    return ingest


@pytest.fixture
def csv_of() -> Callable[..., str]:
    """Make a CSV of two labels with distinct texts, and some more lines below."""

    def csv_of(rows: int, *extra: str) -> str:
        body = [f"text number {i},{'ham' if i % 2 else 'spam'}" for i in range(rows)]
        return "\n".join(["text,label", *body, *extra]) + "\n"

    return csv_of

"""The ingest program: files in, a dataset or a rejection out, and a report either way.

Reads straight down: read, settle what is suspicious, judge, split, write. Everything is reported
before anything is refused, so that one round of corrections is enough. Run by
`python -m tunery_trainer`, which confines the process first.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tunery.types import SPLITS, Columns, ErrorInfo, LabelReport, Report, Split
from tunery_trainer.ingest.duplicates import (
    settle_conflicts,
    settle_duplicates,
    warn_if_constant,
)
from tunery_trainer.ingest.findings import Notes, counted
from tunery_trainer.ingest.labels import judge_labels, settle_variants, sort_labels
from tunery_trainer.ingest.leakage import settle_leakage
from tunery_trainer.ingest.normalise import TextKeys
from tunery_trainer.ingest.pulse import LeashReleased, Pulse
from tunery_trainer.ingest.rows import FileRows, Parts, Row, read_file
from tunery_trainer.ingest.splits import Splits, carve_validation, check_shares, share_out
from tunery_trainer.ingest.store import write_splits
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import AnyEvent, Ingested, Interrupted, Rejected
from tunery_trainer.protocol.specs import IngestRun, SourceFile

_FOLDER = "dataset"


def run(
    spec: IngestRun, emit: Callable[[AnyEvent], None], leash_released: Callable[[], bool]
) -> None:
    """Ingest the files of a spec; the last event says how it ended."""
    try:
        emit(_ingest(spec, Pulse(emit, leash_released)))
    except LeashReleased:
        emit(Interrupted(step=0))


def _ingest(spec: IngestRun, pulse: Pulse) -> Ingested | Rejected:
    directory = Path(spec.work_dir) / _FOLDER
    if directory.exists():
        shutil.rmtree(directory)  # of an attempt that died
    directory.mkdir()
    notes = Notes()
    check_shares(spec.split, notes.errors)
    files = _read(spec, notes, pulse)
    parts: Parts = {split: content.rows for split, content in files.items()}

    def beat() -> None:
        pulse.beat("checking", sum(map(len, parts.values())))

    beat()
    parts, variants = settle_variants(parts, spec.policies, notes)
    beat()
    warn_if_constant(parts, notes)
    parts, leakage = settle_leakage(parts, spec.policies, notes)
    beat()
    parts, conflicts = settle_conflicts(parts, spec.policies, notes)
    beat()
    parts, duplicates = settle_duplicates(parts, spec.policies, notes)
    beat()
    judge_labels(parts, notes.errors)
    if not notes.errors.total and not any(parts.values()):
        notes.errors.add("no-rows", "every row was left out", hint="See the warnings.")
    splits: Splits | None = None
    if not notes.errors.total:
        splits = _split(parts, spec, notes)
    beat()
    accepted = splits if splits is not None and not notes.errors.total else None

    first = next(iter(files.values()))
    report = Report(
        dataset=spec.dataset,
        rows=sum(content.read for content in files.values()),
        accepted=sum(map(len, accepted.values())) if accepted else 0,
        encoding=first.encoding,
        dialect=first.dialect,
        columns=first.columns,
        errors=notes.errors.sorted(),
        errors_total=notes.errors.total,
        warnings=notes.warnings.sorted(),
        warnings_total=notes.warnings.total,
        labels=LabelReport(counts=_counts(accepted or parts), variants=variants),
        duplicates=duplicates,
        conflicts=conflicts,
        leakage=leakage,
    )
    (directory / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if accepted is None or report.columns is None:
        return _rejected(directory, report)
    return _ingested(directory, report, accepted, pulse)


def _read(spec: IngestRun, notes: Notes, pulse: Pulse) -> dict[Split | None, FileRows]:
    """Return the files' rows; the columns that the first one shows hold for all of them."""
    keys = TextKeys(spec.split.seed)
    wanted = spec.columns
    files: dict[Split | None, FileRows] = {}
    sources: dict[Split | None, SourceFile] = {
        split: source for split in (*SPLITS, None) for source in spec.files if source.split == split
    }
    for split, source in sources.items():
        content = read_file(source, wanted, spec.policies, keys, notes, pulse)
        files[split] = content
        if wanted is None and content.columns is not None:
            wanted = Columns(text=content.columns.text, label=content.columns.label)
    return files


def _split(parts: Parts, spec: IngestRun, notes: Notes) -> Splits:
    if None in parts:
        return share_out(parts[None], spec.split, notes)
    return carve_validation(parts, notes)


def _rejected(directory: Path, report: Report) -> Rejected:
    first = report.errors[0]
    message = first.message if first.line is None else f"line {first.line:,}: {first.message}"
    if report.errors_total > 1:
        message = f"{message} (and {counted(report.errors_total - 1, 'more error')})"
    sha256, _ = manifest.write(directory, {"kind": "rejected", "dataset": report.dataset})
    return Rejected(
        path=_FOLDER,
        manifest_sha256=sha256,
        error=ErrorInfo(code=first.code, message=message, hint=first.hint),
        errors=report.errors_total,
        warnings=report.warnings_total,
    )


def _ingested(directory: Path, report: Report, splits: Splits, pulse: Pulse) -> Ingested:
    assert report.columns is not None
    fingerprint = write_splits(directory, splits, pulse)
    labels = sort_labels(label for counts in report.labels.counts.values() for label in counts)
    facts = {"kind": "dataset", "dataset": report.dataset, "fingerprint": fingerprint}
    sha256, _ = manifest.write(directory, {**facts, "rows": report.accepted})
    return Ingested(
        path=_FOLDER,
        manifest_sha256=sha256,
        columns=report.columns,
        splits={split: len(rows) for split, rows in splits.items()},
        labels=labels,
        fingerprint=fingerprint,
        warnings=report.warnings_total,
    )


def _counts(parts: Mapping[Split, list[Row]] | Parts) -> dict[str, dict[str, int]]:
    """Return the rows by split and label; what was never split counts as `all`."""
    return {
        split or "all": dict(sorted(Counter(row.label for row in rows).items()))
        for split, rows in parts.items()
    }

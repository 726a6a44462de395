"""The ingest program: files in, a dataset or a rejection out, and a report either way.

Reads straight down: read, settle what is suspicious, judge, split, write. Everything is reported
before anything is refused, so that one round of corrections is enough. Run by
`python -m tunery_trainer`, which confines the process first.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from tunery.types import SPLIT_COLUMNS, SPLITS, Columns, ErrorInfo, LabelReport, Policies, Report
from tunery_trainer.ingest import personal_data
from tunery_trainer.ingest.duplicates import (
    settle_conflicts,
    settle_duplicates,
    warn_if_constant,
)
from tunery_trainer.ingest.findings import Notes, counted, write_all
from tunery_trainer.ingest.gather import Gatherer
from tunery_trainer.ingest.labels import (
    judge_held_labels,
    judge_labels,
    settle_variants,
    sort_labels,
)
from tunery_trainer.ingest.leakage import settle_leakage
from tunery_trainer.ingest.pairs import joined
from tunery_trainer.ingest.profile import Profile
from tunery_trainer.ingest.pulse import LeashReleased, Pulse
from tunery_trainer.ingest.rows import FileReader, FileRows
from tunery_trainer.ingest.splits import (
    MIN_ROWS,
    carve_validation,
    check_shares,
    report_empty,
    share_out,
    split_by_time,
)
from tunery_trainer.ingest.store import write_splits
from tunery_trainer.ingest.stored_rows import open_stored
from tunery_trainer.ingest.table import Table
from tunery_trainer.ingest.transforms import Transforms
from tunery_trainer.ingest.units import Units, units_of
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import AnyEvent, Ingested, Interrupted, Rejected
from tunery_trainer.protocol.specs import IngestRun, SourceFile
from tunery_trainer.tasks import task_named

_FOLDER = "dataset"
_SCRATCH = "scratch"  # beside the dataset: what it is made from


def run(
    spec: IngestRun, emit: Callable[[AnyEvent], None], leash_released: Callable[[], bool]
) -> None:
    """Ingest the files of a spec; the last event says how it ended."""
    directory, scratch = (Path(spec.work_dir) / name for name in (_FOLDER, _SCRATCH))
    for folder in (directory, scratch):
        if folder.exists():
            shutil.rmtree(folder)  # of an attempt that died
        folder.mkdir()
    try:
        emit(_ingest(spec, directory, scratch, Pulse(emit, leash_released)))
    except LeashReleased:
        emit(Interrupted(step=0))
    finally:
        shutil.rmtree(scratch)


def _ingest(spec: IngestRun, directory: Path, scratch: Path, pulse: Pulse) -> Ingested | Rejected:
    notes = Notes(scratch)
    check_shares(spec.split, notes.errors, files=len(spec.files))
    reading = _Reading(spec, scratch, notes, pulse)
    table, units = reading.table()
    policies = reading.policies

    def beat() -> None:
        pulse.beat("checking", len(table.rows()))

    beat()
    variants, merged = settle_variants(table, policies, notes)
    warn_if_constant(table, notes)
    bridging = 0
    if spec.split.time_column is not None and not notes.errors.total:
        bridging = split_by_time(table, units, spec.split, notes)
    beat()
    leakage = settle_leakage(table, units, policies, notes)
    beat()
    conflicts = settle_conflicts(table, policies, notes)
    beat()
    duplicates = settle_duplicates(table, policies, notes)
    beat()
    judge_labels(table, notes)
    if not notes.errors.total and not table.kept.any():
        notes.errors.add("no-rows", "every row was left out", hint="See the warnings.")
    if not notes.errors.total:
        bridging += _split(table, units, spec, notes)
    judge_held_labels(table, notes, least=MIN_ROWS if _is_shared_out(spec) else 1)
    beat()
    reading.profile.warn(notes)
    personal_data.warn(reading.personal_data, notes)

    first = reading.files[0]
    accepted = not notes.errors.total
    report = Report(
        dataset=spec.dataset,
        rows=sum(content.read for content in reading.files),
        accepted=int(table.kept.sum()) if accepted else 0,
        blank_lines=sum(content.blank_lines for content in reading.files),
        encoding=first.encoding,
        dialect=first.dialect,
        columns=first.columns,
        errors=notes.errors.sorted(),
        errors_total=notes.errors.total,
        warnings=notes.warnings.sorted(),
        warnings_total=notes.warnings.total,
        dropped_total=notes.dropped.total,
        labels=LabelReport(counts=_counts(table), variants=variants),
        splits={split: len(table.rows(split)) for split in SPLITS} if accepted else {},
        duplicates=duplicates,
        conflicts=conflicts,
        leakage=msgspec.structs.replace(leakage, bridging=bridging),
        lengths=reading.profile.lengths(),
        scripts=reading.profile.scripts(),
        personal_data=dict(reading.personal_data),
        transforms=reading.transforms.results(
            policies,
            merged=merged,
            conflicts_dropped=conflicts.dropped,
            duplicates_dropped=duplicates.dropped,
        ),
    )
    (directory / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    write_all(directory / "findings.ndjson", notes)
    if not accepted or report.columns is None:
        return _rejected(directory, report)
    pairs = report.columns.text_pair is not None
    fingerprint = write_splits(directory, table, pulse, pairs=pairs)
    return _ingested(directory, report, table, fingerprint)


class _Reading:
    """Reads all files of a spec, and the parent version; the first file's columns hold for all."""

    def __init__(self, spec: IngestRun, scratch: Path, notes: Notes, pulse: Pulse) -> None:
        self.files: list[FileRows] = []
        self.transforms = Transforms(
            spec.transforms, lambda: pulse.beat("reading", 0), task=task_named(spec.task)
        )
        self.policies: Policies = self.transforms.policies(spec.policies)
        tokenizer = None if spec.tokenizer is None else Path(spec.tokenizer)
        self.profile = Profile(spec.base_model, tokenizer, spec.max_positions)
        self.personal_data: Counter[str] = Counter()  # rows, by kind
        self._spec = spec
        self._notes = notes
        self._pulse = pulse
        self._scratch = scratch
        self._aside = next((each for each in SPLIT_COLUMNS if getattr(spec.split, each)), None)
        self._column: str | None = getattr(spec.split, self._aside) if self._aside else None
        self._task = task_named(spec.task)
        self._gatherer = Gatherer(
            scratch,
            spec.split.seed,
            task=self._task,
            aside=self._aside,
            sketch=self.policies.near_duplicates == "find",
        )
        self._garbled: list[tuple[int, int]] = []

    def table(self) -> tuple[Table, Units]:
        """Return the rows, and which of them are alike."""
        wanted = self._spec.columns
        by_split = {source.split: source for source in self._spec.files}
        for split in (*SPLITS, None):
            if split in by_split:
                content = self._read(by_split[split], wanted)
                self.files.append(content)
                if wanted is None and content.columns is not None:
                    used = content.columns
                    wanted = Columns(
                        text=used.text,
                        label=used.label,
                        text_pair=used.text_pair,
                        label_separator=used.label_separator,
                    )
        self.transforms.report(self._notes.errors)
        if self._spec.parent_dir is not None and None in by_split:
            for each in SPLITS:
                path = Path(self._spec.parent_dir, f"{each}.parquet")
                for part in open_stored(path).parts:
                    self._pulse.beat("reading", self._gatherer.count)
                    self._gatherer.add_parent(joined(part.rows), each)
        table, sketches = self._gatherer.table()
        for start, end in self._garbled:
            table.kept[start:end] = False
        units = units_of(table)
        if sketches is not None:
            pairs = sketches.pairs(units.first, table.spool, self._gatherer.normaliser, self._pulse)
            units = replace(units, pairs=units.of_row[pairs])
        return table, units

    def _read(self, source: SourceFile, wanted: Columns | None) -> FileRows:
        split = source.split
        stored = bool(self._spec.transforms)
        own = self._scratch / f"findings-{split or 'all'}"
        own.mkdir()
        reader = FileReader(
            source,
            self._task,
            wanted,
            self._column,
            self.policies,
            self.transforms,
            self._pulse,
            own,
            stored=stored,
        )
        start = self._gatherer.count
        for rows in reader.parts():
            self._gatherer.add(rows, split, reader.found.errors, self._column)
            texts = rows.column("text").combine_chunks()
            self.profile.add(texts)
            self.personal_data.update(personal_data.count(texts))
        if reader.garbled:
            self._garbled.append((start, self._gatherer.count))
        for kept, new in (
            (self._notes.errors, reader.found.errors),
            (self._notes.warnings, reader.found.warnings),
            (self._notes.dropped, reader.found.dropped),
        ):
            kept.take(new, split=split)
        return reader.content


def _split(table: Table, units: Units, spec: IngestRun, notes: Notes) -> int:
    """Give every row its split; return how many would have bridged two."""
    if spec.transforms:
        report_empty(table, ("train", "test"), notes)  # rows keep what they have
        return 0
    if _is_shared_out(spec):
        return share_out(table, units, spec.split, notes)
    carve_validation(table, units, notes)
    return 0


def _is_shared_out(spec: IngestRun) -> bool:
    """Return whether it is a hash that decides which row goes where."""
    named = spec.split.column or spec.split.time_column
    return spec.files[0].split is None and named is None


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


def _ingested(directory: Path, report: Report, table: Table, fingerprint: str) -> Ingested:
    assert report.columns is not None
    labels = sort_labels(label for counts in report.labels.counts.values() for label in counts)
    facts = {"kind": "dataset", "dataset": report.dataset, "fingerprint": fingerprint}
    sha256, _ = manifest.write(directory, {**facts, "rows": report.accepted})
    return Ingested(
        path=_FOLDER,
        manifest_sha256=sha256,
        columns=report.columns,
        splits={split: len(table.rows(split)) for split in SPLITS},
        labels=labels,
        fingerprint=fingerprint,
        warnings=report.warnings_total,
    )


def _counts(table: Table) -> dict[str, dict[str, int]]:
    """Return the rows by split and label; what was never split counts as `all`."""
    counts: dict[str, dict[str, int]] = {}
    for place, split in enumerate((*SPLITS, "all")):
        wanted = place if split != "all" else -1
        rows = np.flatnonzero(table.kept & (table.splits == wanted))
        if len(rows):
            counts[split] = table.counts(rows)
    return counts

"""Examination: what is said of answers beside their figures, each part by a module of its own.

Owns which rows are read for it: those that the model was trained on, as far as they still are.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunery.types import (
    Abstention,
    Calibration,
    EvaluationFinding,
    FitVerdict,
    Lineage,
    Metric,
    NearestRow,
    Report,
    Slice,
)
from tunery_trainer.evaluate import findings
from tunery_trainer.evaluate.abstention import abstention_of
from tunery_trainer.evaluate.answering import Answering
from tunery_trainer.evaluate.baselines import Compared, compared, plain_of
from tunery_trainer.evaluate.calibration import calibration_of
from tunery_trainer.evaluate.findings import Answered
from tunery_trainer.evaluate.fit_verdict import fit_findings, judged_fit, sample_of
from tunery_trainer.evaluate.lineage import seen_rows
from tunery_trainer.evaluate.merits import Merits, merits_of, metric_of
from tunery_trainer.evaluate.neighbours import neighbours_of
from tunery_trainer.evaluate.slices import sliced, weak_slices
from tunery_trainer.evaluate.splits import EvaluatedSplit, read_split
from tunery_trainer.model_files import ModelFacts
from tunery_trainer.protocol.metrics import figure_of
from tunery_trainer.protocol.specs import EvaluateRun
from tunery_trainer.tasks import Judged, Scores, Task
from tunery_trainer.tasks.figures import Tally


class Examined(NamedTuple):
    """All that was found."""

    nearest: dict[int, list[NearestRow]]  # by the place of a row
    baselines: dict[str, float]
    tfidf_rows: int
    lineage: Lineage
    calibration: Calibration | None
    abstention: Abstention | None
    fit: FitVerdict | None
    slices: list[Slice]
    findings: list[EvaluationFinding]


class Examination:
    """One model's answers to the rows of one split."""

    def __init__(
        self,
        spec: EvaluateRun,
        facts: ModelFacts,
        task: Task,
        answering: Answering,
        split: EvaluatedSplit,
        primary: str,
    ) -> None:
        self._spec, self._facts, self._task, self._primary = spec, facts, task, primary
        self._answering, self._split = answering, split
        self._train = self._rows_of(spec.train)

    def examine(self, logits: NDArray[np.float32], judged: Judged, figures: Scores) -> Examined:
        """Return what there is to say of logits (rows, outputs).

        Raises:
            Released: the leash was let go.
        """
        targets, texts = self._split.targets, self._split.texts
        lineage = self._lineage(logits)
        calibration = calibration_of(self._task, logits, targets, judged, self._facts.labels)
        labels, wanted = self._facts.labels, self._facts.abstain
        abstention = abstention_of(self._task, wanted, logits, targets, judged, labels)
        compared = self._compared()
        baselines = {} if compared is None else dict(compared.figures)
        if self._primary in self._spec.untrained:
            baselines["untrained"] = self._spec.untrained[self._primary]
        read = 0 if compared is None else compared.tfidf_rows
        if not texts:
            return Examined({}, baselines, read, lineage, calibration, abstention, None, [], [])
        merits = merits_of(self._task, logits, targets)
        fit = self._fit(merits, compared)
        slices = sliced(texts, merits, metric_of(self._task, targets))
        found = [
            *findings.seen_in_training(lineage, figures.metrics, self._primary, len(texts)),
            *self._echoes(),
            *(() if fit is None else fit_findings(fit)),
            *self._of_labels(logits, judged, figures),
            *weak_slices(slices),
        ]
        if calibration is not None:
            hits = np.asarray(merits, np.bool_)
            found += findings.miscalibration(judged.scores, hits, calibration.ece_after)
        return Examined(
            {} if compared is None else self._nearest(judged, compared),
            baselines,
            read,
            lineage,
            calibration,
            abstention,
            fit,
            slices.slices,
            found,
        )

    def _lineage(self, logits: NDArray[np.float32]) -> Lineage:
        seen, rows = seen_rows(self._spec)
        without = {}
        if seen.any():
            unseen = self._split.targets[~seen]
            scores = self._task.scores(logits[~seen], unseen, self._facts.labels)
            without = dict(scores.metrics)
            without.setdefault(self._primary, Metric(value=figure_of(scores, self._primary)))
        return Lineage(
            datasets=list(self._spec.lineage),
            lost=self._spec.lost,
            compared=rows,
            overlap=int(seen.sum()),
            without=without,
        )

    def _compared(self) -> Compared | None:
        if self._train is None or not self._split.texts:
            return None
        return compared(
            self._task,
            self._train.texts,
            self._train.targets,
            held_out=self._split.texts,
            truth=self._split.targets,
            labels=self._facts.labels,
            primary=self._primary,
            alive=self._answering.alive,
        )

    def _nearest(self, judged: Judged, compared: Compared) -> dict[int, list[NearestRow]]:
        assert self._train is not None
        cells = self._split.table.column("label").to_numpy()
        alive = self._answering.alive
        return neighbours_of(judged, cells, compared.vectors, self._train.table, alive)

    def _fit(self, test: Merits, compared: Compared | None) -> FitVerdict | None:
        if self._train is None or self._spec.train == self._spec.rows:
            return None
        tfidf = None if compared is None else compared.tfidf
        targets = self._split.targets
        return judged_fit(
            metric_of(self._task, targets),
            train=self._sampled(self._train),
            validation=self._validation(),
            test=test,
            baseline=None if tfidf is None else merits_of(plain_of(self._task), tfidf, targets),
        )

    def _validation(self) -> Merits | None:
        if self._spec.validation == self._spec.rows:
            return None
        split = self._rows_of(self._spec.validation)
        return None if split is None else self._sampled(split)

    def _rows_of(self, parquet: str | None) -> EvaluatedSplit | None:
        """Return the rows of a split, if it has any."""
        if parquet is None:
            return None
        split = read_split(Path(parquet), self._facts, self._task)
        return split if split.texts else None

    def _sampled(self, split: EvaluatedSplit) -> Merits:
        """Return the merits of some rows of a split."""
        sample = sample_of(len(split.texts))
        logits = self._answering.logits([split.texts[i] for i in sample])
        return merits_of(self._task, logits, split.targets[sample])

    def _echoes(self) -> list[EvaluationFinding]:
        if self._spec.report is None:
            return []
        report = msgspec.json.decode(Path(self._spec.report).read_bytes(), type=Report)
        return list(findings.echoes(report))

    def _of_labels(
        self, logits: NDArray[np.float32], judged: Judged, figures: Scores
    ) -> list[EvaluationFinding]:
        if not self._task.has_labels:
            return []
        targets, labels = self._split.targets, self._facts.labels
        if figures.confusion is None:
            tally = Tally.of_sets(targets > 0, self._task.answers(logits).choices > 0)
            return [*findings.weak_classes(tally, labels), *findings.over_predicted(tally, labels)]
        matrix = np.array(figures.confusion.matrix, np.int64)
        tally = Tally.of_confusion(matrix)
        answered = Answered(
            self._split.texts, self._split.table.column("label").to_pylist(), judged
        )
        return [
            *findings.weak_classes(tally, labels),
            *findings.over_predicted(tally, labels),
            *findings.confused_pairs(matrix, targets, logits.argmax(axis=1), labels, answered),
        ]

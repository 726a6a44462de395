"""Gates: whether a version may take over, by what its evaluations have shown.

A gate is judged twice: when it is asked for, so that a refusal is an answer, and before the version
loads, when something else may serve or an evaluation has ended that was waited for. Knows neither
HTTP nor processes: who asks the reader is passed in.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import (
    DeploymentSpec,
    Evaluation,
    FieldError,
    Gate,
    PairedFigures,
    Split,
)
from tunery_server.artifacts import Artifacts
from tunery_server.db.engine import Database
from tunery_server.db.queries import datasets, deployments, evaluations, jobs, targets
from tunery_server.db.queries.deployments import target_of
from tunery_trainer.protocol.events import EVALUATED_ROWS
from tunery_trainer.protocol.metrics import figure_of
from tunery_trainer.protocol.serving import runtime_of


class Compare(Protocol):
    """Asks the reader how one evaluation's rows do beside another one's."""

    async def __call__(self, task: str, one: Path, other: Path) -> PairedFigures:
        """Return the figures of both."""
        ...


class Wanted(msgspec.Struct, kw_only=True, frozen=True):
    """Which evaluations count: none through another runtime, or in another precision."""

    dataset: str
    split: Split
    runtime: str
    precision: str

    def newest(self, rows: list[Row[Any]]) -> Row[Any] | None:
        """Return the first one that counts."""
        return next((row for row in rows if self.counts(row.evaluation)), None)

    def counts(self, evaluation: Evaluation) -> bool:
        """Return whether an evaluation was computed as it is to be served."""
        return (evaluation.runtime, evaluation.precision) == (self.runtime, self.precision)

    def lacking(self, target: str) -> str:
        """Return what to say of a version that was not evaluated so."""
        command = evaluate_command(
            target, self.dataset, self.split, computed=(self.runtime, self.precision)
        )
        return (
            f"{target} has no evaluation on split {self.split} of {self.dataset} through "
            f"{self.runtime} in {self.precision}; run: {command}"
        )


class Verdict(msgspec.Struct, kw_only=True, frozen=True):
    """What keeps a version from taking over; nothing lets it pass."""

    failures: list[FieldError] = []
    waits: bool = False  # for an evaluation that has not ended
    unknown: bool = False  # only because what serves was not evaluated

    @property
    def message(self) -> str:
        """All of it, as one text."""
        return "; ".join(failure.message for failure in self.failures)[:2000]


class Judge:
    """Judges gates, on the device that serves."""

    def __init__(
        self, database: Database, artifacts: Artifacts, device: str, compare: Compare
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._device = device
        self._compare = compare

    async def judge(self, project: str, name: str, spec: DeploymentSpec) -> Verdict:
        """Return what the gate of a spec says of it, beside what serves under a name now."""
        gate, target = spec.gate, target_of(spec)
        if gate is None:
            return Verdict()
        async with self._database.read() as connection:
            row = await targets.row_of(connection, project, target)
            if row is None:
                return _failed("/version", f"{target} was deleted")
            dataset_id = gate.dataset or await targets.trained_on(connection, project, row)
            dataset = await datasets.row_of(connection, project, dataset_id or "")
            if dataset is None:
                return _failed("/gate/dataset", "the dataset was deleted; name another one")
            served = await deployments.served(connection, project, name)
        folder = await self._artifacts.fetch(row.artifact)
        wanted = Wanted(
            dataset=dataset.id,
            split=gate.split,
            runtime=runtime_of(folder, spec.runtime, device=self._device),
            precision=spec.precision,
        )
        async with self._database.read() as connection:
            mine = await self._evaluated(connection, project, target, wanted)
            if isinstance(mine, Verdict):
                return mine
            failures = list(short_of(gate, mine.evaluation))
            if served in (None, target) or not (gate.no_loss or gate.no_label_loss):
                return Verdict(failures=failures)
            theirs = await self._evaluated(connection, project, served, wanted)
        if isinstance(theirs, Verdict):
            waits = theirs.waits and not failures
            return Verdict(failures=failures + theirs.failures, waits=waits, unknown=not failures)
        one, other = [await self._rows(each) for each in (mine, theirs)]
        figures = await self._compare(dataset.task, one, other)
        return Verdict(failures=failures + list(losses(gate, served, figures)))

    async def _evaluated(
        self, connection: AsyncConnection, project: str, target: str, wanted: Wanted
    ) -> Row[Any] | Verdict:
        """Return the evaluation of a version that counts, or that it lacks one."""
        # In this order: one that ends between the two reads is seen by the second.
        pending = await jobs.pending_evaluations(connection, project, wanted.dataset)
        found = wanted.newest(
            await evaluations.of_target(
                connection, project, target, dataset=wanted.dataset, split=wanted.split
            )
        )
        if found is not None:
            return found
        waits = any(target_of(each) == target and each.split == wanted.split for each in pending)
        return msgspec.structs.replace(_failed("/gate", wanted.lacking(target)), waits=waits)

    async def _rows(self, evaluation: Row[Any]) -> Path:
        return await self._artifacts.fetch(evaluation.artifact) / EVALUATED_ROWS


def evaluate_command(
    target: str, dataset: str, split: Split, *, computed: tuple[str, str] | None = None
) -> str:
    """Return the command that evaluates a version, in a runtime and a precision if it matters."""
    flags = "" if computed is None else f" --runtime {computed[0]} --precision {computed[1]}"
    return f"tunery evaluate {target} --dataset {dataset} --split {split}{flags}"


def short_of(gate: Gate, evaluation: Evaluation) -> Iterator[FieldError]:
    """Yield the bounds that an evaluation does not keep."""
    for rule, bounds, sign in (("minimum", gate.minimum, 1), ("maximum", gate.maximum, -1)):
        yield from _beyond(rule, bounds, sign, evaluation)
    if gate.max_latency_ms is None:
        return
    if evaluation.latency is None:
        yield _failure("/gate/max_latency_ms", f"{evaluation.id} has measured no latency")
    elif (found := evaluation.latency.single.p95_ms) > gate.max_latency_ms:
        message = f"95 % of single texts take {found:.2f} ms, more than {gate.max_latency_ms:g}"
        yield _failure("/gate/max_latency_ms", message)


def losses(gate: Gate, served: str, figures: PairedFigures) -> Iterator[FieldError]:
    """Yield in what a version is worse than what serves, of that which the gate minds."""
    for test in figures.tests if gate.no_loss else ():
        if test.worse:
            change = figures.metrics[test.metric]
            message = (
                f"{test.metric} {change.a:.4f} is worse than the {change.b:.4f} of {served} "
                f"(p {test.p_value:.2g})"
            )
            yield _failure("/gate/no_loss", message)
    for label in figures.labels if gate.no_label_loss else ():
        if label.worse:
            message = (
                f"label {label.label!r} is worse than with {served}: {label.broken} rows broken, "
                f"{label.fixed} fixed"
            )
            yield _failure("/gate/no_label_loss", message)


def _beyond(
    rule: str, bounds: Mapping[str, float], sign: int, evaluation: Evaluation
) -> Iterator[FieldError]:
    for name, bound in bounds.items():
        found = figure_of(evaluation, name)
        if found is None:
            yield _failure(f"/gate/{rule}", f"{evaluation.id} has no figure {name!r}"[:400])
        elif sign * found < sign * bound:
            message = f"{name} is {found:.4f}, the {rule} {bound:g}"
            yield _failure(f"/gate/{rule}", message)


def _failed(pointer: str, message: str) -> Verdict:
    return Verdict(failures=[_failure(pointer, message)])


def _failure(pointer: str, message: str) -> FieldError:
    return FieldError(code="gate-failed", message=message, pointer=pointer)

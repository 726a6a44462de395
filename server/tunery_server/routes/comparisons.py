"""Comparisons: two versions on the same rows, as their newest evaluations answered them."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Compared, Comparison, PairedFigures, Split
from tunery_server.answers import answer
from tunery_server.db.queries import datasets, evaluations, targets
from tunery_server.gates import evaluate_command
from tunery_server.ids import is_id
from tunery_server.problems import Refusal
from tunery_server.requests import Request
from tunery_server.routes.datasets import unknown
from tunery_server.routes.targets import find_target
from tunery_server.services import Services
from tunery_trainer.protocol.events import EVALUATED_ROWS
from tunery_trainer.protocol.wire import CompareEvaluations, EvaluationsCompared

Target = Annotated[
    str, QueryParameter(max_length=80, description="A version such as intent/3, or a checkpoint.")
]


@get("/compare", operation_id="compare")
async def compare(
    request: Request,
    a: Target,
    b: Target,
    dataset: Annotated[
        str | None,
        QueryParameter(
            max_length=64, description="On whose rows; left out, those that `a` was trained on."
        ),
    ] = None,
    split: FromQuery[Split] = "test",
) -> Response[Comparison]:
    """Hold `a` against `b`, by their newest evaluations through the same runtime."""
    async with request.services.database.read() as connection:
        models = [await _find(connection, request.project, each) for each in (a, b)]
        named = dataset or await targets.trained_on(connection, request.project, models[0])
        rows_of = None
        if named is not None and is_id(named, "ds"):
            rows_of = await datasets.row_of(connection, request.project, named)
        if rows_of is None:
            raise unknown(named or "")
        found = [
            await evaluations.of_target(
                connection, request.project, each, dataset=rows_of.id, split=split
            )
            for each in (a, b)
        ]
    one, other = _pair((a, b), found, rows_of.id, split)
    folders = [await request.services.artifacts.fetch(each.artifact) for each in (one, other)]
    paths = [folder / EVALUATED_ROWS for folder in folders]
    figures = await compared(request.services, rows_of.task, *paths)
    return answer(
        Comparison(
            **msgspec.structs.asdict(figures),
            dataset=rows_of.id,
            split=split,
            runtime=one.evaluation.runtime,
            precision=one.evaluation.precision,
            a=_side(a, one, models[0]),
            b=_side(b, other, models[1]),
        )
    )


async def compared(services: Services, task: Any, one: Path, other: Path) -> PairedFigures:
    """Return what the reader says of the rows of two evaluations.

    Raises:
        Refusal: the reader is not there, too slow, or refused.
    """

    def ask(number: int) -> CompareEvaluations:
        return CompareEvaluations(id=number, task=task, one=str(one), other=str(other))

    return (await services.engines.ask_reader(EvaluationsCompared, ask)).figures


async def _find(connection: AsyncConnection, project: str, target: str) -> Row[Any]:
    checkpoint = target if is_id(target, "ckpt") else None
    return await find_target(connection, project, None if checkpoint else target, checkpoint)


def _pair(
    names: tuple[str, str], found: list[list[Row[Any]]], dataset: str, split: Split
) -> tuple[Row[Any], Row[Any]]:
    """Return the newest evaluations that were computed alike."""
    for name, rows in zip(names, found, strict=True):
        if not rows:
            command = evaluate_command(name, dataset, split)
            raise _not_evaluated(f"of {dataset}, {name} has none", command)
    for one in found[0]:
        for other in found[1]:
            if _computed(one) == _computed(other):
                return one, other
    runtime, precision = _computed(found[0][0])
    raise _not_evaluated(
        f"of {dataset}, {names[1]} has none through {runtime} in {precision}, as {names[0]} has",
        evaluate_command(names[1], dataset, split, computed=(runtime, precision)),
    )


def _computed(row: Row[Any]) -> tuple[str, str]:
    return row.evaluation.runtime, row.evaluation.precision


def _not_evaluated(what: str, command: str) -> Refusal:
    return Refusal("not-evaluated", what, hint=f"Run: {command}")


def _side(name: str, evaluation: Row[Any], model: Row[Any]) -> Compared:
    return Compared(
        version=name,
        evaluation=evaluation.id,
        bytes=model.bytes,
        latency=evaluation.evaluation.latency,
    )


HANDLERS = [compare]

"""The report of an evaluation: a page for people, a plot as SVG, or a model card."""

import asyncio
from typing import Annotated, Any

from litestar import MediaType, Response, get
from litestar.params import FromPath, QueryParameter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Evaluation, EvaluationPlot, Resolved
from tunery_server.db.queries import datasets, jobs, models, targets
from tunery_server.problems import Refusal, language_of
from tunery_server.report import card, page
from tunery_server.report.facts import Facts
from tunery_server.requests import Request
from tunery_server.routes.evaluate import row_or_404
from tunery_trainer.protocol.events import EVALUATED_ROWS
from tunery_trainer.protocol.wire import Sketched, SketchRows

MARKDOWN = "text/markdown"
SVG = "image/svg+xml"
_MAX_ERRORS = 200  # rows of a page
_MAX_CHARACTERS = 400  # of a text


@get("/evaluations/{evaluation_id:str}/report", operation_id="get_evaluation_report")
async def show(
    request: Request,
    evaluation_id: FromPath[str],
    plot: Annotated[
        EvaluationPlot | None,
        QueryParameter(description="Only this plot, as SVG; 404 where there is none."),
    ] = None,
) -> Response[str]:
    """Return an evaluation as a page for people, which needs nothing else and runs nothing.

    With `Accept: text/markdown`, its measured facts as a model card.
    """
    facts = await _facts(request, await row_or_404(request, evaluation_id))
    language = language_of(request.headers.get("accept-language", ""))
    headers = {
        "Content-Security-Policy": f"{page.policy()}; frame-ancestors 'none'; sandbox",
        "Content-Language": language,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept, Accept-Language",
    }
    if plot is not None:
        drawn = await asyncio.to_thread(page.svg, facts, plot, language)
        if drawn is None:
            raise Refusal("not-found", f"{evaluation_id} has no plot {plot}")
        return Response(drawn, media_type=SVG, headers=headers)
    if MARKDOWN in request.headers.get("accept", ""):
        headers["Content-Language"] = "en"
        text = await asyncio.to_thread(card.markdown, facts)
        return Response(text, media_type=MARKDOWN, headers=headers)
    text = await asyncio.to_thread(page.html, facts, language)
    return Response(text, media_type=MediaType.HTML, headers=headers)


async def _facts(request: Request, row: Row[Any]) -> Facts:
    evaluation: Evaluation = row.evaluation
    async with request.services.database.read() as connection:
        version = None
        if evaluation.version is not None:
            version = await models.get(connection, request.project, evaluation.version)
        resolved = await _resolved(connection, request.project, evaluation)
        dataset = await datasets.get(connection, request.project, evaluation.dataset)
    return Facts(
        evaluation=evaluation,
        dataset=dataset,
        version=version,
        resolved=resolved,
        sketch=None if row.artifact is None else await _sketch(request, row.artifact),
    )


async def _resolved(
    connection: AsyncConnection, project: str, evaluation: Evaluation
) -> dict[str, Resolved]:
    """Return the hyperparameters of the fine-tune behind an evaluation."""
    target = evaluation.version or evaluation.checkpoint or ""
    row = await targets.row_of(connection, project, target)
    job = None if row is None else await jobs.get(connection, project, row.job)
    return {} if job is None else job.resolved


async def _sketch(request: Request, artifact: str) -> Sketched:
    folder = await request.services.artifacts.fetch(artifact)

    def ask(number: int) -> SketchRows:
        return SketchRows(
            id=number,
            path=str(folder / EVALUATED_ROWS),
            errors=_MAX_ERRORS,
            characters=_MAX_CHARACTERS,
        )

    return await request.services.engines.ask_reader(Sketched, ask)


HANDLERS = [show]

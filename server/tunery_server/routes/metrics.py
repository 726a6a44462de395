"""Metrics of the service in the Prometheus text format: every process of it, in one answer.

A key sees the figures of its own project, and those of the machine. Names of deployments are the
only labels that users choose.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Response, get
from sqlalchemy import Row

from tunery_server import figures
from tunery_server.db.queries import deployments, jobs
from tunery_server.exposition import MEDIA_TYPE, Exposition, Labels
from tunery_server.figures import Owner, Seconds, ServiceFigures
from tunery_server.problems import Refusal
from tunery_server.requests import Request
from tunery_trainer.protocol.figures import EngineFigures, Histogram

T = TypeVar("T")
_READ_SECONDS = 5.0  # for the supervisor, which waits a second for each process at most
_STAGES = ("tokenise", "queue", "forward")


@get("/metrics", operation_id="metrics", opt={"scope": "predict"})
async def show(request: Request) -> Response[bytes]:
    """Return the metrics of the service, for Prometheus; a key that may only predict is enough."""
    services = request.services
    path = services.settings.run_dir / figures.SERVICE
    try:
        found = await figures.read(path, ServiceFigures, timeout_seconds=_READ_SECONDS)
    except (OSError, msgspec.DecodeError):
        raise Refusal("server-starting", "the supervisor does not answer") from None
    async with services.database.read() as connection:
        counts = await jobs.counts(connection, request.project)
        rows = await deployments.rows_of(connection, request.project)
    page = Exposition()
    _write_predictions(page, found, request.project)
    _write_engines(page, found, request.project)
    _write_deployments(page, found, request.project, rows)
    _write_machine(page, found)
    page.gauge(
        "jobs",
        "Jobs by kind and status, ended ones included.",
        (({"kind": kind, "status": status}, count) for (kind, status), count in counts.items()),
    )
    return Response(page.text().encode(), media_type=MEDIA_TYPE)


def _write_predictions(page: Exposition, found: ServiceFigures, project: str) -> None:
    page.histogram(
        "predict_seconds",
        "Whole requests to /predict by the code of the answer, ok or a problem's; from the end of "
        "the header to the last byte of the answer.",
        # What was refused before its key was known is nobody's, and shown to all.
        (
            ({"deployment": deployment, "code": code}, histogram)
            for (owner, deployment, code), histogram in sorted(found.predictions.items())
            if owner in (project, "")
        ),
    )


def _write_engines(page: Exposition, found: ServiceFigures, project: str) -> None:
    done = list(_of(project, found.done))
    page.histogram(
        "engine_seconds",
        "What a request that was computed spent in each stage in the engine.",
        (
            ({**labels, "stage": stage}, histogram)
            for labels, each in done
            for stage, histogram in zip(_STAGES, _stages(each), strict=True)
        ),
    )
    page.histogram(
        "batch_texts", "Texts of a batch.", ((to, each.batch_texts) for to, each in done)
    )
    page.histogram(
        "batch_tokens",
        "Tokens of a batch, padding left out.",
        ((labels, each.batch_tokens) for labels, each in done),
    )
    page.counter("texts_total", "Texts computed.", ((labels, each.texts) for labels, each in done))
    page.counter(
        "tokens_total", "Tokens computed.", ((labels, each.tokens) for labels, each in done)
    )
    page.counter(
        "abstained_texts_total",
        "Texts computed that the version rather did not answer; of texts_total the abstain rate.",
        ((labels, each.abstained) for labels, each in done),
    )
    page.counter(
        "dropped_requests_total",
        "Requests that were dropped from the queue and cost nothing.",
        (
            ({**labels, "reason": reason}, count)
            for labels, each in done
            for reason, count in (("expired", each.expired), ("cancelled", each.cancelled))
        ),
    )
    engines = list(_numbered(found, project))
    page.gauge(
        "queue_tokens",
        "Tokens that wait in an engine or are being computed.",
        ((labels, engine.held_tokens) for labels, engine in engines),
    )
    page.gauge(
        "queue_oldest_seconds",
        "How long the first of those who wait has waited.",
        ((labels, engine.oldest_seconds) for labels, engine in engines),
    )
    page.gauge(
        "engine_resident_bytes",
        "Memory of an engine.",
        ((labels, engine.resident_bytes) for labels, engine in engines),
    )
    page.gauge(
        "engine_device_bytes",
        "Memory of a GPU that an engine holds.",
        ((labels, engine.device_bytes) for labels, engine in engines),
    )


def _write_deployments(
    page: Exposition, found: ServiceFigures, project: str, rows: Sequence[Row[Any]]
) -> None:
    page.gauge(
        "deployment_status",
        "1 for the status that a deployment has.",
        (({"deployment": row.name, "status": row.status}, 1) for row in rows),
    )
    page.gauge(
        "deployment_info",
        "1 for what a deployment serves.",
        (
            (
                {
                    "deployment": row.name,
                    "version": row.actual.version,
                    "runtime": row.actual.runtime,
                    "precision": row.actual.precision,
                },
                1,
            )
            for row in rows
            if row.actual is not None
        ),
    )
    page.histogram(
        "swap_seconds",
        "What was asked to be deployed, from its load to ready, or to the code of its failure.",
        _outcomes(project, found.swaps),
    )
    page.counter(
        "engine_deaths_total", "Engines that ended by themselves.", _of(project, found.deaths)
    )


def _write_machine(page: Exposition, found: ServiceFigures) -> None:
    page.gauge(
        "worker_resident_bytes",
        "Memory of an API worker.",
        (({"worker": str(number)}, size) for number, size in enumerate(found.workers)),
    )
    page.gauge(
        "supervisor_resident_bytes", "Memory of the supervisor.", [({}, found.resident_bytes)]
    )
    page.gauge(
        "slot_busy",
        "Whether a job runs on a device.",
        (({"device": device}, int(busy)) for device, busy in found.slots.items()),
    )
    page.gauge(
        "artifact_bytes",
        "What stands in the artifacts, by kind; nothing where they are in an object store.",
        (({"kind": kind}, size) for kind, size in found.artifact_bytes.items()),
    )
    page.gauge("disk_free_bytes", "Free on the data directory's disk.", [({}, found.free_bytes)])


def _of(project: str, by_owner: Mapping[Owner, T]) -> Iterator[tuple[Labels, T]]:
    for (owner, deployment), value in sorted(by_owner.items(), key=lambda item: item[0]):
        if owner == project:
            yield {"deployment": deployment}, value


def _outcomes(project: str, seconds: Seconds) -> Iterator[tuple[Labels, Histogram]]:
    for (owner, deployment, outcome), histogram in sorted(seconds.items(), key=lambda i: i[0]):
        if owner == project:
            yield {"deployment": deployment, "outcome": outcome}, histogram


def _stages(each: EngineFigures) -> tuple[Histogram, ...]:
    return each.tokenise_seconds, each.queue_seconds, each.forward_seconds


def _numbered(found: ServiceFigures, project: str) -> Iterator[tuple[Labels, figures.EngineState]]:
    """Yield the engines of a project, numbered within each deployment.

    Not by process: the labels of those that were would never end.
    """
    seen: dict[Owner, int] = {}
    for engine in found.engines:
        number = seen[engine.owner] = seen.get(engine.owner, -1) + 1
        if engine.owner[0] == project:
            yield {"deployment": engine.owner[1], "engine": str(number)}, engine


HANDLERS = [show]

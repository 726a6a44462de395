"""Health: alive as soon as this answers, ready when the deployments of the last life serve."""

from litestar import Response, get

from tunery import __version__
from tunery.types import Live, Ready
from tunery_server.answers import answer
from tunery_server.db.columns import now, stamp
from tunery_server.db.queries import deployments
from tunery_server.problems import Refusal
from tunery_server.requests import Request

DEFAULT_PROJECT = "default/"


@get("/health/live", operation_id="live", opt={"public": True})
async def live() -> Response[Live]:
    """Say that this process answers."""
    return answer(Live(version=__version__, time=stamp(now())))


@get("/health/ready", operation_id="ready", opt={"public": True})
async def ready(request: Request) -> Response[Ready]:
    """Say whether a load balancer should send requests here."""
    services = request.services
    if services.draining:
        raise Refusal("draining", "no new requests are taken")
    async with services.database.read() as connection:
        statuses = await deployments.statuses(connection)
    loading = sorted(name for name, status in statuses.items() if status == "loading")
    # Only once: a deployment that is loaded later must not take the service out of rotation.
    services.started = services.started or not loading
    if not services.started:
        raise Refusal("server-starting", f"{len(loading)} deployments are being loaded")
    by_name = {name.removeprefix(DEFAULT_PROJECT): status for name, status in statuses.items()}
    return answer(Ready(deployments=by_name))


HANDLERS = [live, ready]

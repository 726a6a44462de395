"""Deployments: what a name should serve. The supervisor loads it beside the old one and flips."""

from functools import partial

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Deployment, DeploymentSpec, Device, DeviceList, Gate, Page
from tunery_server.answers import Wait, answer, encode, etag_of, names, watched
from tunery_server.db.queries import datasets, deployments
from tunery_server.gates import Judge
from tunery_server.idempotency import NO_BODY, Created, create
from tunery_server.ids import is_id
from tunery_server.news import DEPLOYMENT
from tunery_server.pagination import After, Limit, check_after, is_slug
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_server.routes.comparisons import compared
from tunery_server.routes.datasets import unknown
from tunery_server.routes.targets import find_target, one_target


@get("/deployments", operation_id="list_deployments")
async def list_all(
    request: Request, limit: Limit = 20, after: After = None
) -> Response[Page[Deployment]]:
    """List deployments, without their histories."""
    check_after(after, None)
    async with request.services.database.read() as connection:
        page = await deployments.list_page(connection, request.project, limit=limit, after=after)
    return answer(page)


@get("/deployments/{name:str}", operation_id="get_deployment")
async def show(request: Request, name: FromPath[str], wait: Wait = 0) -> Response[Deployment]:
    """Return a deployment; with `wait` and If-None-Match, at its next change."""
    if not is_slug(name):
        raise _unknown(name)

    async def fetch() -> Deployment:
        async with request.services.database.read() as connection:
            return await _find(connection, request.project, name)

    return await watched(request, f"{DEPLOYMENT}{request.project}/{name}", fetch, wait)


@put("/deployments/{name:str}", status_code=202, operation_id="put_deployment")
async def deploy(
    request: Request, name: FromPath[str], data: JSONBody[DeploymentSpec]
) -> Response[Deployment]:
    """Let a name serve a version; a later PUT supersedes one in progress."""
    if not is_slug(name):
        raise Refusal("invalid-name", f"{quote(name)}: use lower-case letters, digits and . _ -")
    one_target(data.version, data.checkpoint)
    await _check_gate(request, name, data)
    async with request.services.database.write() as connection:
        await _check_match(request, connection, name)
        await find_target(connection, request.project, data.version, data.checkpoint)
        put = await _put(request, connection, name, data)
    return _accept(request, put)


@delete("/deployments/{name:str}", status_code=202, operation_id="delete_deployment")
async def remove(request: Request, name: FromPath[str]) -> Response[Deployment]:
    """Stop serving under a name; its history stays."""
    if not is_slug(name):
        raise _unknown(name)
    async with request.services.database.write() as connection:
        await _find(connection, request.project, name)
        await _check_match(request, connection, name)
        put = await _put(request, connection, name, None)
    return _accept(request, put)


@post("/deployments/{name:str}/rollback", status_code=202, operation_id="rollback_deployment")
async def rollback(request: Request, name: FromPath[str]) -> Response[Deployment]:
    """Serve again what was ready here before, whatever its gate says now.

    Once per Idempotency-Key.
    """
    if not is_slug(name):
        raise _unknown(name)

    async def make(connection: AsyncConnection) -> Created[Deployment]:
        current = (await _find(connection, request.project, name)).desired
        target = current.version or current.checkpoint or ""
        earlier = await deployments.last_other(connection, request.project, name, target)
        if earlier is None:
            raise Refusal("no-earlier-version", f"{name} has served nothing but {target or 'this'}")
        await find_target(connection, request.project, earlier.version, earlier.checkpoint)
        return await _put(request, connection, name, replace(earlier, gate=None))

    return await create(request, Deployment, make, body_sha256=NO_BODY)


@get("/devices", operation_id="list_devices")
async def list_devices(request: Request) -> Response[DeviceList]:
    """List the devices that serve, and which deployments hold how much of their memory."""
    settings = request.services.settings
    async with request.services.database.read() as connection:
        occupants, used_bytes = await deployments.occupants(connection, request.project)
    device = Device(
        device=settings.engine_device,
        budget_bytes=int(settings.engine_memory),
        used_bytes=used_bytes,
        occupants=occupants,
    )
    return answer(DeviceList(data=[device]))


async def _check_gate(request: Request, name: str, spec: DeploymentSpec) -> None:
    """Refuse a version that its gate keeps out, as far as can be known now.

    Where an evaluation goes on, or what serves lacks one, the supervisor judges.
    """
    if spec.gate is None:
        return
    async with request.services.database.read() as connection:
        await find_target(connection, request.project, spec.version, spec.checkpoint)
        await _check_dataset(request, connection, spec.gate)
    services = request.services
    judge = Judge(
        services.database,
        services.artifacts,
        services.settings.engine_device,
        partial(compared, services),
    )
    verdict = await judge.judge(request.project, name, spec)
    if verdict.failures and not (verdict.waits or verdict.unknown):
        raise Refusal("gate-failed", verdict.message, errors=verdict.failures)


async def _check_dataset(request: Request, connection: AsyncConnection, gate: Gate) -> None:
    named = gate.dataset
    if named is None:
        return
    row = await datasets.row_of(connection, request.project, named) if is_id(named, "ds") else None
    if row is None:
        raise unknown(named)


async def _put(
    request: Request, connection: AsyncConnection, name: str, desired: DeploymentSpec | None
) -> Created[Deployment]:
    await deployments.put(connection, request.project, name, desired)
    deployment = await _find(connection, request.project, name)
    etag = etag_of(encode(deployment))
    return Created(content=deployment, status=202, location=f"/deployments/{name}", etag=etag)


def _accept(request: Request, put: Created[Deployment]) -> Response[Deployment]:
    request.services.news.wake()
    return answer(put.content, status=put.status, headers=put.headers)


async def _check_match(request: Request, connection: AsyncConnection, name: str) -> None:
    condition = request.headers.get("if-match")
    if condition is None:
        return
    deployment = await deployments.get(connection, request.project, name)
    if deployment is None or not names(condition, etag_of(encode(deployment))):
        raise Refusal("etag-mismatch", f"{name} is not what If-Match names")


async def _find(connection: AsyncConnection, project: str, name: str) -> Deployment:
    deployment = await deployments.get(connection, project, name)
    if deployment is None:
        raise _unknown(name)
    return deployment


def _unknown(name: str) -> Refusal:
    return Refusal("deployment-not-found", f"there is no deployment {quote(name)}")


HANDLERS = [list_all, show, deploy, remove, rollback, list_devices]

"""Deployments of `AsyncClient`, see `_resources`."""

from collections.abc import Sequence

from tunery import _calls as calls
from tunery._callers import PAGE, AsyncCaller, AsyncPages
from tunery._inputs import version_of
from tunery._watching import Patience, deployment_outcome
from tunery.errors import DeploymentFailed, deployment_failed
from tunery.types import (
    Deployment,
    DeploymentSpec,
    Device,
    Gate,
    ModelVersion,
    RuntimeName,
    ServingPrecision,
    Strategy,
)


class AsyncDeployments:
    """Names that answer predictions: `client.deployments`."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def deploy(
        self,
        name: str,
        version: str | ModelVersion | None = None,
        *,
        checkpoint: str | None = None,
        replicas: int | None = None,
        runtime: RuntimeName | None = None,
        precision: ServingPrecision = "fp32",
        strategy: Strategy = "swap",
        pinned: bool = False,
        allow_label_change: bool = False,
        gate: Gate | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Deployment:
        """Let a name serve a version, or a checkpoint; what serves until then drops no request.

        `strategy="recreate"` unloads the old version first, where memory does not hold both. What
        is `pinned` is never unloaded to make room for others. A version with other labels than what
        serves is refused unless `allow_label_change` says so.
        With a `gate` it must have shown first that it is good enough, and no worse than what
        serves.

        Raises:
            GateFailed: evaluations speak against it.
            DeploymentFailed: it does not serve it; what served before serves on.
            TimedOut: it is still loading after `timeout` seconds.
        """
        spec = DeploymentSpec(
            version=None if version is None else version_of(version),
            checkpoint=checkpoint,
            replicas=replicas or "auto",
            runtime=runtime or "auto",
            precision=precision,
            strategy=strategy,
            pinned=pinned,
            allow_label_change=allow_label_change,
            gate=gate,
        )
        deployment = await self._caller.send(calls.put_deployment(name, spec))
        return await self.wait(deployment, timeout=timeout) if wait else deployment

    async def rollback(
        self, name: str, *, wait: bool = True, timeout: float | None = None
    ) -> Deployment:
        """Serve again what was ready here before. Raises like `deploy`."""
        deployment = await self._caller.send(calls.rollback_deployment(name))
        return await self.wait(deployment, timeout=timeout) if wait else deployment

    async def wait(
        self, deployment: str | Deployment, *, timeout: float | None = None
    ) -> Deployment:
        """Wait until a deployment serves what was asked for last. Raises like `deploy`.

        Passed as `deploy` returned it, what that call asked for is waited for.
        """
        name = deployment if isinstance(deployment, str) else deployment.name
        generation = None if isinstance(deployment, str) else deployment.desired.generation
        patience = Patience(name, timeout)
        async for seen in self._caller.updates(calls.get_deployment(name), patience):
            outcome = deployment_outcome(seen, generation)
            if outcome in ("ready", "stopped"):
                return seen
            if outcome == "superseded":
                message = f"{name} was asked for something else before it served this"
                raise DeploymentFailed(message, deployment=seen)
            if outcome is not None:
                raise deployment_failed(seen)
        raise AssertionError("updates never end")

    def list(self, *, after: str | None = None) -> AsyncPages[Deployment]:
        """Iterate over deployments, by name, without their histories."""
        return AsyncPages(
            lambda last: self._caller.send(calls.list_deployments(limit=PAGE, after=last or after))
        )

    async def get(self, name: str) -> Deployment:
        """Return a deployment as it is now, with its history."""
        return await self._caller.send(calls.get_deployment(name))

    async def delete(self, name: str) -> Deployment:
        """Stop serving under a name; its history stays."""
        return await self._caller.send(calls.delete_deployment(name))

    async def devices(self) -> Sequence[Device]:
        """Return the devices that serve, and which deployments hold how much of their memory."""
        return (await self._caller.send(calls.list_devices())).data

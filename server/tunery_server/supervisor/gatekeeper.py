"""The gatekeeper: a version loads when its gate lets it pass.

Owns how the supervisor asks the reader.
"""

import asyncio
from pathlib import Path
from typing import Any

from tunery.types import DeploymentSpec, PairedFigures
from tunery_server.artifacts import Artifacts
from tunery_server.db.engine import Database
from tunery_server.gates import Judge
from tunery_server.settings import Settings
from tunery_server.supervisor.engines import LoadFailed, converse
from tunery_trainer.protocol.wire import CompareEvaluations, EvaluationsCompared, Refused

READER_SECONDS = 60.0  # for a start of the reader, and a comparison
_PAUSE_SECONDS = 0.5  # before a reader is asked again that was not there


class Gatekeeper:
    """Lets versions pass, or says why not."""

    def __init__(self, settings: Settings, database: Database, artifacts: Artifacts) -> None:
        self._reader = settings.reader_socket
        self._judge = Judge(database, artifacts, settings.engine_device, self._compare)

    async def admits(self, owner: str, spec: DeploymentSpec) -> bool:
        """Return whether a spec may load now; not yet where its gate waits for an evaluation.

        Raises:
            LoadFailed: gate-failed.
        """
        project, _, name = owner.partition("/")
        verdict = await self._judge.judge(project, name, spec)
        if verdict.failures and not verdict.waits:
            raise LoadFailed("gate-failed", verdict.message)
        return not verdict.failures

    async def _compare(self, task: Any, one: Path, other: Path) -> PairedFigures:
        message = CompareEvaluations(id=1, task=task, one=str(one), other=str(other))
        try:
            async with asyncio.timeout(READER_SECONDS):
                while True:
                    try:
                        reply = await converse(self._reader, message)
                    except OSError:
                        reply = None
                    if reply is not None:
                        break
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise LoadFailed("gate-failed", "the evaluations could not be compared") from None
        match reply:
            case EvaluationsCompared(figures=figures):
                return figures
            case Refused(message=why):
                raise LoadFailed("gate-failed", f"the evaluations could not be compared: {why}")
            case _:
                raise AssertionError(reply)

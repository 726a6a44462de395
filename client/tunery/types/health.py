"""Health: whether the service lives, and whether it can answer."""

from typing import Annotated, Literal

from tunery.types._meta import Answer, Timestamp, about


class Live(Answer, kw_only=True, frozen=True):
    """The API process answers."""

    status: Annotated[Literal["live"], about("Always `live`.", "live")] = "live"
    version: Annotated[str, about("Of tunery.", "0.1.0")]
    time: Annotated[Timestamp, about("The clock of the service.", "2026-11-23T20:11:00.000000Z")]


class Ready(Answer, kw_only=True, frozen=True):
    """The deployments of the last life serve again."""

    status: Annotated[Literal["ready"], about("Always `ready`.", "ready")] = "ready"
    deployments: Annotated[dict[str, str], about("Status by name.", {"intent": "ready"})]

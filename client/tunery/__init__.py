"""tunery: fine-tune a transformer over HTTP, prove it, hot-load it, serve it.

    client = tunery.Client()
    tuned = client.tune("reviews.csv", model="intent", deploy="intent")
    client.predict("intent", "where is my parcel?").label

`Client` blocks, `AsyncClient` awaits; both have `files`, `datasets`, `jobs`, `finetune`,
`evaluations`, `models`, `deployments`, `predict` and `keys`. What they return are the structs of
`tunery.types`; what they raise stands in `tunery.errors`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tunery import errors, types
from tunery.errors import (
    ApiError,
    ConnectionFailed,
    DatasetRejected,
    DeploymentFailed,
    InvalidAnswer,
    InvalidArgument,
    JobCancelled,
    JobFailed,
    NotConfigured,
    TimedOut,
    TuneryError,
)
from tunery.types import (
    AbstainByCost,
    AbstainByCoverage,
    AbstainByPrecision,
    Checkpoints,
    Columns,
    EarlyStopping,
    Gate,
    Hyperparameters,
    Policies,
    SplitSpec,
    TextPair,
    Transform,
)

if TYPE_CHECKING:
    from tunery._async_client import AsyncClient
    from tunery._async_resources.jobs import AsyncJob
    from tunery._client import Client
    from tunery._resources.jobs import Job
    from tunery._tuned import Tuned

__version__ = "0.1.0"

__all__ = [
    "AbstainByCost",
    "AbstainByCoverage",
    "AbstainByPrecision",
    "ApiError",
    "AsyncClient",
    "AsyncJob",
    "Checkpoints",
    "Client",
    "Columns",
    "ConnectionFailed",
    "DatasetRejected",
    "DeploymentFailed",
    "EarlyStopping",
    "Gate",
    "Hyperparameters",
    "InvalidAnswer",
    "InvalidArgument",
    "Job",
    "JobCancelled",
    "JobFailed",
    "NotConfigured",
    "Policies",
    "SplitSpec",
    "TextPair",
    "TimedOut",
    "Transform",
    "Tuned",
    "TuneryError",
    "errors",
    "types",
]

# What needs httpx is imported when it is first used: it takes two thirds of the time of all.
_LATER = {
    "AsyncClient": "tunery._async_client",
    "AsyncJob": "tunery._async_resources.jobs",
    "Client": "tunery._client",
    "Job": "tunery._resources.jobs",
    "Tuned": "tunery._tuned",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'tunery' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

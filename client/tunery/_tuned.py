"""Tuned: what the whole job in one call leaves behind."""

import msgspec

from tunery.types import Dataset, Deployment, Evaluation, Job


class Tuned(msgspec.Struct, kw_only=True, frozen=True):
    """Everything that `client.tune` has made."""

    dataset: Dataset
    job: Job
    version: str
    evaluation: Evaluation
    deployment: Deployment | None

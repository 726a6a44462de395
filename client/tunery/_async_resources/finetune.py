"""Finetune of `AsyncClient`, see `_resources`."""

from collections.abc import Mapping

from tunery import _calls as calls
from tunery._async_resources.jobs import AsyncJob, AsyncJobs
from tunery._callers import AsyncCaller
from tunery._inputs import finetune_spec
from tunery.types import (
    Abstain,
    Checkpoints,
    Dataset,
    Estimate,
    Gate,
    Hyperparameters,
    RecipeChoice,
)


class AsyncFinetune:
    """Fine-tunes: `client.finetune(dataset, model="intent")` starts one."""

    def __init__(self, caller: AsyncCaller, jobs: AsyncJobs) -> None:
        self._caller = caller
        self._jobs = jobs

    async def __call__(
        self,
        dataset: str | Dataset,
        *,
        model: str,
        base_model: str = "minilm-l6",
        recipe: RecipeChoice = "auto",
        primary_metric: str | None = None,
        hyperparameters: Hyperparameters | None = None,
        checkpoints: Checkpoints | None = None,
        priority: int = 50,
        evaluate: bool = True,
        deploy: str | None = None,
        gate: Gate | None = None,
        metadata: Mapping[str, str] | None = None,
        abstain: Abstain | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> AsyncJob:
        """Queue a fine-tune and return its job; on success it registers a version of `model`.

        `base_model` is one of `client.models.base_models()`, or a version such as `intent/2`:
        labels that it knows keep their rows of its head, others begin anew.
        `primary_metric`, such as `macro_f2` or `recall@spam`, chooses the best checkpoint, ends the
        run early and is told first by evaluations.
        `evaluate` reads the test split afterwards; `deploy` names what then serves the version, if
        that has passed the `gate`. With `abstain` the version says where it is not sure enough.
        With `dry_run` it is only rehearsed, on a hundredth of the rows: `result.dry_run` says what
        that has shown. A program that may be started twice passes its own `idempotency_key`.
        """
        spec = finetune_spec(
            dataset,
            model=model,
            base_model=base_model,
            recipe=recipe,
            primary_metric=primary_metric,
            hyperparameters=hyperparameters,
            checkpoints=checkpoints,
            priority=priority,
            evaluate=evaluate,
            deploy=deploy,
            gate=gate,
            metadata=metadata,
            abstain=abstain,
            dry_run=dry_run,
        )
        return self._jobs.bound(await self._caller.send(calls.finetune(spec), key=idempotency_key))

    async def estimate(
        self,
        dataset: str | Dataset,
        *,
        model: str = "estimate",
        base_model: str = "minilm-l6",
        recipe: RecipeChoice = "auto",
        hyperparameters: Hyperparameters | None = None,
        checkpoints: Checkpoints | None = None,
        abstain: Abstain | None = None,
        priority: int = 50,
    ) -> Estimate:
        """Return what a fine-tune would take: steps, seconds, memory, disk; nothing is queued."""
        spec = finetune_spec(
            dataset,
            model=model,
            base_model=base_model,
            recipe=recipe,
            hyperparameters=hyperparameters,
            checkpoints=checkpoints,
            priority=priority,
            evaluate=True,
            deploy=None,
            gate=None,
            metadata=None,
            abstain=abstain,
        )
        return await self._caller.send(calls.estimate_finetune(spec))

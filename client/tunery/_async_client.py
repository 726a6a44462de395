"""The asynchronous client: awaits what `Client` blocks for.

    import tunery

    async with tunery.AsyncClient() as client:
        dataset = await client.datasets.create("reviews.csv")
        job = await (await client.finetune(dataset, model="intent", deploy="intent")).wait()
        (await client.predict("intent", "where is my parcel?")).label

For one event loop; asyncio only.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from tunery import _calls as calls
from tunery._async_resources.datasets import AsyncDatasets
from tunery._async_resources.deployments import AsyncDeployments
from tunery._async_resources.evaluations import AsyncEvaluations
from tunery._async_resources.files import AsyncFiles
from tunery._async_resources.finetune import AsyncFinetune
from tunery._async_resources.jobs import AsyncJobs
from tunery._async_resources.keys import AsyncKeys
from tunery._async_resources.models import AsyncModels
from tunery._batches import Batch, Batcher, batches
from tunery._callers import AsyncCaller
from tunery._http import AsyncSession
from tunery._inputs import id_of, target_of, the_version
from tunery._retries import Policy
from tunery._settings import Language, read_settings
from tunery._tuned import Tuned
from tunery._uploads import Source
from tunery.errors import ApiError
from tunery.types import (
    Abstain,
    Columns,
    Comparison,
    Dataset,
    Gate,
    Hyperparameters,
    Live,
    ModelVersion,
    Policies,
    Prediction,
    PredictResponse,
    ProblemPage,
    Ready,
    RecipeChoice,
    Split,
    Task,
    TextInput,
    TextPair,
)

if TYPE_CHECKING:
    from tunery._http import AsyncTransport

Texts = Iterable[TextInput] | AsyncIterable[TextInput]
CONCURRENCY = 4  # requests of one bulk prediction that are on their way at once


class AsyncClient:
    """A client of one service. Raises `TuneryError` and nothing else for what tunery answers."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = 60.0,
        max_retries: int = 5,
        language: Language | None = None,
        transport: "AsyncTransport | None" = None,
    ) -> None:
        """Connect to `url`, else to `TUNERY_URL`, else to this machine.

        The key is `api_key`, else `TUNERY_API_KEY`, else what the server on this machine left in
        its data directory (`TUNERY_DATA_DIR`). `timeout` is the total time of a call with all its
        retries, in seconds; uploads only must not stand still so long. `transport` is httpx's,
        for tests and proxies.

        Raises:
            NotConfigured: there is no key, or the URL is none.
        """
        settings = read_settings(url, api_key, language)
        session = AsyncSession(settings, transport)
        self._settle(session, Policy(timeout_seconds=timeout, max_retries=max_retries))

    def _settle(self, session: AsyncSession, policy: Policy) -> None:
        self._session = session
        self._caller = AsyncCaller(session, policy)
        self.files = AsyncFiles(self._caller)
        self.jobs = AsyncJobs(self._caller)
        self.datasets = AsyncDatasets(self._caller, self.files, self.jobs)
        self.finetune = AsyncFinetune(self._caller, self.jobs)
        self.evaluations = AsyncEvaluations(self._caller, self.jobs)
        self.models = AsyncModels(self._caller)
        self.deployments = AsyncDeployments(self._caller)
        self.predict = AsyncPredict(self._caller)
        self.keys = AsyncKeys(self._caller)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._session.settings.url

    def with_options(self, *, timeout: float | None = None, max_retries: int | None = None) -> Self:
        """Return a client with other limits, over the same connections; 0 is no total time."""
        variant = object.__new__(type(self))
        policy = self._caller.policy.changed(timeout, max_retries)
        variant._settle(self._session, policy)
        return variant

    async def tune(
        self,
        file: Source | None = None,
        *,
        model: str,
        train: Source | None = None,
        validation: Source | None = None,
        test: Source | None = None,
        deploy: str | None = None,
        gate: Gate | None = None,
        dataset: str | None = None,
        task: Task = "text_classification",
        columns: Columns | None = None,
        policies: Policies | None = None,
        base_model: str = "minilm-l6",
        recipe: RecipeChoice = "auto",
        hyperparameters: Hyperparameters | None = None,
        abstain: Abstain | None = None,
        progress: bool = False,
        timeout: float | None = None,
    ) -> Tuned:
        """Do the whole job: register the file, fine-tune, evaluate, and deploy where named.

        `dataset` is the name of the dataset, else the model's. `timeout` holds for each step.

        Raises:
            DatasetRejected, JobFailed, DeploymentFailed: that step says why.
        """
        data = await self.datasets.create(
            file,
            train=train,
            validation=validation,
            test=test,
            name=dataset or model,
            task=task,
            columns=columns,
            policies=policies,
            timeout=timeout,
        )
        started = await self.finetune(
            data,
            model=model,
            base_model=base_model,
            recipe=recipe,
            hyperparameters=hyperparameters,
            abstain=abstain,
            deploy=deploy,
            gate=gate,
        )
        job = await started.wait(timeout=timeout, progress=progress)
        return Tuned(
            dataset=data,
            job=job,
            version=the_version(job),
            evaluation=await self.evaluations.of(job, timeout=timeout),
            deployment=await self.deployments.wait(deploy, timeout=timeout) if deploy else None,
        )

    async def compare(
        self,
        a: str | ModelVersion,
        b: str | ModelVersion,
        *,
        dataset: str | Dataset | None = None,
        split: Split = "test",
    ) -> Comparison:
        """Return how `a` does beside `b` on the same rows, by their newest evaluations.

        Without a dataset on that which `a` was trained on; a checkpoint is named by its id.

        Raises:
            NotEvaluated: one of them has no evaluation there; the hint says what to run.
        """
        on = None if dataset is None else id_of(dataset)
        call = calls.compare(target_of(a), target_of(b), dataset=on, split=split)
        return await self._caller.send(call)

    async def live(self) -> Live:
        """Return that the service answers, and its version."""
        return await self._caller.send(calls.live())

    async def ready(self) -> Ready:
        """Return that the service is ready, and the status of each deployment.

        Raises:
            Unavailable: it is starting or stopping.
        """
        return await self._caller.send(calls.ready())

    async def problem(self, code: str) -> ProblemPage:
        """Return what a problem code means."""
        return await self._caller.send(calls.get_problem(code))

    async def metrics(self) -> str:
        """Return the metrics of the service, in the Prometheus text format."""
        return await self._caller.send(calls.metrics())

    async def openapi(self) -> bytes:
        """Return the service's OpenAPI document, as JSON."""
        document = await self._caller.send(calls.openapi())
        return bytes(document)

    async def close(self) -> None:
        """Close the connections, also those of variants."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncPredict:
    """Predictions: `client.predict("intent", texts)`."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    # A str is an Iterable[str], too: the first one wins.
    @overload
    async def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self,
        model: str,
        inputs: TextInput,
        *,
        top_k: int = 1,
        truncate: bool = True,
        concurrency: int = CONCURRENCY,
    ) -> Prediction: ...

    @overload
    async def __call__(
        self,
        model: str,
        inputs: Texts,
        *,
        top_k: int = 1,
        truncate: bool = True,
        concurrency: int = CONCURRENCY,
    ) -> list[Prediction]: ...

    async def __call__(
        self,
        model: str,
        inputs: TextInput | Texts,
        *,
        top_k: int = 1,
        truncate: bool = True,
        concurrency: int = CONCURRENCY,
    ) -> Prediction | list[Prediction]:
        """Return the prediction for one text or pair, or those for many in their order.

        Many are sent in as few requests as the service allows, `concurrency` of them at once.
        """
        texts = [inputs] if isinstance(inputs, str | TextPair) else inputs
        found = [
            prediction
            async for response in self.responses(
                model, texts, top_k=top_k, truncate=truncate, concurrency=concurrency
            )
            for prediction in response.predictions
        ]
        return found[0] if isinstance(inputs, str | TextPair) else found

    async def responses(
        self,
        model: str,
        inputs: Texts,
        *,
        top_k: int = 1,
        truncate: bool = True,
        concurrency: int = CONCURRENCY,
    ) -> AsyncIterator[PredictResponse]:
        """Yield the answers request by request, in order; each names the version that gave it.

        Takes from `inputs` only as much as is on its way, so that they may be without end.
        """

        async def ask(batch: Batch) -> PredictResponse:
            request = batch.request(model, top_k=top_k, truncate=truncate)
            try:
                return batch.checked(await self._caller.send(calls.predict(request)))
            except ApiError as error:
                raise batch.explained(error) from None

        waiting: deque[asyncio.Task[PredictResponse]] = deque()
        try:
            async for batch in _batched(inputs):
                waiting.append(asyncio.create_task(ask(batch)))
                if len(waiting) >= concurrency:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _batched(inputs: Texts) -> AsyncIterator[Batch]:
    if isinstance(inputs, AsyncIterable):
        batcher = Batcher()
        async for text in inputs:
            for batch in batcher.take(text):
                yield batch
        for batch in batcher.end():
            yield batch
    else:
        for batch in batches(inputs):
            yield batch

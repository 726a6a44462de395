"""The client: blocks until the service has answered.

    import tunery

    with tunery.Client() as client:
        dataset = client.datasets.create("reviews.csv")
        job = client.finetune(dataset, model="intent", deploy="intent").wait()
        client.predict("intent", "where is my parcel?").label

Safe to share between threads; a process that forks makes its own.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from itertools import chain, islice
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from tunery import _calls as calls
from tunery._batches import Batch, batches
from tunery._callers import Caller
from tunery._http import Session
from tunery._inputs import id_of, target_of, the_version
from tunery._resources.datasets import Datasets
from tunery._resources.deployments import Deployments
from tunery._resources.evaluations import Evaluations
from tunery._resources.files import Files
from tunery._resources.finetune import Finetune
from tunery._resources.jobs import Jobs
from tunery._resources.keys import Keys
from tunery._resources.models import Models
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
    from tunery._http import Transport

CONCURRENCY = 4  # requests of one bulk prediction that are on their way at once
_TURN_SECONDS = 0.5  # of waiting for one of them


class Client:
    """A client of one service. Raises `TuneryError` and nothing else for what tunery answers."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = 60.0,
        max_retries: int = 5,
        language: Language | None = None,
        transport: "Transport | None" = None,
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
        session = Session(settings, transport)
        self._settle(session, Policy(timeout_seconds=timeout, max_retries=max_retries))

    def _settle(self, session: Session, policy: Policy) -> None:
        self._session = session
        self._caller = Caller(session, policy)
        self.files = Files(self._caller)
        self.jobs = Jobs(self._caller)
        self.datasets = Datasets(self._caller, self.files, self.jobs)
        self.finetune = Finetune(self._caller, self.jobs)
        self.evaluations = Evaluations(self._caller, self.jobs)
        self.models = Models(self._caller)
        self.deployments = Deployments(self._caller)
        self.predict = Predict(self._caller)
        self.keys = Keys(self._caller)

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

    def tune(
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
        data = self.datasets.create(
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
        started = self.finetune(
            data,
            model=model,
            base_model=base_model,
            recipe=recipe,
            hyperparameters=hyperparameters,
            abstain=abstain,
            deploy=deploy,
            gate=gate,
        )
        job = started.wait(timeout=timeout, progress=progress)
        return Tuned(
            dataset=data,
            job=job,
            version=the_version(job),
            evaluation=self.evaluations.of(job, timeout=timeout),
            deployment=self.deployments.wait(deploy, timeout=timeout) if deploy else None,
        )

    def compare(
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
        return self._caller.send(call)

    def live(self) -> Live:
        """Return that the service answers, and its version."""
        return self._caller.send(calls.live())

    def ready(self) -> Ready:
        """Return that the service is ready, and the status of each deployment.

        Raises:
            Unavailable: it is starting or stopping.
        """
        return self._caller.send(calls.ready())

    def problem(self, code: str) -> ProblemPage:
        """Return what a problem code means."""
        return self._caller.send(calls.get_problem(code))

    def metrics(self) -> str:
        """Return the metrics of the service, in the Prometheus text format."""
        return self._caller.send(calls.metrics())

    def openapi(self) -> bytes:
        """Return the service's OpenAPI document, as JSON."""
        document = self._caller.send(calls.openapi())
        return bytes(document)

    def close(self) -> None:
        """Close the connections, also those of variants."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Predict:
    """Predictions: `client.predict("intent", texts)`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    # A str is an Iterable[str], too: the first one wins.
    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self,
        model: str,
        inputs: TextInput,
        *,
        top_k: int = 1,
        truncate: bool = True,
        concurrency: int = CONCURRENCY,
    ) -> Prediction: ...

    @overload
    def __call__(
        self,
        model: str,
        inputs: Iterable[TextInput],
        *,
        top_k: int = 1,
        truncate: bool = True,
        concurrency: int = CONCURRENCY,
    ) -> list[Prediction]: ...

    def __call__(
        self,
        model: str,
        inputs: TextInput | Iterable[TextInput],
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
            for response in self.responses(
                model, texts, top_k=top_k, truncate=truncate, concurrency=concurrency
            )
            for prediction in response.predictions
        ]
        return found[0] if isinstance(inputs, str | TextPair) else found

    def responses(
        self,
        model: str,
        inputs: Iterable[TextInput],
        *,
        top_k: int = 1,
        truncate: bool = True,
        concurrency: int = CONCURRENCY,
    ) -> Iterator[PredictResponse]:
        """Yield the answers request by request, in order; each names the version that gave it.

        Takes from `inputs` only as much as is on its way, so that they may be without end.
        """

        def ask(batch: Batch) -> PredictResponse:
            request = batch.request(model, top_k=top_k, truncate=truncate)
            try:
                return batch.checked(self._caller.send(calls.predict(request)))
            except ApiError as error:
                raise batch.explained(error) from None

        parts = batches(inputs)
        head = list(islice(parts, 2))
        if len(head) < 2 or concurrency < 2:
            yield from map(ask, chain(head, parts))
            return
        waiting: deque[Future[PredictResponse]] = deque()
        for part in chain(head, parts):
            waiting.append(_begun(partial(ask, part)))
            if len(waiting) >= concurrency:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _begun(ask: Callable[[], PredictResponse]) -> Future[PredictResponse]:
    """Ask in a thread of its own.

    No pool: it would wait for every request on its way where one has failed, or after a Ctrl-C.
    """
    future: Future[PredictResponse] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="tunery-predict", daemon=True).start()
    return future


def _result(future: Future[PredictResponse]) -> PredictResponse:
    # In turns: a Ctrl-C that falls between Python's look for signals and its wait for a lock is
    # heard when that wait ends.
    while not wait([future], timeout=_TURN_SECONDS).done:
        pass
    return future.result()

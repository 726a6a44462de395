"""Calls: each route of the contract as a pure description, which the clients carry out.

One function per route returns a `Call[T]`: what to send, and what the answer is. Nothing here
does I/O, so that `Client` and `AsyncClient` are two shells over the same thing.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from tunery.errors import InvalidArgument
from tunery.types import (
    BaseModelList,
    CheckpointList,
    Comparison,
    Dataset,
    DatasetDiff,
    DatasetSpec,
    Deployment,
    DeploymentSpec,
    DeviceList,
    ErrorPage,
    ErrorSort,
    Estimate,
    EvaluateSpec,
    Evaluation,
    EvaluationPlot,
    EventList,
    File,
    FinetuneSpec,
    Job,
    Key,
    KeySpec,
    LabelIssuePage,
    LabelIssuesSpec,
    ListedFinding,
    Live,
    LogText,
    MetricList,
    Model,
    ModelVersion,
    NewKey,
    Page,
    PredictRequest,
    PredictResponse,
    Preview,
    ProblemPage,
    Ready,
    RecipeList,
    Report,
    RowPage,
    VersionSpec,
)

T = TypeVar("T")
JSON = "application/json"
JSON_LINES = "application/x-ndjson"
CSV = "text/csv"
HTML = "text/html"
MARKDOWN = "text/markdown"
SVG = "image/svg+xml"
EVENT_STREAM = "text/event-stream"
PLAIN = "text/plain"
_encoder = msgspec.json.Encoder()


class Body:
    """The bytes of an upload; `open` begins anew, for another try."""

    size_bytes: int | None = None
    again = True  # whether it can be opened more than once

    def open(self) -> Iterator[bytes]:
        """Yield the bytes from the beginning."""
        raise NotImplementedError


class Call(msgspec.Struct, Generic[T], kw_only=True, frozen=True):
    """One request, and the type of its answer."""

    method: str
    path: str
    of: type[T]
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    content: bytes | None = None
    body: Body | None = None
    creates: bool = False  # sent with an Idempotency-Key, the same one at every try
    patient: bool = False  # one try may take all the time there is
    lines: bool = False  # the answer is a JSON value a line, and its type a list of them
    text: bool = False  # the answer is text, and its type str

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.body is None or self.body.again


def upload_file(body: Body, *, name: str, media_type: str) -> Call[File]:
    """POST /files."""
    return Call(
        method="POST",
        path="/files",
        of=File,
        query={"name": name},
        headers={"Content-Type": media_type},
        body=body,
        creates=True,
        patient=True,
    )


def get_file(file_id: str) -> Call[File]:
    """GET /files/{id}."""
    return _get(f"/files/{_part(file_id)}", File)


def delete_file(file_id: str) -> Call[None]:
    """DELETE /files/{id}."""
    return _delete(f"/files/{_part(file_id)}")


def create_dataset(spec: DatasetSpec) -> Call[Dataset]:
    """POST /datasets."""
    return _post("/datasets", Dataset, spec)


def list_datasets(
    *, limit: int, after: str | None, status: str | None, name: str | None
) -> Call[Page[Dataset]]:
    """GET /datasets."""
    return _get("/datasets", Page[Dataset], limit=limit, after=after, status=status, name=name)


def get_dataset(dataset_id: str) -> Call[Dataset]:
    """GET /datasets/{id}."""
    return _get(f"/datasets/{_part(dataset_id)}", Dataset)


def delete_dataset(dataset_id: str) -> Call[None]:
    """DELETE /datasets/{id}."""
    return _delete(f"/datasets/{_part(dataset_id)}")


def get_report(dataset_id: str) -> Call[Report]:
    """GET /datasets/{id}/report."""
    return _get(f"/datasets/{_part(dataset_id)}/report", Report)


def list_findings(dataset_id: str) -> Call[list[ListedFinding]]:
    """GET /datasets/{id}/report, as lines."""
    return Call(
        method="GET",
        path=f"/datasets/{_part(dataset_id)}/report",
        of=list[ListedFinding],
        headers={"Accept": JSON_LINES},
        lines=True,
    )


def transform_dataset(dataset_id: str, spec: VersionSpec) -> Call[Dataset]:
    """POST /datasets/{id}/versions."""
    return _post(f"/datasets/{_part(dataset_id)}/versions", Dataset, spec)


def find_label_issues(dataset_id: str, spec: LabelIssuesSpec) -> Call[Job]:
    """POST /datasets/{id}/label-issues."""
    return _post(f"/datasets/{_part(dataset_id)}/label-issues", Job, spec)


def list_label_issues(
    dataset_id: str, *, split: str | None, limit: int, after: str | None
) -> Call[LabelIssuePage]:
    """GET /datasets/{id}/label-issues."""
    path = f"/datasets/{_part(dataset_id)}/label-issues"
    return _get(path, LabelIssuePage, split=split, limit=limit, after=after)


def list_rows(dataset_id: str, *, split: str, limit: int, after: str | None) -> Call[RowPage]:
    """GET /datasets/{id}/rows."""
    path = f"/datasets/{_part(dataset_id)}/rows"
    return _get(path, RowPage, split=split, limit=limit, after=after)


def diff_datasets(dataset_id: str, *, since: str) -> Call[DatasetDiff]:
    """GET /datasets/{id}/diff."""
    return _get(f"/datasets/{_part(dataset_id)}/diff", DatasetDiff, **{"from": since})


def preview_dataset(dataset_id: str, *, base_model: str, max_length: int | None) -> Call[Preview]:
    """GET /datasets/{id}/preview."""
    path = f"/datasets/{_part(dataset_id)}/preview"
    return _get(path, Preview, base_model=base_model, max_length=max_length)


def list_base_models() -> Call[BaseModelList]:
    """GET /base-models."""
    return _get("/base-models", BaseModelList)


def list_recipes() -> Call[RecipeList]:
    """GET /recipes."""
    return _get("/recipes", RecipeList)


def finetune(spec: FinetuneSpec) -> Call[Job]:
    """POST /finetune."""
    return _post("/finetune", Job, spec)


def estimate_finetune(spec: FinetuneSpec) -> Call[Estimate]:
    """POST /finetune/estimate; it makes nothing, so it needs no key."""
    return msgspec.structs.replace(_post("/finetune/estimate", Estimate, spec), creates=False)


def evaluate(spec: EvaluateSpec) -> Call[Job]:
    """POST /evaluate."""
    return _post("/evaluate", Job, spec)


def list_jobs(
    *, limit: int, after: str | None, status: str | None, kind: str | None, dataset: str | None
) -> Call[Page[Job]]:
    """GET /jobs."""
    return _get(
        "/jobs", Page[Job], limit=limit, after=after, status=status, kind=kind, dataset=dataset
    )


def get_job(job_id: str) -> Call[Job]:
    """GET /jobs/{id}."""
    return _get(f"/jobs/{_part(job_id)}", Job)


def cancel_job(job_id: str) -> Call[Job]:
    """POST /jobs/{id}/cancel."""
    return _post(f"/jobs/{_part(job_id)}/cancel", Job)


def pause_job(job_id: str) -> Call[Job]:
    """POST /jobs/{id}/pause."""
    return _post(f"/jobs/{_part(job_id)}/pause", Job)


def resume_job(job_id: str) -> Call[Job]:
    """POST /jobs/{id}/resume."""
    return _post(f"/jobs/{_part(job_id)}/resume", Job)


def list_events(
    job_id: str, *, after: int, limit: int = 500, wait_seconds: int = 0
) -> Call[EventList]:
    """GET /jobs/{id}/events, as a list."""
    path = f"/jobs/{_part(job_id)}/events"
    return _get(path, EventList, after=after, limit=limit, wait=wait_seconds or None)


def stream_events(job_id: str, *, after: int) -> Call[bytes]:
    """GET /jobs/{id}/events, as a stream."""
    headers = {"Accept": EVENT_STREAM, "Cache-Control": "no-store"}
    if after:
        headers["Last-Event-ID"] = str(after)
    path = f"/jobs/{_part(job_id)}/events"
    return Call(method="GET", path=path, of=bytes, headers=headers)


def get_metrics(
    job_id: str, *, names: Sequence[str] | None, downsample: int | None
) -> Call[MetricList]:
    """GET /jobs/{id}/metrics."""
    path = f"/jobs/{_part(job_id)}/metrics"
    return _get(path, MetricList, names=_joined(names), downsample=downsample)


def get_metrics_csv(
    job_id: str, *, names: Sequence[str] | None, downsample: int | None
) -> Call[str]:
    """GET /jobs/{id}/metrics, as CSV."""
    path = f"/jobs/{_part(job_id)}/metrics"
    call = _get(path, str, names=_joined(names), downsample=downsample)
    return msgspec.structs.replace(call, headers={"Accept": CSV}, text=True)


def get_logs(job_id: str, *, tail: int) -> Call[LogText]:
    """GET /jobs/{id}/logs."""
    return _get(f"/jobs/{_part(job_id)}/logs", LogText, tail=tail)


def list_checkpoints(job_id: str) -> Call[CheckpointList]:
    """GET /jobs/{id}/checkpoints."""
    return _get(f"/jobs/{_part(job_id)}/checkpoints", CheckpointList)


def list_evaluations(
    *,
    limit: int,
    after: str | None,
    dataset: str | None,
    split: str | None,
    model: str | None,
    version: str | None,
    sort: str | None,
) -> Call[Page[Evaluation]]:
    """GET /evaluations."""
    return _get(
        "/evaluations",
        Page[Evaluation],
        limit=limit,
        after=after,
        dataset=dataset,
        split=split,
        model=model,
        version=version,
        sort=sort,
    )


def list_evaluations_csv(
    *,
    dataset: str | None,
    split: str | None,
    model: str | None,
    version: str | None,
    sort: str | None,
) -> Call[str]:
    """GET /evaluations, as CSV."""
    call = _get(
        "/evaluations",
        str,
        dataset=dataset,
        split=split,
        model=model,
        version=version,
        sort=sort,
    )
    return msgspec.structs.replace(call, headers={"Accept": CSV}, text=True)


def get_evaluation(evaluation_id: str) -> Call[Evaluation]:
    """GET /evaluations/{id}."""
    return _get(f"/evaluations/{_part(evaluation_id)}", Evaluation)


def get_evaluation_report(
    evaluation_id: str, *, media_type: str = HTML, plot: EvaluationPlot | None = None
) -> Call[str]:
    """GET /evaluations/{id}/report, as a page or as Markdown; with `plot`, as SVG."""
    call = _get(f"/evaluations/{_part(evaluation_id)}/report", str, plot=plot)
    return msgspec.structs.replace(call, headers={"Accept": media_type}, text=True)


def list_errors(
    evaluation_id: str,
    *,
    true: str | None,
    predicted: str | None,
    right: bool,
    sort: ErrorSort,
    limit: int,
    after: str | None,
) -> Call[ErrorPage]:
    """GET /evaluations/{id}/errors."""
    return _get(
        f"/evaluations/{_part(evaluation_id)}/errors",
        ErrorPage,
        true=true,
        predicted=predicted,
        right="true" if right else None,
        sort=sort,
        limit=limit,
        after=after,
    )


def compare(a: str, b: str, *, dataset: str | None, split: str) -> Call[Comparison]:
    """GET /compare."""
    return _get("/compare", Comparison, a=a, b=b, dataset=dataset, split=split)


def list_models(*, limit: int, after: str | None) -> Call[Page[Model]]:
    """GET /models."""
    return _get("/models", Page[Model], limit=limit, after=after)


def get_model(name: str) -> Call[Model]:
    """GET /models/{name}."""
    return _get(f"/models/{_part(name)}", Model)


def get_model_version(version: str) -> Call[ModelVersion]:
    """GET /models/{name}/versions/{n}, for a version such as `intent/3`."""
    name, _, number = version.rpartition("/")
    return _get(f"/models/{_part(name)}/versions/{_part(number)}", ModelVersion)


def list_deployments(*, limit: int, after: str | None) -> Call[Page[Deployment]]:
    """GET /deployments."""
    return _get("/deployments", Page[Deployment], limit=limit, after=after)


def get_deployment(name: str) -> Call[Deployment]:
    """GET /deployments/{name}."""
    return _get(f"/deployments/{_part(name)}", Deployment)


def put_deployment(name: str, spec: DeploymentSpec) -> Call[Deployment]:
    """PUT /deployments/{name}."""
    return Call(
        method="PUT",
        path=f"/deployments/{_part(name)}",
        of=Deployment,
        headers={"Content-Type": JSON},
        content=_encoder.encode(spec),
    )


def delete_deployment(name: str) -> Call[Deployment]:
    """DELETE /deployments/{name}."""
    return Call(method="DELETE", path=f"/deployments/{_part(name)}", of=Deployment)


def rollback_deployment(name: str) -> Call[Deployment]:
    """POST /deployments/{name}/rollback."""
    return _post(f"/deployments/{_part(name)}/rollback", Deployment)


def list_devices() -> Call[DeviceList]:
    """GET /devices."""
    return _get("/devices", DeviceList)


def predict(request: PredictRequest) -> Call[PredictResponse]:
    """POST /predict; asking twice changes nothing, so it needs no key."""
    return Call(
        method="POST",
        path="/predict",
        of=PredictResponse,
        headers={"Content-Type": JSON},
        content=_encoder.encode(request),
        patient=True,
    )


def list_keys(*, limit: int, after: str | None) -> Call[Page[Key]]:
    """GET /keys."""
    return _get("/keys", Page[Key], limit=limit, after=after)


def create_key(spec: KeySpec) -> Call[NewKey]:
    """POST /keys."""
    return _post("/keys", NewKey, spec)


def delete_key(key_id: str) -> Call[None]:
    """DELETE /keys/{id}."""
    return _delete(f"/keys/{_part(key_id)}")


def get_problem(code: str) -> Call[ProblemPage]:
    """GET /problems/{code}."""
    return _get(f"/problems/{_part(code)}", ProblemPage)


def live() -> Call[Live]:
    """GET /health/live."""
    return _get("/health/live", Live)


def ready() -> Call[Ready]:
    """GET /health/ready."""
    return _get("/health/ready", Ready)


def metrics() -> Call[str]:
    """GET /metrics."""
    return msgspec.structs.replace(_get("/metrics", str), headers={"Accept": PLAIN}, text=True)


def openapi() -> Call[msgspec.Raw]:
    """GET /openapi.json."""
    return _get("/openapi.json", msgspec.Raw)


def watched(call: Call[T], *, etag: str | None, wait_seconds: int) -> Call[T]:
    """Return a GET that is answered at the next change of what an ETag names, else with 304."""
    if etag is None:
        return call
    headers = {**call.headers, "If-None-Match": etag}
    query = {**call.query, "wait": str(wait_seconds)}
    return msgspec.structs.replace(call, headers=headers, query=query)


def _get(path: str, of: type[T], **query: str | int | None) -> Call[T]:
    given = {name: str(value) for name, value in query.items() if value is not None}
    return Call(method="GET", path=path, of=of, query=given)


def _post(path: str, of: type[T], spec: msgspec.Struct | None = None) -> Call[T]:
    return Call(
        method="POST",
        path=path,
        of=of,
        headers={} if spec is None else {"Content-Type": JSON},
        content=None if spec is None else _encoder.encode(spec),
        creates=True,
    )


def _joined(names: Sequence[str] | None) -> str | None:
    return None if names is None else ",".join(names)


def _delete(path: str) -> Call[None]:
    return Call(method="DELETE", path=path, of=type(None))


def _part(text: str) -> str:
    """Return an id or a name as one part of a path.

    Raises:
        InvalidArgument: it would be another path.
    """
    if text in ("", ".", ".."):
        raise InvalidArgument(f"{text!r} is no name and no id")
    return quote(text, safe="")

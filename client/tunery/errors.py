"""Errors: everything that the SDK raises, one tree, one class per problem code.

    TuneryError
    ├── NotConfigured             no key, or a URL that is none
    ├── InvalidArgument           what was passed can't be sent; a ValueError, too
    ├── ConnectionFailed          no answer came
    ├── TimedOut                  no answer came in time; what was asked for may go on
    ├── InvalidAnswer             what came is not an answer of the service
    ├── ApiError                  the service refused: a family per status, a class per code
    ├── DatasetRejected           the ingest found what rejects; a class per code of a finding
    ├── JobFailed                 the job ended as failed; a class per code
    ├── JobCancelled              the job ended as cancelled
    └── DeploymentFailed          the deployment does not serve what was asked for; per code

`MalformedJson` is the class of the code `malformed-json`, and so on for every code of
`tunery.types.PROBLEMS`. A code that this SDK does not know raises the family of its status.
"""

import functools
import re
from collections.abc import Sequence
from typing import TypeVar

from tunery.types import Dataset, Deployment, ErrorInfo, FieldError, Finding, Job, Report

E = TypeVar("E", bound="TuneryError")
_SHOWN_FINDINGS = 10
_LOG_LINES = 20


class TuneryError(Exception):
    """Something went wrong between this program and tunery."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str = "",
        errors: Sequence[FieldError | Finding] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])
        self.code = code
        self.hint = hint
        self.errors = list(errors)
        self.request_id = request_id


class NotConfigured(TuneryError):
    """The client has no key, or no URL of a service."""


class InvalidArgument(TuneryError, ValueError):
    """What was passed is not usable."""


class ConnectionFailed(TuneryError):
    """The service did not answer."""

    def __init__(self, message: str = "", *, url: str = "", sent: bool = True) -> None:
        super().__init__(message, hint="Is it running? Start it with: tunery serve" if url else "")
        self.url = url
        self.sent = sent  # whether the service may have got the request

    def __str__(self) -> str:
        said = super().__str__()
        return f"{self.url} does not answer: {said}. {self.hint}" if self.url else said


class TimedOut(TuneryError):
    """There was no answer in time."""


class InvalidAnswer(TuneryError):
    """The answer is not one of tunery."""


class ApiError(TuneryError):
    """The service refused the request."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: str | None = None,
        hint: str = "",
        errors: Sequence[FieldError | Finding] = (),
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, errors=errors, request_id=request_id)
        self.status = status
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        said = super().__str__()
        parts = [f"{self.code}: {said}." if self.code else said]
        parts += [self.hint] if self.hint else []
        parts += [f"(request {self.request_id})"] if self.request_id else []
        return " ".join(parts)


class DatasetRejected(TuneryError):
    """The dataset was rejected."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str = "",
        dataset: Dataset | None = None,
        report: Report | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, errors=report.errors if report else ())
        self.dataset = dataset
        self.report = report

    def __str__(self) -> str:
        lines = [f"{self.code}: {super().__str__()}" if self.code else super().__str__()]
        shown = self.errors[:_SHOWN_FINDINGS]
        for finding in shown:
            place = "" if finding.line is None else f"line {finding.line}: "
            lines.append(f"  {place}{finding.code}: {finding.message}")
        left = (self.report.errors_total if self.report else len(self.errors)) - len(shown)
        lines += [f"  and {left} more"] if left > 0 else []
        return "\n".join([*lines, self.hint]).rstrip()


class JobFailed(TuneryError):
    """The job failed."""

    def __init__(
        self, message: str = "", *, code: str | None = None, hint: str = "", job: Job | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.job = job
        error = job.error if job else None
        self.log_tail = (error.log_tail or "") if error else ""

    def __str__(self) -> str:
        named = f"{self.job.id} failed: " if self.job else ""
        first = f"{named}{self.code}: {super().__str__()}" if self.code else super().__str__()
        tail = self.log_tail.splitlines()[-_LOG_LINES:]
        log = ["the end of its log:", *(f"  {line}" for line in tail)] if tail else []
        return "\n".join([first, *([self.hint] if self.hint else []), *log])


class JobCancelled(TuneryError):
    """The job was cancelled."""

    def __init__(self, message: str = "", *, job: Job | None = None) -> None:
        super().__init__(message)
        self.job = job


class DeploymentFailed(TuneryError):
    """The deployment does not serve what was asked for."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str = "",
        deployment: Deployment | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.deployment = deployment

    def __str__(self) -> str:
        first = f"{self.code}: {super().__str__()}" if self.code else super().__str__()
        return f"{first} {self.hint}".rstrip()


def dataset_rejected(dataset: Dataset, report: Report | None) -> DatasetRejected:
    """Return the error of a rejected dataset, of the class of its code."""
    error = dataset.error or _unexplained("dataset")
    of = class_of(error.code, DatasetRejected)
    return of(error.message, code=error.code, hint=error.hint, dataset=dataset, report=report)


def job_failed(job: Job) -> JobFailed:
    """Return the error of a failed job, of the class of its code."""
    error = job.error or _unexplained("job")
    of = class_of(error.code, JobFailed)
    return of(error.message, code=error.code, hint=error.hint, job=job)


def deployment_failed(deployment: Deployment) -> DeploymentFailed:
    """Return the error of a deployment that is not what was asked for."""
    error = deployment.error or _unexplained("deployment")
    of = class_of(error.code, DeploymentFailed)
    return of(error.message, code=error.code, hint=error.hint, deployment=deployment)


def class_of(code: str, family: type[E]) -> type[E]:
    """Return the class of a code where it belongs to the family, else the family."""
    found = _classes().get(code, family)
    return found if issubclass(found, family) else family


def family_of(status: int) -> type[ApiError]:
    """Return the class of what is answered with a status."""
    return _FAMILIES.get(status, ServerFault if status >= 500 else ApiError)


def _unexplained(what: str) -> ErrorInfo:
    return ErrorInfo(code="job-error", message=f"the {what} does not say why", hint="")


@functools.cache
def _classes() -> dict[str, type[TuneryError]]:
    found: dict[str, type[TuneryError]] = {}
    families: list[type[TuneryError]] = [TuneryError]
    while families:
        for each in families.pop().__subclasses__():
            found[re.sub(r"(?<!^)(?=[A-Z])", "-", each.__name__).lower()] = each
            families.append(each)
    return found


class BadRequest(ApiError):
    """400: the request can't be understood."""


class Unauthorized(ApiError):
    """401: there is no valid key."""


class NotFound(ApiError):
    """404: there is nothing here."""


class Conflict(ApiError):
    """409: the resource is not in a state for this."""


class TooLarge(ApiError):
    """413: it is too large."""


class UnsupportedType(ApiError):
    """415: the media type is not supported."""


class Unacceptable(ApiError):
    """422: the request is understood, and not acceptable."""


class TooManyRequests(ApiError):
    """429: it is too much at once."""


class ServerFault(ApiError):
    """5xx: tunery, or what stands before it, made a mistake."""


class Unavailable(ApiError):
    """503: not now."""


_FAMILIES: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedType,
    422: Unacceptable,
    429: TooManyRequests,
    503: Unavailable,
}


class MalformedJson(BadRequest):
    """The body is not JSON."""


class EmptyBody(BadRequest):
    """The request has no body."""


class InvalidUtf8(BadRequest):
    """The bytes are not UTF-8."""


class JsonTooDeep(BadRequest):
    """The JSON is nested too deeply."""


class InvalidUnicode(BadRequest):
    """The text holds half a surrogate pair."""


class IncompleteBody(BadRequest):
    """The body ended early."""


class BadIdempotencyKey(BadRequest):
    """The Idempotency-Key is not usable."""


class AmbiguousCredentials(BadRequest):
    """More than one credential was sent."""


class MissingCredentials(Unauthorized):
    """No API key was sent."""


class InvalidCredentials(Unauthorized):
    """The API key is not valid."""


class InsufficientScope(ApiError):
    """The key may not do this."""


class MethodNotAllowed(ApiError):
    """The path has no such method."""


class BodyTimeout(ApiError):
    """The body came too slowly."""


class MisdirectedRequest(ApiError):
    """The Host is not one of this service."""


class InsufficientStorage(ServerFault):
    """The disk is full."""


class EtagMismatch(ApiError):
    """The resource has changed."""


class DeadlineExceeded(ServerFault):
    """The deadline has passed."""


class DatasetNotFound(NotFound):
    """There is no such dataset."""


class LabelIssuesNotFound(NotFound):
    """Nobody has looked for label issues in this dataset."""


class KeyNotFound(NotFound):
    """There is no such key."""


class JobNotFound(NotFound):
    """There is no such job."""


class ModelNotFound(NotFound):
    """There is no such model."""


class CheckpointNotFound(NotFound):
    """There is no such checkpoint."""


class EvaluationNotFound(NotFound):
    """There is no such evaluation."""


class DeploymentNotFound(NotFound):
    """There is no such deployment."""


class RequestInProgress(Conflict):
    """The first request with this key is still running."""


class FileInUse(Conflict):
    """A dataset is being made from this file."""


class NameTaken(Conflict):
    """A name that differs only in case exists."""


class DatasetNotReady(Conflict):
    """The dataset is not ready."""


class DatasetInUse(Conflict):
    """A running job uses the dataset."""


class JobNotResumable(Conflict):
    """Only a paused job can be resumed."""


class ModelNotReady(Conflict):
    """The model is not finished."""


class ModelInUse(Conflict):
    """A deployment uses this version."""


class LastAdminKey(Conflict):
    """It is the last admin key."""


class NotEvaluated(Conflict):
    """There is no evaluation to compare."""


class GateFailed(Conflict):
    """The gate does not let the version pass."""


class NoEarlierVersion(Conflict):
    """There is nothing to roll back to."""


class BodyTooLarge(TooLarge):
    """The body is too large."""


class BatchTooLarge(TooLarge):
    """There are too many inputs."""


class TextTooLarge(TooLarge):
    """A text is too large."""


class UnsupportedMediaType(UnsupportedType):
    """The media type is not supported."""


class UnsupportedContentEncoding(UnsupportedType):
    """Compressed bodies are not supported."""


class UnsupportedFormat(UnsupportedType):
    """The format is not one that tunery reads."""


class SchemaViolation(Unacceptable):
    """A field has the wrong type."""


class UnknownField(Unacceptable):
    """The object has a field that is not known."""


class MissingRequiredField(Unacceptable):
    """A field is missing."""


class OutOfRange(Unacceptable):
    """A value is outside its bounds."""


class InvalidPagination(Unacceptable):
    """The page can't be asked for like this."""


class InvalidDeadline(Unacceptable):
    """X-Request-Timeout-Ms is not usable."""


class InvalidAfter(Unacceptable):
    """There is no such place in the events."""


class IdempotencyKeyReused(Unacceptable):
    """The Idempotency-Key was used for another request."""


class EmptyFile(Unacceptable):
    """The file is empty."""


class FormatMismatch(Unacceptable):
    """The bytes are not what Content-Type says."""


class DigestMismatch(Unacceptable):
    """The Content-Digest does not match the bytes."""


class InvalidName(Unacceptable):
    """The name is not usable."""


class InvalidSplit(Unacceptable):
    """The split can't be made."""


class EmptyText(Unacceptable):
    """The text is empty."""


class UnknownLabel(Unacceptable):
    """The dataset has no such label."""


class UnknownBaseModel(Unacceptable):
    """The base model is neither on the allowlist nor a version."""


class BatchExceedsDataset(Unacceptable):
    """The batch is larger than the training split."""


class DiskBudgetExceeded(Unacceptable):
    """The fine-tune may take more disk than allowed."""


class MaxLengthExceedsModel(Unacceptable):
    """The model has fewer positions than max_length."""


class UnsupportedPrecision(Unacceptable):
    """The device can't compute in this precision."""


class InsufficientDevices(Unacceptable):
    """There are fewer devices."""


class SplitNotHeldOut(Unacceptable):
    """The split was trained on."""


class LabelMismatch(Unacceptable):
    """Dataset and model have different labels."""


class PairMismatch(Unacceptable):
    """The model reads single texts, or pairs of texts."""


class NotForTask(Unacceptable):
    """The hyperparameter is not for this task."""


class NoSuchMetric(Unacceptable):
    """The task or the labels have no such metric."""


class TooFewValidationRows(Unacceptable):
    """There are too few validation rows to abstain by."""


class TaskMismatch(Unacceptable):
    """The dataset is for another task."""


class EmptyBatch(Unacceptable):
    """There are no inputs."""


class TextTooLong(Unacceptable):
    """A text has more tokens than the model takes."""


class RateLimited(TooManyRequests):
    """Too many requests."""


class TooManyQueuedJobs(TooManyRequests):
    """The queue of this project is full."""


class TooManyStreams(TooManyRequests):
    """Too many event streams are open."""


class InternalError(ServerFault):
    """tunery made a mistake."""


class StorageIoError(ServerFault):
    """The disk refused a write."""


class ServerStarting(Unavailable):
    """The service is starting."""


class Draining(Unavailable):
    """The service is stopping."""


class ModelLoading(Unavailable):
    """The model is being loaded."""


class ModelUnavailable(Unavailable):
    """The model could not be loaded."""


class Overloaded(Unavailable):
    """The model has more requests than it can hold."""


class EngineRestarted(Unavailable):
    """The model's process was replaced."""


class NoRows(DatasetRejected):
    """The file has no rows."""


class MissingColumn(DatasetRejected):
    """A column is missing."""


class DuplicateColumn(DatasetRejected):
    """A column name stands twice."""


class TooManyColumns(DatasetRejected):
    """The file has too many columns."""


class UnbalancedQuote(DatasetRejected):
    """A quote is opened and never closed."""


class RaggedRow(DatasetRejected):
    """A row has more or fewer cells than the header."""


class CellTooLarge(DatasetRejected):
    """A cell is too large."""


class LineTooLarge(DatasetRejected):
    """A line is too long."""


class MalformedJsonLine(DatasetRejected):
    """A line is not JSON."""


class NotAnObject(DatasetRejected):
    """A line is not a JSON object."""


class MissingField(DatasetRejected):
    """A line lacks a field."""


class DuplicateKey(DatasetRejected):
    """An object has a key twice."""


class WrongType(DatasetRejected):
    """A field has the wrong type."""


class NulByte(DatasetRejected):
    """A cell holds a NUL byte."""


class NullLabel(DatasetRejected):
    """The label is missing."""


class NotANumber(DatasetRejected):
    """The label is no finite number."""


class InvalidLabel(DatasetRejected):
    """The label is not usable."""


class UnknownRow(DatasetRejected):
    """The dataset has no such row."""


class SingleClass(DatasetRejected):
    """There is only one label."""


class TooManyClasses(DatasetRejected):
    """There are too many labels for these rows."""


class UnseenLabel(DatasetRejected):
    """A held-out split has a label that train lacks."""


class ClassTooSmall(DatasetRejected):
    """A label has too few rows to stand in every split."""


class NearDuplicateLabels(DatasetRejected):
    """Labels look like variants of one."""


class ExactDuplicates(DatasetRejected):
    """Rows repeat others."""


class ConflictingDuplicates(DatasetRejected):
    """One text stands under several labels."""


class ConstantText(DatasetRejected):
    """All texts are the same."""


class Leakage(DatasetRejected):
    """A training text stands in a held-out split, too."""


class UntestedLabel(DatasetRejected):
    """No test row has the label."""


class ConfusableLabel(DatasetRejected):
    """A label holds characters that pass for others."""


class UnknownTokens(DatasetRejected):
    """The base model's vocabulary lacks much of these texts."""


class TextsTruncated(DatasetRejected):
    """Texts are longer than the base model takes."""


class PersonalData(DatasetRejected):
    """Texts hold personal data."""


class NearDuplicates(DatasetRejected):
    """A training text is nearly one of a held-out split."""


class InvalidTime(DatasetRejected):
    """A time can't be read."""


class UnreadableParquet(DatasetRejected):
    """The Parquet can't be read."""


class UnsupportedColumnType(DatasetRejected):
    """The column holds no text."""


class DecodedTooLarge(DatasetRejected):
    """The file unpacks to more than is read."""


class MixedLabelType(DatasetRejected):
    """The labels are numbers and strings."""


class BridgingRow(DatasetRejected):
    """A new row is like rows of two splits."""


class DatasetTooLarge(DatasetRejected):
    """The dataset is larger than allowed."""


class NoSuchLayer(JobFailed):
    """The base model has fewer layers."""


class UnusualLearningRate(JobFailed):
    """The learning rate is far from the usual one."""


class WarmupExceedsTraining(JobFailed):
    """The warm-up is longer than the run."""


class NonFiniteLoss(JobFailed):
    """The loss became NaN or infinite."""


class OutOfMemory(JobFailed):
    """Memory ran out."""


class CrashLoop(JobFailed):
    """The child died three times."""


class WorkerLost(JobFailed):
    """The child died."""


class Stalled(JobFailed):
    """The child made no progress."""


class CheckpointCorrupt(JobFailed):
    """A file is not what its manifest says."""


class ParityFailed(JobFailed):
    """The exported model answers otherwise than the trained one."""


class NeverAnswered(JobFailed):
    """Some labels are never answered."""


class ReusedTestSet(JobFailed):
    """The test rows have been looked at often."""


class JobError(JobFailed):
    """The job failed."""


class LoadTimeout(DeploymentFailed):
    """The model did not load in time."""


class LoadFailed(DeploymentFailed):
    """The model could not be loaded."""


class InsufficientCapacity(DeploymentFailed):
    """There is no memory for this model beside the others."""


class LabelSetChanged(DeploymentFailed):
    """It has other labels than what serves now."""


class CanaryFailed(DeploymentFailed):
    """The loaded model does not answer as it should."""

"""The engine wire: length-prefixed msgpack of tagged structs on a Unix socket.

A frame is four bytes, big-endian, and so many bytes of msgpack. A request has an `id` of its
sender's choosing; the answer to it is a stream of frames with that id, the last one `final`.
"""

import asyncio
from typing import Final

import msgspec

from tunery.types import (
    Abstain,
    Checkpoints,
    DatasetDiff,
    ErrorSort,
    EvaluatedRow,
    Hyperparameters,
    LabelIssue,
    PairedFigures,
    Parity,
    Prediction,
    Preview,
    RecipeChoice,
    Resolved,
    Row,
    Split,
    Task,
    TextInput,
)
from tunery_trainer.protocol.figures import EngineFigures

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024


class Message(msgspec.Struct, kw_only=True, frozen=True, tag_field="type"):
    """A request to an engine or the reader."""

    id: int


class Load(Message, kw_only=True, frozen=True, tag="load"):
    """Load a version: verify its manifest, compile, warm up, answer a canary."""

    version: str  # how answers name it
    model_dir: str
    manifest_sha256: str
    runtime: str  # "auto", or a runtime's name
    precision: str = "fp32"


class Predict(Message, kw_only=True, frozen=True, tag="predict"):
    """Answer texts. `timeout_ms` counts from the frame's arrival."""

    inputs: list[TextInput]
    first: int = 0  # how the caller counts the first of them
    top_k: int
    truncate: bool
    timeout_ms: int


class Cancel(Message, kw_only=True, frozen=True, tag="cancel"):
    """Forget the request `id`, if it still waits; there is no reply."""


class Retire(Message, kw_only=True, frozen=True, tag="retire"):
    """Finish what is held and answer Moved from now on. Replies Retired, then Drained."""


class Ping(Message, kw_only=True, frozen=True, tag="ping"):
    """Say how it is."""


class PreviewTexts(Message, kw_only=True, frozen=True, tag="preview"):
    """To the reader: show texts as a base model's tokenizer cuts them."""

    base_model: str
    version_dir: str | None = None  # where base_model is a version
    texts: list[TextInput]
    task: Task
    labels: list[str]  # of each text, as they are stored
    known: list[str]  # those of the dataset, in the order of the outputs
    max_length: int


class ReadRows(Message, kw_only=True, frozen=True, tag="read_rows"):
    """To the reader: rows of a split's Parquet file, in file order."""

    path: str
    offset: int
    limit: int


class ReadErrors(Message, kw_only=True, frozen=True, tag="read_errors"):
    """To the reader: rows of an evaluation's Parquet file; null filters nothing."""

    path: str
    true: str | None
    predicted: str | None
    right: bool  # also those that were answered right
    sort: ErrorSort
    offset: int
    limit: int


class ReadLabelIssues(Message, kw_only=True, frozen=True, tag="read_label_issues"):
    """To the reader: rows of a list of label issues, the worst first; null filters nothing."""

    path: str
    split: Split | None
    offset: int
    limit: int


class CompareEvaluations(Message, kw_only=True, frozen=True, tag="compare"):
    """To the reader: hold one evaluation's Parquet file against another one's, of the same rows."""

    task: Task
    one: str
    other: str


class SketchRows(Message, kw_only=True, frozen=True, tag="sketch_rows"):
    """To the reader: what a report shows of an evaluation's Parquet file."""

    path: str
    errors: int  # at most, the hardest first
    characters: int  # of a text, at most


class DiffDatasets(Message, kw_only=True, frozen=True, tag="diff"):
    """To the reader: compare two datasets, row by row."""

    before: str  # how the answer names it
    after: str
    before_dir: str
    after_dir: str
    task: Task = "text_classification"  # of both


class ForecastFinetune(Message, kw_only=True, frozen=True, tag="forecast"):
    """To the reader: forecast a fine-tune without its seconds."""

    task: Task
    base_model: str
    version_dir: str | None = None  # where base_model is a version
    train: str
    validation: str
    validation_carved: bool
    labels: list[str]
    recipe: RecipeChoice
    hyperparameters: Hyperparameters
    checkpoints: Checkpoints
    abstain: Abstain | None = None
    device: str  # "cpu" or "cuda"
    threads: int


class Reply(msgspec.Struct, kw_only=True, frozen=True, tag_field="type"):
    """A frame of an answer; `held_tokens` is the depth of the engine's queue."""

    id: int
    final: bool = True
    held_tokens: int = 0


class Loaded(Reply, kw_only=True, frozen=True, tag="loaded"):
    """The version answers."""

    runtime: str
    precision: str
    load_ms: float
    labels: list[str]
    parity: Parity | None = None  # against the golden answers, where it computes in less than fp32


class Answered(Reply, kw_only=True, frozen=True, tag="answered"):
    """Predictions in the order of the inputs."""

    version: str
    predictions: list[Prediction]


class Refused(Reply, kw_only=True, frozen=True, tag="refused"):
    """The request has no answer: `code` is one of the problem table."""

    code: str
    message: str


class Moved(Reply, kw_only=True, frozen=True, tag="moved"):
    """This engine is retired; ask the one that the route names now."""


class Retired(Reply, kw_only=True, frozen=True, tag="retired"):
    """From now on every request is answered Moved."""


class Drained(Reply, kw_only=True, frozen=True, tag="drained"):
    """Nothing is held any more."""


class Pong(Reply, kw_only=True, frozen=True, tag="pong"):
    """The engine, or the reader, lives; the reader counts nothing but what it has served."""

    served: int
    oldest_seconds: float = 0.0  # that the first of those who wait has waited
    resident_bytes: int = 0
    device_bytes: int = 0  # of a GPU's memory
    figures: EngineFigures | None = None


class Previewed(Reply, kw_only=True, frozen=True, tag="previewed"):
    """Texts as tokens."""

    preview: Preview


class RowsRead(Reply, kw_only=True, frozen=True, tag="rows_read"):
    """Rows of a split."""

    rows: list[Row]
    has_more: bool


class ErrorsRead(Reply, kw_only=True, frozen=True, tag="errors_read"):
    """Rows of an evaluation."""

    rows: list[EvaluatedRow]
    has_more: bool


class LabelIssuesRead(Reply, kw_only=True, frozen=True, tag="label_issues_read"):
    """Rows whose label is likely wrong."""

    issues: list[LabelIssue]
    has_more: bool
    total: int  # of those that were asked for, on all pages


class EvaluationsCompared(Reply, kw_only=True, frozen=True, tag="compared"):
    """How one evaluation does beside another one."""

    figures: PairedFigures


class OperatingPoint(msgspec.Struct, kw_only=True, frozen=True):
    """What is had of a model that answers only where it is sure enough."""

    score: float  # the least that is answered
    answered: float  # share of the rows
    precision: float  # right ones of those that are answered
    recall: float  # right ones of all rows


class Sketched(Reply, kw_only=True, frozen=True, tag="sketched"):
    """What a report shows of rows: `points` where answers have scores, else `numbers`."""

    errors: list[EvaluatedRow]
    wrong: int  # rows in all
    points: list[OperatingPoint]  # the largest score first
    numbers: list[tuple[float, float]]  # true and predicted, of a sample


class Diffed(Reply, kw_only=True, frozen=True, tag="diffed"):
    """What changed between two datasets."""

    diff: DatasetDiff


class Forecasted(Reply, kw_only=True, frozen=True, tag="forecasted"):
    """What a fine-tune would compute and hold."""

    resolved: dict[str, Resolved]
    rows: int  # of an epoch
    steps: int
    tokens: int  # with padding, of all steps and passes
    validations: int  # each with its checkpoint
    validation_tokens: int  # in all of them
    memory_bytes: int
    checkpoints: int  # kept at most
    checkpoint_bytes: int  # of the largest
    checkpoints_bytes: int  # of all that are kept
    version_bytes: int


AnyQuestion = (  # to the reader
    PreviewTexts
    | ReadRows
    | ReadErrors
    | ReadLabelIssues
    | CompareEvaluations
    | SketchRows
    | DiffDatasets
    | ForecastFinetune
)
AnyMessage = Load | Predict | Cancel | Retire | Ping | AnyQuestion
AnyReply = (
    Loaded
    | Answered
    | Refused
    | Moved
    | Retired
    | Drained
    | Pong
    | Previewed
    | RowsRead
    | ErrorsRead
    | LabelIssuesRead
    | EvaluationsCompared
    | Sketched
    | Diffed
    | Forecasted
)

_encoder = msgspec.msgpack.Encoder()
_messages: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)
_replies: msgspec.msgpack.Decoder[AnyReply] = msgspec.msgpack.Decoder(AnyReply)


class FrameTooLarge(Exception):
    """A frame is larger than the wire allows; its connection is closed."""


def encode(frame: AnyMessage | AnyReply) -> bytes:
    """Return the frame with its length before it."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(4, "big") + body


async def read_message(reader: asyncio.StreamReader) -> AnyMessage | None:
    """Return the next request, or None when the peer has closed.

    Raises:
        FrameTooLarge: the length says more than MAX_FRAME_BYTES.
        msgspec.DecodeError: the body is no message.
    """
    body = await _read_frame(reader)
    return None if body is None else _messages.decode(body)


async def read_reply(reader: asyncio.StreamReader) -> AnyReply | None:
    """Return the next reply, or None when the engine has closed. Raises like read_message."""
    body = await _read_frame(reader)
    return None if body is None else _replies.decode(body)


async def _read_frame(reader: asyncio.StreamReader) -> bytes | None:
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > MAX_FRAME_BYTES:
            raise FrameTooLarge(f"{length} bytes")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None

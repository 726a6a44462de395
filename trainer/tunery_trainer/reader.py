"""The reader: one process that answers what needs a tokenizer or a look into a dataset.

It keeps the tokenizers of a few base models and opens Parquet, so that the API needs neither.
Imports no torch.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from tunery.types import SPLITS, Preview, PreviewRow, Row, TextInput, TextPair
from tunery_trainer.dataset_diff import Place, compare
from tunery_trainer.failure import Refusal
from tunery_trainer.forecast import forecast
from tunery_trainer.protocol import wire
from tunery_trainer.protocol.events import ChildEvent, Listening
from tunery_trainer.protocol.recipes import SCRATCH_BASE
from tunery_trainer.protocol.specs import ReaderRun
from tunery_trainer.socket_server import Connection, following, serve
from tunery_trainer.tasks import task_named
from tunery_trainer.vocabulary import unknown_id_of

_MAX_TOKENIZERS = 8  # 10 to 50 MB each
_BATCH_ROWS = 8192  # read at once of a dataset that is compared
_log = logging.getLogger(__name__)


def run(spec: ReaderRun, emit: Callable[[ChildEvent], None], released: threading.Event) -> None:
    """Answer until the leash is let go."""
    asyncio.run(_serve(spec, emit, released))


class Reader:
    """The tokenizers, and one thread that uses them: a Tokenizer's truncation is its state."""

    def __init__(self, base_models: dict[str, str]) -> None:
        self._base_models = base_models
        self._cutter = functools.lru_cache(_MAX_TOKENIZERS)(self._load_cutter)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cut")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="slow")  # seconds: no preview waits
        self._answers: dict[tuple[Connection, int], asyncio.Task[None]] = {}
        self._served = 0

    def received(self, connection: Connection, message: wire.AnyMessage) -> None:
        """Answer a message, now or when its texts are cut."""
        match message:
            case (
                wire.PreviewTexts()
                | wire.ReadRows()
                | wire.ReadErrors()
                | wire.ReadLabelIssues()
                | wire.CompareEvaluations()
                | wire.SketchRows()
                | wire.DiffDatasets()
                | wire.ForecastFinetune()
            ):
                key = connection, message.id
                task = asyncio.get_running_loop().create_task(self._answer(connection, message))
                self._answers[key] = task
                task.add_done_callback(lambda _: self._answers.pop(key, None))
            case wire.Ping():
                connection.send(wire.Pong(id=message.id, served=self._served))
            case wire.Cancel():
                self._cancel(connection, message.id)
            case _:
                reason = "the reader has no model"
                connection.send(wire.Refused(id=message.id, code="bad-request", message=reason))

    def disconnected(self, connection: Connection) -> None:
        """Cancel what a peer that has gone was waiting for."""
        for peer, number in list(self._answers):
            if peer is connection:
                self._cancel(connection, number)

    def preview(self, message: wire.PreviewTexts) -> Preview:
        """Return texts as the base model's tokenizer cuts them.

        Raises:
            Refusal: there is no such base model, or it has no tokenizer of its own.
        """
        cutter = self._cutter(message.base_model, message.version_dir)
        encodings = cutter.cut(message.texts, message.max_length)
        task, places = task_named(message.task), {each: i for i, each in enumerate(message.known)}
        ids = [[places[each] for each in task.labels_of(cell)] for cell in message.labels]
        rows = [
            PreviewRow(
                text=text.text if isinstance(text, TextPair) else text,
                text_pair=text.text_pair if isinstance(text, TextPair) else None,
                label=label,
                label_id=label_ids[0] if label_ids else 0,
                label_ids=label_ids,
                tokens=encoding.tokens,
                truncated=bool(encoding.overflowing),
                unknown=cutter.unknown_in(encoding),
            )
            for text, label, label_ids, encoding in zip(
                message.texts, message.labels, ids, encodings, strict=True
            )
        ]
        # [CLS] and [SEP] stand in every row; they would hide that a short text is all unknown.
        words = sum(encoding.special_tokens_mask.count(0) for encoding in encodings)
        return Preview(
            base_model=message.base_model,
            max_length=message.max_length,
            rows=rows,
            unknown_share=min(1.0, sum(row.unknown for row in rows) / max(1, words)),
        )

    async def _answer(self, connection: Connection, message: wire.AnyQuestion) -> None:
        loop = asyncio.get_running_loop()
        slow = isinstance(
            message,
            wire.CompareEvaluations | wire.SketchRows | wire.DiffDatasets | wire.ForecastFinetune,
        )
        thread = self._slow if slow else self._thread
        reply: wire.AnyReply
        try:
            reply = await loop.run_in_executor(thread, self._reply_to, message)
            self._served += 1
        except Refusal as refusal:
            reply = wire.Refused(id=message.id, code=refusal.code, message=refusal.message)
        except FileNotFoundError:
            evaluated = isinstance(
                message, wire.ReadErrors | wire.CompareEvaluations | wire.SketchRows
            )
            gone = "evaluation" if evaluated else "dataset"
            reason = f"the rows of the {gone} were deleted"
            reply = wire.Refused(id=message.id, code=f"{gone}-not-found", message=reason)
        except Exception:
            _log.exception("a question failed")
            reason = "the rows can't be read; see the reader's log"
            reply = wire.Refused(id=message.id, code="internal-error", message=reason)
        connection.send(reply)

    def _reply_to(self, message: wire.AnyQuestion) -> wire.AnyReply:
        if isinstance(message, wire.PreviewTexts):
            return wire.Previewed(id=message.id, preview=self.preview(message))
        if isinstance(message, wire.DiffDatasets):
            before = functools.partial(places, Path(message.before_dir))
            after = functools.partial(places, Path(message.after_dir))
            labels_of = task_named(message.task).labels_of
            diff = compare(message.before, message.after, before, after, labels_of)
            return wire.Diffed(id=message.id, diff=diff)
        if isinstance(message, wire.ForecastFinetune):
            return forecast(message, self._directory(message.base_model, message.version_dir))
        if isinstance(message, wire.ReadErrors):
            from tunery_trainer.evaluate import stored_rows  # pyarrow, as below

            found, has_more = stored_rows.read(Path(message.path), message)
            return wire.ErrorsRead(id=message.id, rows=found, has_more=has_more)
        if isinstance(message, wire.ReadLabelIssues):
            from tunery_trainer.label_issues import stored_issues

            return stored_issues.read(Path(message.path), message)
        if isinstance(message, wire.CompareEvaluations):
            from tunery_trainer.evaluate.comparison import compare as compare_evaluations

            task = task_named(message.task)
            figures = compare_evaluations(task, Path(message.one), Path(message.other))
            return wire.EvaluationsCompared(id=message.id, figures=figures)
        if isinstance(message, wire.SketchRows):
            from tunery_trainer.evaluate.sketch import sketched

            return sketched(message)
        rows = read_rows(Path(message.path), message.offset, message.limit + 1)
        shown = rows[: message.limit]
        return wire.RowsRead(id=message.id, rows=shown, has_more=len(rows) > message.limit)

    def _cancel(self, connection: Connection, number: int) -> None:
        task = self._answers.get((connection, number))
        if task is not None:
            task.cancel()

    def _directory(self, base_model: str, version_dir: str | None) -> Path:
        if version_dir is not None:
            return Path(version_dir)
        if base_model == SCRATCH_BASE:
            raise Refusal("unknown-base-model", f"{base_model} has no tokenizer before training")
        if base_model not in self._base_models:
            raise Refusal("unknown-base-model", f"there is no base model {base_model!r}")
        return Path(self._base_models[base_model])

    def _load_cutter(self, base_model: str, version_dir: str | None) -> "_Cutter":
        path = self._directory(base_model, version_dir) / "tokenizer.json"
        if not path.is_file():
            raise Refusal("unknown-base-model", f"{base_model!r} has no tokenizer before training")
        return _Cutter(path)


def read_rows(path: Path, offset: int, limit: int) -> list[Row]:
    """Return rows of a split's Parquet file; only the row groups that hold them are read."""
    from pyarrow import parquet  # 60 MB: only once somebody looks into a dataset

    file = parquet.ParquetFile(path)
    found: list[Row] = []
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if offset < size and len(found) < limit:
            table = file.read_row_group(group).slice(offset, limit - len(found))
            found += [Row(**row) for row in table.to_pylist()]
        offset = max(0, offset - size)
    return found


def places(directory: Path) -> Iterator[tuple[str, Place]]:
    """Yield each row of a dataset as its text, its label and its split; a NUL parts a pair."""
    from pyarrow import parquet

    for split in SPLITS:
        file = parquet.ParquetFile(directory / f"{split}.parquet")
        pairs = "text_pair" in file.schema_arrow.names
        names = ["text", *(["text_pair"] if pairs else []), "label"]
        for batch in file.iter_batches(_BATCH_ROWS, columns=names):
            for *texts, label in zip(*(column.to_pylist() for column in batch), strict=True):
                yield "\0".join(texts), Place(label, split)


class _Cutter:
    """A tokenizer, and which id it gives to what its vocabulary lacks."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._unknown_id = unknown_id_of(path, self._tokenizer)

    def unknown_in(self, encoding: Encoding) -> int:
        return 0 if self._unknown_id is None else encoding.ids.count(self._unknown_id)

    def cut(self, texts: Sequence[TextInput], max_length: int) -> list[Encoding]:
        self._tokenizer.enable_truncation(max_length)
        return self._tokenizer.encode_batch(
            [(each.text, each.text_pair) if isinstance(each, TextPair) else each for each in texts]
        )


async def _serve(
    spec: ReaderRun, emit: Callable[[ChildEvent], None], released: threading.Event
) -> None:
    reader = Reader(spec.base_models)
    await serve(
        Path(spec.socket),
        reader,
        on_listening=lambda: emit(Listening()),
        stop=following(released),
    )

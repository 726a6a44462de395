"""The reader on a real socket, with a tokenizer from a word list."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.trainer.wire_client import WireClient
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tunery.types import SPLITS, Preview, PreviewRow
from tunery_trainer import reader
from tunery_trainer.protocol import wire
from tunery_trainer.protocol.specs import ReaderRun

WORDS = ["[UNK]", "[CLS]", "[SEP]", "i", "lost", "my", "card"]


def write_tokenizer(directory: Path) -> None:
    directory.mkdir()
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[WireClient]:
    write_tokenizer(tmp_path / "words")
    (tmp_path / "scratch").mkdir()
    spec = ReaderRun(
        work_dir=str(tmp_path),
        socket=str(tmp_path / "s" / "reader.sock"),
        base_models={"words": str(tmp_path / "words"), "scratch": str(tmp_path / "scratch")},
        reads=[str(tmp_path)],
    )
    released, listening = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=reader.run, args=(spec, lambda _: listening.set(), released), daemon=True
    )
    thread.start()
    assert listening.wait(20)
    with WireClient(Path(spec.socket)) as connection:
        yield connection
    released.set()
    thread.join(20)
    assert not thread.is_alive()


def write_dataset(directory: Path, **texts: list[str]) -> str:
    directory.mkdir()
    for split in SPLITS:
        rows = texts.get(split, [])
        columns = {"line": range(2, len(rows) + 2), "text": rows, "label": ["a"] * len(rows)}
        schema = pa.schema([("line", pa.int64()), ("text", pa.string()), ("label", pa.string())])
        parquet.write_table(pa.table(columns, schema=schema), directory / f"{split}.parquet")
    return str(directory)


def preview(*texts: str, base_model: str = "words", max_length: int = 6) -> wire.PreviewTexts:
    return wire.PreviewTexts(
        id=4,
        base_model=base_model,
        texts=list(texts),
        labels=["lost"] * len(texts),
        task="text_classification",
        known=[*map(str, range(41)), "lost"],
        max_length=max_length,
    )


def test_preview_shows_tokens_truncation_and_what_the_vocabulary_lacks(client):
    reply = client.ask(preview("I lost my Karte", "i lost my card my card"))

    assert reply == wire.Previewed(
        id=4,
        preview=Preview(
            base_model="words",
            max_length=6,
            rows=[
                PreviewRow(
                    text="I lost my Karte",
                    label="lost",
                    label_id=41,
                    label_ids=[41],
                    tokens=["[CLS]", "i", "lost", "my", "[UNK]", "[SEP]"],
                    truncated=False,
                    unknown=1,
                ),
                PreviewRow(
                    text="i lost my card my card",
                    label="lost",
                    label_id=41,
                    label_ids=[41],
                    tokens=["[CLS]", "i", "lost", "my", "card", "[SEP]"],
                    truncated=True,
                    unknown=0,
                ),
            ],
            unknown_share=0.125,
        ),
    )


def test_preview_follows_the_length_that_each_request_asks_for(client):
    short = client.ask(preview("i lost my card", max_length=3))
    long = client.ask(preview("i lost my card", max_length=64))

    assert short.preview.rows[0].tokens == ["[CLS]", "i", "[SEP]"]
    assert long.preview.rows[0].tokens == ["[CLS]", "i", "lost", "my", "card", "[SEP]"]


def test_preview_of_nothing_is_empty(client):
    assert client.ask(preview()).preview.rows == []


@pytest.mark.parametrize(
    ("base_model", "message"),
    [
        ("nobody", "there is no base model 'nobody'"),
        ("scratch", "'scratch' has no tokenizer before training"),
    ],
)
def test_base_model_without_a_tokenizer_is_refused(client, base_model, message):
    assert client.ask(preview("i", base_model=base_model)) == wire.Refused(
        id=4, code="unknown-base-model", message=message
    )


def test_preview_that_makes_no_sense_is_refused_and_the_reader_lives_on(client):
    message = msgspec.structs.replace(preview("i"), labels=[])

    assert client.ask(message).code == "internal-error"
    assert client.ask(wire.Ping(id=5)) == wire.Pong(id=5, served=0)


def test_prediction_is_refused(client):
    message = wire.Predict(id=6, inputs=["i"], top_k=1, truncate=True, timeout_ms=1000)

    assert client.ask(message).code == "bad-request"


def test_datasets_are_compared_split_by_split(client, tmp_path):
    before = write_dataset(tmp_path / "before", train=["same", "moved"], test=["gone"])
    after = write_dataset(tmp_path / "after", train=["same"], validation=["moved"])
    message = wire.DiffDatasets(
        id=7, before="ds_1", after="ds_2", before_dir=before, after_dir=after
    )

    diff = client.ask(message).diff

    assert (diff.before, diff.after) == ("ds_1", "ds_2")
    assert (diff.unchanged, diff.moved.rows, diff.removed.rows, diff.added.rows) == (1, 1, 1, 0)
    assert diff.moved.examples[0].split_after == "validation"
    assert [(shift.before, shift.after) for shift in diff.labels] == [(3, 2)]


def test_dataset_that_was_deleted_meanwhile_is_not_compared(client, tmp_path):
    before = write_dataset(tmp_path / "before", train=["x"])
    message = wire.DiffDatasets(
        id=8, before="ds_1", after="ds_2", before_dir=before, after_dir=str(tmp_path / "gone")
    )

    assert client.ask(message).code == "dataset-not-found"

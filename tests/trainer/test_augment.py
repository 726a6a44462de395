"""What training adds to its rows, and hides of them."""

from functools import partial

import pytest
import torch
from tests.trainer.tiny_model import LABELS, Bench, of_kind, write_rows

from tunery.types import Hyperparameters
from tunery_trainer.augment import TokenDropout
from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.data import Batch, TokenCache
from tunery_trainer.label_names import names_of
from tunery_trainer.protocol.events import (
    CheckpointSaved,
    HyperparametersResolved,
    MetricLogged,
)
from tunery_trainer.tasks import task_named
from tunery_trainer.tasks.text_classification import TextClassification

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["card_arrival", "top-up"], ["card arrival", "top up"]),
        (["cardArrival", "Refund not showing up"], ["card Arrival", "Refund not showing up"]),
        (["billing/fees", "a.b.loan"], ["billing fees", "a b loan"]),
        (["是的", "否"], ["是的", "否"]),
        (["1", "0"], None),
        (["card_arrival", "B2"], None),
        (["<b>", "no"], None),
    ],
)
def test_labels_become_texts(labels: list[str], names: list[str] | None) -> None:
    assert names_of(labels) == names


def dropout_of(bench: Bench, share: float) -> TokenDropout:
    facts = BaseFacts(bench.base)
    return TokenDropout(share, mask_id=facts.mask_id, special_ids=facts.special_ids, device=CPU)


def batch(rows: int = 400) -> Batch:
    ids = torch.tensor([[2, 7, 8, 9, 10, 11, 3, 0]]).repeat(rows, 1)
    return Batch(ids, (ids > 0).long(), torch.zeros(rows, dtype=torch.int64))


def test_a_share_of_the_words_is_masked_and_nothing_else(bench: Bench) -> None:
    torch.manual_seed(0)
    given = batch()

    found = dropout_of(bench, 0.3)(given)

    hidden = found.input_ids != given.input_ids
    assert set(found.input_ids[hidden].tolist()) == {1}  # [UNK], as this tokenizer has no mask
    assert not hidden[:, [0, 6]].any()  # [CLS] and [SEP]
    assert hidden[:, 1:6].float().mean() == pytest.approx(0.3, abs=0.05)
    assert torch.equal(found.attention_mask, given.attention_mask)
    assert given.input_ids[0].tolist() == [2, 7, 8, 9, 10, 11, 3, 0]


def test_masks_follow_torchs_random_state(bench: Bench) -> None:
    dropout = dropout_of(bench, 0.3)
    torch.manual_seed(1)
    first, second = dropout(batch()).input_ids, dropout(batch()).input_ids
    torch.manual_seed(1)

    assert torch.equal(dropout(batch()).input_ids, first)
    assert not torch.equal(first, second)


def test_no_share_draws_no_random_number(bench: Bench) -> None:
    dropout = dropout_of(bench, 0.0)
    state = torch.get_rng_state()

    given = batch()

    assert dropout(given) is given
    assert torch.equal(torch.get_rng_state(), state)


def test_names_and_validation_rows_are_trained_on(bench: Bench) -> None:
    asked = Hyperparameters(epochs=2, batch_size=16, learning_rate=5e-3, label_names=True)
    counts = []
    for validation in (False, True):
        each = Hyperparameters(
            **{name: getattr(asked, name) for name in asked.__struct_fields__}
            | {"train_on_validation": validation}
        )
        events = bench.run(bench.spec(f"work-{validation}", hyperparameters=each))
        counts.append(of_kind(events, CheckpointSaved)[-1].step)
        figures = {name for event in of_kind(events, MetricLogged) for name in event.values}
        assert ("validation_loss" in figures) is not validation

    # 90 rows and 3 names in batches of 16; then with 21 validation rows.
    assert counts == [2 * 6, 2 * 8]


def test_names_stand_behind_the_rows_under_their_labels(bench: Bench) -> None:
    task = task_named("text_classification")
    encoder = task.encoder(bench.base, 64)
    cache = TokenCache(
        bench.directory / "cache",
        encoder=encoder,
        tokenizer_file=bench.base / "tokenizer.json",
        positions=64,
        dataset_fingerprint="sha256:1",
        targets=partial(TextClassification().targets, labels=LABELS),
    )
    rows = cache.load(bench.train, "train", lambda: None)

    joined = rows.joined(cache.texts(LABELS, LABELS))

    assert joined.labels.tolist() == [*rows.labels.tolist(), 0, 1, 2]
    assert joined.ids([90, 91, 92], 64) == encoder(LABELS).ids
    assert joined.ids(range(90), 64) == rows.ids(range(90), 64)
    tokens = [token for ids in joined.ids(range(93), 64) for token in ids]
    assert joined.share_of(5) == tokens.count(5) / len(tokens) > 0


def test_few_rows_of_a_class_are_few_shot(bench: Bench) -> None:
    few = write_rows(bench.directory / "few.parquet", 30)
    events = bench.run(
        bench.spec(train=str(few), hyperparameters=Hyperparameters(epochs=1, max_length=16))
    )

    [event] = of_kind(events, HyperparametersResolved)
    assert event.resolved["recipe"].value == "few_shot"
    assert event.resolved["label_names"].value is True
    assert event.resolved["token_dropout"].source == "auto:few_shot"

"""What `auto` becomes, and that the job can say why."""

import numpy as np
import pytest

from tunery.types import EarlyStopping, Hyperparameters, RecipeChoice, Resolved
from tunery_trainer.failure import Failure
from tunery_trainer.hyperparameters import Circumstances, resolve, settle


def circumstances(rows: int = 9000, tokens: int = 20, **changes: object) -> Circumstances:
    facts: dict[str, object] = {
        "lengths": np.full(rows, tokens, dtype=np.int32),
        "positions": 512,
        "class_counts": np.full(77, rows // 77),
        "hidden_size": 384,
        "layers": 6,
        "validation_rows": 1000,
        "validation_carved": True,
        "has_mask": True,
        "labels_are_words": True,
        "dropout": 0.1,
        "unknown_share": 0.01,
        "on_cpu": True,
        "has_bf16": False,
        "threads": 2,
    }
    return Circumstances(**(facts | changes))


def resolved_of(
    asked: Hyperparameters, found: Circumstances, recipe: RecipeChoice = "auto"
) -> dict[str, Resolved]:
    return resolve(asked, recipe, found)[0]


def test_minilm_on_nine_thousand_rows() -> None:
    resolved = resolved_of(Hyperparameters(), circumstances())

    assert {name: (entry.value, entry.source) for name, entry in resolved.items()} == {
        "recipe": ("balanced", "auto:many-rows"),
        "learning_rate": (1e-4, "auto:encoder-small"),
        "head_learning_rate": (1e-3, "auto:10x-learning-rate"),
        "batch_size": (32, "auto:rows"),
        "epochs": (4, "auto:rows"),
        "max_steps": (None, "default"),
        "max_minutes": (None, "default"),
        "scheduler": ("linear", "default"),
        "warmup": (0.1, "default"),
        "optimizer": ("adamw", "default"),
        "momentum": (0.9, "default"),
        "layerwise_lr_decay": (1.0, "auto:shallow"),
        "linear_probe": (False, "auto:off"),
        "label_names": (False, "auto:off"),
        "train_on_validation": (False, "auto:off"),
        "refit": (True, "auto:carved-validation"),
        "seeds": (1, "auto:off"),
        "rdrop": (0.0, "auto:off"),
        "token_dropout": (0.0, "auto:off"),
        "freeze": (["embeddings"], "auto:known-tokens-on-cpu"),
        "peft": (None, "default"),
        "reinit_top_layers": (0, "default"),
        "imbalance": ("none", "auto:ratio-below-3"),
        "gradient_checkpointing": (False, "auto:small-model"),
        "weight_decay": (0.01, "default"),
        "max_grad_norm": (1.0, "default"),
        "label_smoothing": (0.1, "auto:many-labels"),
        "dropout": (0.1, "auto:base-model"),
        "max_length": (24, "auto:p99-tokens"),
        "gradient_accumulation_steps": (1, "auto:tokens"),
        "precision": ("fp32", "auto:device"),
        "on_non_finite": ("stop", "default"),
        "seed": (42, "default"),
        "early_stopping": (
            {"metric": "macro_f1", "patience": 3, "min_delta": 0.0},
            "default",
        ),
        "threads": (2, "default"),
    }


RECIPES_OF_TIME: tuple[RecipeChoice, ...] = ("best", "fast")
FEW = {"class_counts": np.full(77, 10), "rows": 770}


@pytest.mark.parametrize(
    ("recipe", "found", "expected"),
    [
        ("balanced", {}, {"epochs": 4, "rdrop": 0.0, "learning_rate": 1e-4}),
        ("fast", {}, {"epochs": 1, "linear_probe": True, "learning_rate": 1e-4}),
        ("best", {}, {"epochs": 4, "rdrop": 4.0, "linear_probe": True, "learning_rate": 2e-4}),
        (
            "auto",
            FEW,
            {
                "recipe": "few_shot",
                "epochs": 20,
                "batch_size": 16,
                "learning_rate": 2e-5,
                "label_names": True,
                "train_on_validation": True,
                "token_dropout": 0.3,
                "label_smoothing": 0.0,
            },
        ),
        ("balanced", FEW, {"recipe": "balanced", "epochs": 10, "label_names": False}),
        ("few_shot", FEW | {"labels_are_words": False}, {"label_names": False, "rdrop": 4.0}),
    ],
)
def test_a_recipe_decides_what_was_left_out(
    recipe: RecipeChoice, found: dict, expected: dict
) -> None:
    resolved = resolved_of(Hyperparameters(), circumstances(**found), recipe)

    assert {name: resolved[name].value for name in expected} == pytest.approx(expected)


def test_what_the_user_sets_goes_before_the_recipe() -> None:
    asked = Hyperparameters(rdrop=0.0, epochs=2)

    resolved = resolved_of(asked, circumstances(), "best")

    assert (resolved["rdrop"].value, resolved["rdrop"].source) == (0.0, "user")
    assert resolved["epochs"].value == 2
    assert resolved["linear_probe"].source == "auto:best"
    assert resolved["learning_rate"].source == "auto:encoder-small-best"


def test_many_rows_are_not_few_shot_however_they_lie() -> None:
    counts = np.array([10] * 60 + [5000] * 40)

    resolved = resolved_of(Hyperparameters(), circumstances(int(counts.sum()), class_counts=counts))

    assert (resolved["recipe"].value, resolved["epochs"].value) == ("balanced", 1)


@pytest.mark.parametrize(
    "asked",
    [
        Hyperparameters(early_stopping=EarlyStopping(metric="loss")),
        Hyperparameters(scheduler="reduce_on_plateau"),
    ],
)
def test_what_needs_validation_keeps_it(asked: Hyperparameters) -> None:
    resolved = resolved_of(asked, circumstances(**FEW))

    assert resolved["recipe"].value == "few_shot"
    assert resolved["train_on_validation"].value is False


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        ({}, {}, (True, "auto:carved-validation")),
        ({}, {"validation_carved": False}, (False, "auto:validation-given")),
        ({}, {"rows": 20_000}, (False, "auto:many-rows")),
        ({}, {"validation_rows": 0}, (False, "auto:no-validation-rows")),
        ({"max_steps": 9}, {}, (False, "auto:bounded-run")),
        ({"max_minutes": 9.0}, {}, (False, "auto:bounded-run")),
        ({"early_stopping": None}, {}, (False, "auto:bounded-run")),
        ({"refit": True, "max_minutes": 9.0}, {"validation_carved": False}, (True, "user")),
        ({"refit": True, "scheduler": "reduce_on_plateau"}, {}, (False, "auto:reduce-on-plateau")),
        ({"refit": True}, FEW, (False, "auto:no-validation-rows")),  # all rows are trained on
    ],
)
def test_a_refit_is_for_few_rows_that_tunery_held_back(
    asked: dict, found: dict, expected: tuple
) -> None:
    refit = resolved_of(Hyperparameters(**asked), circumstances(**found))["refit"]

    assert (refit.value, refit.source) == expected


def test_best_trains_three_seeds_and_fast_refits_nothing() -> None:
    best, fast = (resolved_of(Hyperparameters(), circumstances(), each) for each in RECIPES_OF_TIME)

    assert (best["seeds"].value, best["refit"].value) == (3, True)
    assert (fast["seeds"].value, fast["refit"].value) == (1, False)


def test_steps_count_the_rows_that_are_added() -> None:
    asked = Hyperparameters(scheduler="step")

    resolved = resolved_of(asked, circumstances(**FEW, validation_rows=115))

    # 770 rows, 115 of validation, 77 names: 61 steps a pass, 20 passes, a third of them.
    assert resolved["scheduler"].value == {"name": "step", "step_size": 407, "gamma": 0.1}


def test_without_a_mask_no_token_is_hidden() -> None:
    asked = Hyperparameters(token_dropout=0.5)

    resolved = resolved_of(asked, circumstances(has_mask=False))

    assert resolved["token_dropout"].value == 0.0
    assert resolved["token_dropout"].source == "auto:no-mask-token"


def test_two_passes_without_dropout_are_one() -> None:
    resolved = resolved_of(Hyperparameters(dropout=0.0), circumstances(), "best")

    assert (resolved["rdrop"].value, resolved["rdrop"].source) == (0.0, "auto:no-dropout")


@pytest.mark.parametrize(
    "changes", [{"unknown_share": 0.66}, {"unknown_share": None}, {"on_cpu": False}]
)
def test_embeddings_learn_where_there_is_something_to_learn(changes: dict) -> None:
    assert resolved_of(Hyperparameters(), circumstances(**changes))["freeze"].value == []


def test_names_that_say_nothing_are_no_rows() -> None:
    resolved = resolved_of(Hyperparameters(label_names=True), circumstances(labels_are_words=False))

    assert resolved["label_names"].value is False
    assert resolved["label_names"].source == "auto:labels-are-no-words"


def test_two_passes_need_twice_the_memory() -> None:
    asked = Hyperparameters(max_length=512, batch_size=64, rdrop=1.0)

    resolved = resolved_of(asked, circumstances())

    assert resolved["gradient_accumulation_steps"].value == 4


def test_what_the_user_sets_stays() -> None:
    asked = Hyperparameters(learning_rate=1e-5, batch_size=7, epochs=1, max_length=100)

    resolved = resolved_of(asked, circumstances())

    assert resolved["learning_rate"].value == 1e-5
    assert resolved["learning_rate"].source == "user"
    assert resolved["head_learning_rate"].value == pytest.approx(1e-4)
    settings = settle(resolved)
    assert (settings.batch_size, settings.epochs, settings.max_length) == (7, 1, 100)


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size"),
    [(10, 20, 10), (499, 20, 16), (500, 10, 16), (2000, 8, 32), (49_999, 4, 32), (60_000, 2, 64)],
)
def test_few_rows_get_more_epochs(rows: int, epochs: int, batch_size: int) -> None:
    resolved = resolved_of(Hyperparameters(), circumstances(rows), "balanced")

    assert (resolved["epochs"].value, resolved["batch_size"].value) == (epochs, batch_size)


@pytest.mark.parametrize(
    ("hidden_size", "layers", "rate"),
    [
        (32, 2, 5e-4),
        (384, 6, 1e-4),
        (384, 12, 1e-4),
        (768, 6, 5e-5),
        (768, 12, 2e-5),
        (1024, 24, 1e-5),
    ],
)
def test_larger_encoders_learn_slower(hidden_size: int, layers: int, rate: float) -> None:
    resolved = resolved_of(Hyperparameters(), circumstances(hidden_size=hidden_size, layers=layers))

    assert resolved["learning_rate"].value == rate


def test_length_covers_all_but_one_text_in_a_hundred() -> None:
    lengths = np.full(1000, 10, dtype=np.int32)
    lengths[:9] = 500
    lengths[9:20] = 30

    resolved = resolved_of(Hyperparameters(), circumstances(lengths=lengths))

    assert resolved["max_length"].value == 32


def test_length_is_capped() -> None:
    resolved = resolved_of(Hyperparameters(), circumstances(tokens=500))

    assert resolved["max_length"].value == 256


def test_long_texts_in_large_batches_are_split() -> None:
    asked = Hyperparameters(max_length=512, batch_size=128)

    resolved = resolved_of(asked, circumstances())

    assert resolved["gradient_accumulation_steps"].value == 4


def test_length_beyond_the_model_is_a_failure() -> None:
    with pytest.raises(Failure, match="512 positions") as raised:
        resolved_of(Hyperparameters(max_length=600), circumstances())

    assert raised.value.code == "max-length-exceeds-model"


def test_max_steps_decide_the_epochs() -> None:
    resolved = resolved_of(Hyperparameters(max_steps=300), circumstances(rows=3200))

    assert (resolved["epochs"].value, resolved["epochs"].source) == (3, "auto:max_steps")


@pytest.mark.parametrize(
    ("fewest", "imbalance"),
    [(500, "none"), (200, "class_weights"), (50, "class_weights_and_sampling")],
)
def test_uneven_classes_are_weighed(fewest: int, imbalance: str) -> None:
    counts = np.array([1000, fewest, 0])

    resolved = resolved_of(Hyperparameters(), circumstances(class_counts=counts))

    assert resolved["imbalance"].value == imbalance


@pytest.mark.parametrize("rate", [1e-3, 1e-5])
def test_an_unusual_rate_is_run_and_told(rate: float) -> None:
    resolved, advice = resolve(Hyperparameters(learning_rate=rate), "auto", circumstances())

    assert resolved["learning_rate"].value == rate
    assert [each.code for each in advice] == ["unusual-learning-rate"]
    assert "10 times" in advice[0].message


def test_a_warm_up_that_outlasts_the_run_is_shortened_and_told() -> None:
    resolved, advice = resolve(Hyperparameters(warmup=500, max_steps=50), "auto", circumstances())

    assert resolved["warmup"].value == 5
    assert [each.code for each in advice] == ["warmup-exceeds-training"]


def test_layers_that_are_not_there_cannot_be_frozen() -> None:
    with pytest.raises(Failure, match="6 layers"):
        resolve(Hyperparameters(freeze=["embeddings", 6]), "auto", circumstances())


def test_few_labels_keep_hard_targets() -> None:
    resolved = resolved_of(Hyperparameters(), circumstances(class_counts=np.full(6, 1500)))

    assert (resolved["label_smoothing"].value, resolved["label_smoothing"].source) == (
        0.0,
        "auto:few-labels",
    )

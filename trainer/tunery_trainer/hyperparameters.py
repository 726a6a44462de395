"""Hyperparameters: what `auto` becomes, by rules that the job echoes by name.

Owns the arithmetic of the rules that protocol/recipes.py states. Knows no tensors: rows, lengths
and the base model's dimensions decide.
"""

import math
from typing import Any, Literal, NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunery.types import (
    Abstain,
    EarlyStopping,
    Hyperparameters,
    Imbalance,
    Lora,
    Optimizer,
    PlateauSchedule,
    Precision,
    RecipeChoice,
    RecipeName,
    Resolved,
    StepSchedule,
    Task,
)
from tunery_trainer.failure import Failure
from tunery_trainer.parent import Parent
from tunery_trainer.protocol.applicability import OFF, unfit, unfit_abstention
from tunery_trainer.protocol.metrics import chosen_by, usual_metric
from tunery_trainer.protocol.recipes import FEW_ROWS, FEW_ROWS_IN_ALL, RECIPES

MAX_LENGTH_CAP = 256  # tokens; more is the user's choice, since attention grows with its square
MICRO_BATCH_TOKENS = 16_384  # padded, of one forward pass; activations of MiniLM fit in 2 GB
HEAD_MULTIPLIER = 10.0
LORA_MULTIPLIER = 10.0  # adapters begin at nothing; Thinking Machines 2025, "LoRA Without Regret"
SGD_MULTIPLIER = 100.0  # its steps are as small as the gradient; Adam's are not
MANY_LABELS = 20  # from here on, labels overlap, and a hard target is learned by heart
SMOOTHING = 0.1
DEEP_LAYERS = 7  # from here on, lower layers take lower rates
LAYER_DECAY = 0.95
UNEVEN, VERY_UNEVEN = 3.0, 10.0  # rows of the largest class over those of the smallest
UNUSUAL_RATE = 10.0  # times the rule's rate, or a tenth of it and less
UNKNOWN = 0.05  # of the tokens, from which on the embeddings have something to learn
MANY_ROWS = 20_000  # of training, from which on a tenth more is worth little
HUGE = 24 * 1024  # layers times hidden size, from which on activations are not kept

Schedule = Literal["linear", "cosine", "constant", "inverse_sqrt"] | StepSchedule | PlateauSchedule


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """Every hyperparameter as a number: what the recipe reads."""

    learning_rate: float
    head_learning_rate: float
    batch_size: int
    epochs: int
    max_steps: int | None
    max_minutes: float | None
    scheduler: Schedule
    warmup: float
    optimizer: Optimizer
    momentum: float
    layerwise_lr_decay: float
    linear_probe: bool
    label_names: bool
    train_on_validation: bool
    refit: bool
    seeds: int
    rdrop: float
    token_dropout: float
    freeze: list[Literal["embeddings"] | int]
    peft: Lora | None
    reinit_top_layers: int
    imbalance: Imbalance
    gradient_checkpointing: bool
    weight_decay: float
    max_grad_norm: float
    label_smoothing: float
    dropout: float
    max_length: int
    gradient_accumulation_steps: int
    precision: Precision
    on_non_finite: Literal["stop", "rollback"]
    seed: int
    early_stopping: EarlyStopping | None
    threads: int


class Circumstances(msgspec.Struct, kw_only=True, frozen=True):
    """What the rules look at."""

    task: Task = "text_classification"
    lengths: NDArray[np.int32]  # tokens of the training rows, cut at `positions`
    positions: int
    class_counts: NDArray[np.int64]  # training rows of each label
    validation_rows: int
    validation_carved: bool  # by tunery, out of the rows that were meant for training
    has_mask: bool  # a token that can hide another
    labels_are_words: bool  # so that they can stand as texts
    pairs: bool = False  # of texts, beside which a label can't stand
    hidden_size: int
    layers: int
    dropout: float
    added_rows: int = 0  # of each pass, beside the training rows
    parent: Parent | None = None  # where a version is fine-tuned
    primary_metric: str | None = None  # that was asked for
    abstain: Abstain | None = None
    unknown_share: float | None  # of the training tokens, 0..1; null where none is unknown
    on_cpu: bool
    has_bf16: bool  # whether the device is one where bf16 is faster and safe
    threads: int


class Advice(NamedTuple):
    """What is unusual about the hyperparameters: a problem code, and why."""

    code: str
    message: str


def resolve(
    asked: Hyperparameters, recipe: RecipeChoice, found: Circumstances
) -> tuple[dict[str, Resolved], list[Advice]]:
    """Return the value of every hyperparameter and where it comes from, and what is unusual.

    The recipe stands among them: its choices go before the rules for all (protocol/recipes.py).

    Raises:
        Failure: max_length is more than the model's positions, a layer is none of the model's, a
            hyperparameter is not for the task, or validation rows can't show when to abstain.
    """
    for each in unfit(found.task, recipe, asked):
        raise Failure("not-for-task", each.message)
    if found.abstain is not None:
        unmet = unfit_abstention(found.task, found.abstain, found.validation_rows, asked)
        if unmet is not None:
            raise Failure(*unmet)
    rows = len(found.lengths) + found.added_rows
    default = Hyperparameters()
    resolved = {"recipe": _recipe(recipe, found.class_counts)}
    chosen = cast(RecipeName, resolved["recipe"].value)
    for name in asked.__struct_fields__:
        value = getattr(asked, name)
        source = "default" if value == getattr(default, name) else "user"
        plain = list(value) if isinstance(value, tuple) else msgspec.to_builtins(value)
        resolved[name] = Resolved(value=plain, source=source)

    def fill(name: str, value: float | str | list[str] | None, rule: str) -> None:
        if name not in resolved or resolved[name].value == "auto":
            resolved[name] = Resolved(value=value, source=f"auto:{rule}")

    names_teach = found.labels_are_words and not found.pairs
    unteachable = set() if names_teach else {"label_names"}
    asked_of_validation = found.primary_metric is not None or found.abstain is not None
    if _wants_validation(asked, default) or asked_of_validation:
        unteachable.add("train_on_validation")
    if found.task == "multi_label":
        unteachable.add("train_on_validation")  # which choose the thresholds
    if (stopping := asked.early_stopping) is not None:
        metric = chosen_by(stopping, found.primary_metric) or usual_metric(found.task)
        value = msgspec.to_builtins(msgspec.structs.replace(stopping, metric=metric))
        source = resolved["early_stopping"].source
        if found.primary_metric is not None and stopping.metric == "auto":
            source = "auto:primary-metric"
        resolved["early_stopping"] = Resolved(value=value, source=source)
    for name, off in OFF[found.task].items():
        fill(name, off, f"not-for-{_slug(found.task)}")
    if found.parent is not None and found.parent.kept:
        fill("linear_probe", False, "head-kept")  # which the probe would overwrite
    for name, choice in RECIPES[chosen].choices.items():
        if name not in unteachable:
            fill(name, choice.value, chosen)

    fill("batch_size", min(_batch_size(rows), rows), "rows")
    batch_size = _number(resolved, "batch_size")
    rate, rule = _learning_rate(found.hidden_size, found.layers)
    # Square-root scaling, for the large batches of large datasets.
    rate *= math.sqrt(max(1.0, batch_size / 32))
    if asked.optimizer == "sgd":
        rate, rule = rate * SGD_MULTIPLIER, f"{rule}-sgd"
    if asked.peft is not None:
        rate, rule = rate * LORA_MULTIPLIER, f"{rule}-lora"
    if RECIPES[chosen].rate != 1.0:
        rate, rule = rate * RECIPES[chosen].rate, f"{rule}-{chosen}"
    fill("learning_rate", rate, rule)
    times, rule = _head_multiplier(asked, found.parent)
    fill("head_learning_rate", _number(resolved, "learning_rate") * times, rule)
    if asked.max_steps is not None:
        epochs = math.ceil(asked.max_steps / math.ceil(rows / batch_size))
        resolved["epochs"] = Resolved(value=epochs, source="auto:max_steps")
    fill("epochs", _epochs(rows), "rows")
    fill("dropout", found.dropout, "base-model")
    many = len(found.class_counts) >= MANY_LABELS
    fill("label_smoothing", SMOOTHING if many else 0.0, "many-labels" if many else "few-labels")
    fill("max_length", *_max_length(found))
    max_length = _number(resolved, "max_length")
    if max_length > found.positions:
        raise Failure(
            "max-length-exceeds-model",
            f"max_length is {max_length:g}, the base model has {found.positions} positions",
        )
    if asked.label_names is True and not names_teach:
        why = "texts-are-pairs" if found.pairs else "labels-are-no-words"
        resolved["label_names"] = Resolved(value=False, source=f"auto:{why}")
    if asked.rdrop == "auto" and not _number(resolved, "dropout"):
        resolved["rdrop"] = Resolved(value=0.0, source="auto:no-dropout")
    if not found.has_mask:
        resolved["token_dropout"] = Resolved(value=0.0, source="auto:no-mask-token")
    for name in ("linear_probe", "label_names", "train_on_validation"):
        fill(name, False, "off")
    for name in ("rdrop", "token_dropout"):
        fill(name, 0.0, "off")
    _settle_phases(asked, resolved, found)
    passes = 2 if _number(resolved, "rdrop") else 1
    parts = math.ceil(passes * batch_size * max_length / MICRO_BATCH_TOKENS)
    fill("gradient_accumulation_steps", min(parts, batch_size), "tokens")
    fill("precision", "bf16" if found.has_bf16 else "fp32", "device")
    deep = found.layers >= DEEP_LAYERS
    fill("layerwise_lr_decay", LAYER_DECAY if deep else 1.0, "deep" if deep else "shallow")
    fill("imbalance", *_imbalance(found.class_counts, found.task))
    huge = found.layers * found.hidden_size >= HUGE
    fill("gradient_checkpointing", huge, "large-model" if huge else "small-model")
    known = found.on_cpu and found.unknown_share is not None and found.unknown_share < UNKNOWN
    known = known and asked.peft is None  # which freezes all of the base model
    fill("freeze", ["embeddings"] if known else [], "known-tokens-on-cpu" if known else "off")
    _check_layers(asked, found.layers)
    rows += found.validation_rows if resolved["train_on_validation"].value else 0
    rows += len(found.class_counts) if resolved["label_names"].value else 0
    total_steps = asked.max_steps or math.ceil(rows / batch_size) * int(_number(resolved, "epochs"))
    if asked.scheduler in ("step", "reduce_on_plateau"):
        default_of = {
            "step": StepSchedule(step_size=max(1, math.ceil(total_steps / 3))),
            "reduce_on_plateau": PlateauSchedule(),
        }
        resolved["scheduler"] = Resolved(
            value=msgspec.to_builtins(default_of[asked.scheduler]), source="auto:total-steps"
        )
    resolved["threads"] = Resolved(value=found.threads, source="default")
    return resolved, _advice(asked, resolved, usual=rate, total_steps=total_steps)


def _settle_phases(
    asked: Hyperparameters, resolved: dict[str, Resolved], found: Circumstances
) -> None:
    """Resolve `seeds` and `refit`, which make further trainings of a run."""
    if not found.validation_rows or resolved["train_on_validation"].value:
        resolved["seeds"] = Resolved(value=1, source="auto:no-validation-rows")
        resolved["refit"] = Resolved(value=False, source="auto:no-validation-rows")
        return
    if resolved["seeds"].value == "auto":
        resolved["seeds"] = Resolved(value=1, source="auto:off")
    if _has_plateau(asked):  # which needs validations
        resolved["refit"] = Resolved(value=False, source="auto:reduce-on-plateau")
    if resolved["refit"].value == "auto":
        bounded = asked.max_steps is not None or asked.max_minutes is not None
        reasons = {
            "validation-given": not found.validation_carved,
            "many-rows": len(found.lengths) >= MANY_ROWS,
            "bounded-run": bounded or asked.early_stopping is None,
        }
        reason = next((each for each, holds in reasons.items() if holds), None)
        resolved["refit"] = Resolved(
            value=reason is None, source=f"auto:{reason or 'carved-validation'}"
        )


def settle(resolved: dict[str, Resolved]) -> Settings:
    """Return what was resolved as typed numbers."""
    values: dict[str, Any] = {name: entry.value for name, entry in resolved.items()}
    return msgspec.convert(values, Settings)


def _advice(
    asked: Hyperparameters, resolved: dict[str, Resolved], *, usual: float, total_steps: int
) -> list[Advice]:
    advice: list[Advice] = []
    rate = _number(resolved, "learning_rate")
    if not usual / UNUSUAL_RATE < rate < usual * UNUSUAL_RATE:
        times = rate / usual if rate > usual else usual / rate
        how = "above" if rate > usual else "below"
        message = f"learning_rate {rate:g} is {times:.0f} times {how} the usual {usual:g}"
        why = "training may diverge" if rate > usual else "it may learn next to nothing"
        advice.append(Advice("unusual-learning-rate", f"{message} for this model: {why}"))
    if asked.warmup >= 1 and asked.warmup >= total_steps:
        shortened = math.ceil(0.1 * total_steps)
        resolved["warmup"] = Resolved(value=float(shortened), source="auto:warmup-exceeds-training")
        message = (
            f"warmup of {asked.warmup:g} steps would outlast the {total_steps} steps of the run, "
            f"at rates that never reach learning_rate; it takes {shortened}"
        )
        advice.append(Advice("warmup-exceeds-training", message))
    return advice


def _check_layers(asked: Hyperparameters, layers: int) -> None:
    numbers = [each for each in asked.freeze if isinstance(each, int)]
    if asked.reinit_top_layers > layers or any(each >= layers for each in numbers):
        raise Failure("no-such-layer", f"the base model has {layers} layers, from 0")


def _recipe(asked: RecipeChoice, counts: NDArray[np.int64]) -> Resolved:
    if asked != "auto":
        return Resolved(value=asked, source="user")
    some = counts[counts > 0]
    if len(some) and float(np.median(some)) < FEW_ROWS and counts.sum() < FEW_ROWS_IN_ALL:
        return Resolved(value="few_shot", source="auto:few-rows")
    return Resolved(value="balanced", source="auto:many-rows")


def _wants_validation(asked: Hyperparameters, default: Hyperparameters) -> bool:
    return asked.early_stopping not in (None, default.early_stopping) or _has_plateau(asked)


def _has_plateau(asked: Hyperparameters) -> bool:
    return isinstance(asked.scheduler, PlateauSchedule) or asked.scheduler == "reduce_on_plateau"


def _slug(task: Task) -> str:
    return task.replace("_", "-")


def _imbalance(counts: NDArray[np.int64], task: Task) -> tuple[Imbalance, str]:
    some = counts[counts > 0]
    ratio = float(some.max() / some.min()) if len(some) else 1.0
    if ratio < UNEVEN:
        return "none", f"ratio-below-{UNEVEN:g}"
    if ratio <= VERY_UNEVEN or task == "multi_label":  # a row is of several labels at once
        return "class_weights", f"ratio-to-{VERY_UNEVEN:g}"
    return "class_weights_and_sampling", f"ratio-above-{VERY_UNEVEN:g}"


def _number(resolved: dict[str, Resolved], name: str) -> float:
    value = resolved[name].value
    assert isinstance(value, int | float)
    return value


def _batch_size(rows: int) -> int:
    if rows < 2_000:
        return 16
    return 32 if rows <= 50_000 else 64


def _epochs(rows: int) -> int:
    # By optimizer steps: small data needs many passes before the head has moved at all.
    # Source: Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987.
    for limit, epochs in ((500, 20), (2_000, 10), (5_000, 8), (50_000, 4), (200_000, 2)):
        if rows < limit:
            return epochs
    return 1


def _learning_rate(hidden_size: int, layers: int) -> tuple[float, str]:
    # Small encoders take, and need, several times the rate of BERT (tests/bench/RESULTS.md).
    # Source: Devlin et al. 2019, arXiv:1810.04805 for base and large.
    if hidden_size < 256:
        return 5e-4, "encoder-tiny"
    if hidden_size <= 512:
        return 1e-4, "encoder-small"
    if hidden_size <= 768:
        return (5e-5, "encoder-base-shallow") if layers <= 6 else (2e-5, "encoder-base")
    return 1e-5, "encoder-large"


def _head_multiplier(asked: Hyperparameters, parent: Parent | None) -> tuple[float, str]:
    if asked.peft is not None:
        return 1.0, "lora"
    if parent is not None and not parent.new:
        return 1.0, "head-kept"
    return HEAD_MULTIPLIER, "10x-learning-rate"


def _max_length(found: Circumstances) -> tuple[int, str]:
    p99 = float(np.percentile(found.lengths, 99, method="higher"))
    length = min(math.ceil(p99 / 8) * 8, MAX_LENGTH_CAP, found.positions)
    if found.parent is not None and found.parent.facts.max_length > length:
        return found.parent.facts.max_length, "version"
    return length, "p99-tokens"

"""Fine-tunes: what may be asked for, with the bounds of every hyperparameter."""

from typing import Annotated, Literal

from msgspec import Meta

from tunery.types._meta import SLUG_PATTERN, Answer, MetricName, Request, about
from tunery.types.abstention import Abstain
from tunery.types.deployments import DeployStep
from tunery.types.recipes import RecipeChoice

Auto = Literal["auto"]
Precision = Literal["fp32", "bf16", "fp16"]
Optimizer = Literal["adamw", "adam", "sgd", "adafactor"]
Imbalance = Literal["none", "class_weights", "class_weights_and_sampling"]


class EarlyStopping(Request, kw_only=True, frozen=True):
    """Ends the run when validation no longer improves; the best checkpoint is kept."""

    metric: Annotated[
        MetricName,
        about(
            "On the validation split; `auto` is the primary metric, else `macro_f1`, for numbers "
            "`loss`.",
            "macro_f1",
        ),
    ] = "auto"
    patience: Annotated[int, about("Validations without improvement.", 3, ge=1, le=1000)] = 3
    min_delta: Annotated[float, about("Less is no improvement.", 0.0, ge=0, le=1e6)] = 0.0


class StepSchedule(Request, kw_only=True, frozen=True, tag_field="name", tag="step"):
    """Multiplies the rate by `gamma` after every `step_size` steps that follow the warm-up."""

    step_size: Annotated[int, about("Optimizer steps.", 500, ge=1, le=10**9)]
    gamma: Annotated[float, about("Factor.", 0.1, gt=0, le=1)] = 0.1


class PlateauSchedule(
    Request, kw_only=True, frozen=True, tag_field="name", tag="reduce_on_plateau"
):
    """Multiplies the rate by `factor` after more than `patience` validations without a better one.

    Better is what early stopping calls so, or the primary metric.
    """

    factor: Annotated[float, about("Factor.", 0.5, gt=0, lt=1)] = 0.5
    patience: Annotated[int, about("Validations that are borne.", 2, ge=0, le=1000)] = 2


class Lora(Request, kw_only=True, frozen=True, tag_field="method", tag="lora"):
    """Trains low-rank adapters beside frozen weights, which take them in when a model is saved."""

    r: Annotated[int, about("Rank.", 16, ge=1, le=1024)] = 16
    alpha: Annotated[
        Annotated[int, Meta(ge=1, le=10**6)] | None,
        about("Scale; null is twice the rank.", None, 32),
    ] = None
    dropout: Annotated[float, about("Probability, before the adapter.", 0.05, ge=0, lt=1)] = 0.05
    targets: Annotated[
        Literal["all-linear", "attention"], about("Layers that get one.", "all-linear")
    ] = "all-linear"


Scheduler = (
    Literal["linear", "cosine", "constant", "inverse_sqrt", "step", "reduce_on_plateau"]
    | StepSchedule
    | PlateauSchedule
)


class Hyperparameters(Request, kw_only=True, frozen=True):
    """How to train. Everything may be left out; the job echoes what it resolved to."""

    learning_rate: Annotated[
        Auto | Annotated[float, about("Peak of the schedule.", 2e-4, gt=0, le=1)],
        about("Peak of the schedule.", "auto"),
    ] = "auto"
    head_learning_rate: Annotated[
        Auto | Annotated[float, about("Peak of the schedule.", 2e-3, gt=0, le=10)],
        about("Of the head; `auto` is ten times learning_rate.", "auto"),
    ] = "auto"
    batch_size: Annotated[
        Auto | Annotated[int, about("Effective.", 32, ge=1, le=65536)],
        about("The effective one: examples per optimizer step.", 32),
    ] = "auto"
    epochs: Annotated[
        Auto | Annotated[int, about("Passes.", 4, ge=1, le=1000)],
        about("Passes over the training split.", 4),
    ] = "auto"
    max_steps: Annotated[
        Annotated[int, Meta(ge=1, le=10**9)] | None,
        about("Optimizer steps, instead of epochs.", None, 500),
    ] = None
    max_minutes: Annotated[
        Annotated[float, Meta(gt=0, le=10**6)] | None,
        about("Ends the run in time; the best is kept.", None, 30.0),
    ] = None
    scheduler: Annotated[
        Scheduler,
        about("After warm-up. `step` alone is a tenth after each third of the run.", "linear"),
    ] = "linear"
    warmup: Annotated[
        float, about("Share of the steps; from 1 on, steps.", 0.1, 200.0, ge=0, le=10**9)
    ] = 0.1
    optimizer: Annotated[Optimizer, about("`adamw` decays weights apart.", "adamw")] = "adamw"
    momentum: Annotated[float, about("Of `sgd`.", 0.9, ge=0, lt=1)] = 0.9
    layerwise_lr_decay: Annotated[
        Auto | Annotated[float, about("Factor.", 0.95, gt=0, le=1)],
        about("Rate of a layer over that of the one above; `auto` is 0.95 from 7 layers on.", 0.95),
    ] = "auto"
    linear_probe: Annotated[
        Auto | bool,
        about("Starts the head from a logistic regression; `auto` by the recipe.", "auto"),
    ] = "auto"
    label_names: Annotated[
        Auto | bool,
        about("Trains on the names of the labels as texts, too; `auto` by the recipe.", "auto"),
    ] = "auto"
    train_on_validation: Annotated[
        Auto | bool,
        about(
            "Trains on the validation rows, too; then nothing ends the run early. `auto` by the "
            "recipe.",
            "auto",
        ),
    ] = "auto"
    refit: Annotated[
        Auto | bool,
        about(
            "Once validation has chosen where to stop, trains again as long on training and "
            "validation rows together; `auto` where tunery took these out of the training rows.",
            "auto",
        ),
    ] = "auto"
    seeds: Annotated[
        Auto | Annotated[int, about("Trainings.", 3, ge=1, le=9)],
        about("Trains so many times and keeps to the median of them; `auto` by the recipe.", 1),
    ] = "auto"
    rdrop: Annotated[
        Auto | Annotated[float, about("Weight.", 4.0, ge=0, le=100)],
        about(
            "Weight of R-Drop: two passes with dropout must agree, for twice the time; `auto` by "
            "the recipe.",
            "auto",
        ),
    ] = "auto"
    token_dropout: Annotated[
        Auto | Annotated[float, about("Share.", 0.3, ge=0, lt=1)],
        about("Share of the tokens that training masks; `auto` by the recipe.", "auto"),
    ] = "auto"
    freeze: Annotated[
        Auto | tuple[Literal["embeddings"] | Annotated[int, Meta(ge=0, le=1000)], ...],
        about(
            "What is not trained: the embeddings, layers by number. `auto` is the embeddings where "
            "a CPU trains and the base model's tokenizer knows the texts.",
            ["embeddings", 0],
        ),
    ] = "auto"
    peft: Annotated[
        Lora | None, about("Adapters instead of all weights; null trains the weights themselves.")
    ] = None
    reinit_top_layers: Annotated[
        int, about("Layers that start from random weights.", 0, ge=0, le=1000)
    ] = 0
    imbalance: Annotated[
        Auto | Imbalance,
        about("Weights of classes; `auto` by the ratio of the largest to the smallest.", "auto"),
    ] = "auto"
    gradient_checkpointing: Annotated[
        Auto | bool, about("Less memory for a third more time; `auto` for large models.", "auto")
    ] = "auto"
    weight_decay: Annotated[float, about("None on biases and norms.", 0.01, ge=0, le=1)] = 0.01
    max_grad_norm: Annotated[float, about("Clips the gradient.", 1.0, gt=0, le=1e6)] = 1.0
    label_smoothing: Annotated[
        Auto | Annotated[float, about("Share.", 0.1, ge=0, lt=1)],
        about("Share given to other labels; `auto` is 0.1 from 20 labels on, else 0.", "auto"),
    ] = "auto"
    dropout: Annotated[
        Auto | Annotated[float, about("Probability.", 0.1, ge=0, lt=1)],
        about("`auto` keeps the base model's.", "auto"),
    ] = "auto"
    max_length: Annotated[
        Auto | Annotated[int, about("Tokens.", 64, ge=3, le=8192)],
        about("Tokens of a text; `auto` covers 99 % of the training texts.", "auto"),
    ] = "auto"
    gradient_accumulation_steps: Annotated[
        Auto | Annotated[int, about("Micro-batches.", 1, ge=1, le=4096)],
        about("Micro-batches of one optimizer step.", "auto"),
    ] = "auto"
    precision: Annotated[
        Auto | Precision, about("`auto` is bf16 where a GPU has it, else fp32.", "auto")
    ] = "auto"
    on_non_finite: Annotated[
        Literal["stop", "rollback"],
        about(
            "When the loss is no number: `stop` fails at once, `rollback` goes back to the last "
            "checkpoint, once, with half the learning rate.",
            "stop",
        ),
    ] = "stop"
    seed: Annotated[int, about("Of everything random.", 42, ge=0, le=2**32 - 1)] = 42
    early_stopping: Annotated[EarlyStopping | None, about("Null trains to the end.")] = (
        EarlyStopping()
    )


class Checkpoints(Request, kw_only=True, frozen=True):
    """When to save, and what to keep."""

    every: Annotated[
        Literal["epoch"] | Annotated[int, about("Steps.", 500, ge=1, le=10**9)],
        about("An epoch, or so many optimizer steps.", "epoch"),
    ] = "epoch"
    keep_last: Annotated[int, about("Newest ones to keep.", 2, ge=1, le=100)] = 2
    keep_best: Annotated[int, about("Best ones to keep.", 1, ge=1, le=100)] = 1


class Resources(Request, kw_only=True, frozen=True):
    """What the job needs."""

    devices: Annotated[int, about("Slots of the train lane.", 1, ge=1, le=1)] = 1
    max_disk_gb: Annotated[
        Annotated[float, Meta(gt=0, le=1e6)] | None,
        about("Refused if it may take more than so many 10^9 bytes of disk.", None, 4.0),
    ] = None


class Then(Request, kw_only=True, frozen=True):
    """What follows when the fine-tune has succeeded."""

    evaluate: Annotated[bool, about("Evaluate on the test split.", True)] = True
    deploy: Annotated[DeployStep | None, about("Deploy the new version.")] = None


class FinetuneSpec(Request, kw_only=True, frozen=True):
    """Starts a fine-tune; on success it registers the next version of `model`."""

    dataset: Annotated[str, about("Dataset id.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    model: Annotated[str, about("Name of the model.", "intent", pattern=SLUG_PATTERN)]
    base_model: Annotated[
        str,
        about(
            "Of the allowlist: `GET /base-models`; or a version of the project, whose head keeps "
            "its rows for the labels that stay.",
            "minilm-l6",
            "intent/2",
            max_length=256,
        ),
    ] = "minilm-l6"
    primary_metric: Annotated[
        MetricName | None,
        about(
            "What the version is judged by: it chooses the best checkpoint, ends the run early "
            "and is told first by evaluations. A metric, or one of a label: `recall@spam`. Null "
            "is what is usual for the task.",
            None,
            "recall@spam",
        ),
    ] = None
    recipe: Annotated[
        RecipeChoice,
        about(
            "Named defaults: `GET /recipes`; `auto` is few_shot for few rows, and scratch for "
            "scratch-mini.",
            "balanced",
        ),
    ] = "auto"
    hyperparameters: Annotated[Hyperparameters, about("How to train.")] = Hyperparameters()
    checkpoints: Annotated[Checkpoints, about("When to save.")] = Checkpoints()
    resources: Annotated[Resources, about("What it needs.")] = Resources()
    priority: Annotated[int, about("Higher goes first.", 50, ge=0, le=100)] = 50
    dry_run: Annotated[
        bool,
        about("Only rehearses: 20 steps on a hundredth of the rows; nothing is kept.", False),
    ] = False
    then: Annotated[Then, about("What follows.")] = Then()
    abstain: Annotated[
        Abstain | None,
        about(
            "When the version shall say that it is not sure: `decision` is `abstain`. Its "
            "thresholds are fitted to validation rows; of multi_label, by precision alone, they "
            "decide which labels are given. Null answers always.",
            None,
            {"by": "precision", "precision": 0.95},
        ),
    ] = None
    metadata: Annotated[
        dict[str, Annotated[str, about("Value.", "ML-42", max_length=500)]],
        about("Yours; tunery only keeps it.", {"ticket": "ML-42"}, max_length=50),
    ] = {}


class BaseModel(Answer, kw_only=True, frozen=True):
    """A model that may be fine-tuned."""

    id: Annotated[str, about("Use it as `base_model`.", "minilm-l6")]
    description: Annotated[str, about("What it is.", "all-MiniLM-L6-v2, English, 22 M")]
    source: Annotated[Literal["package", "directory", "hub"], about("Where it comes from.")]
    available: Annotated[bool, about("Whether its files are on this machine.", True)]


class BaseModelList(Answer, kw_only=True, frozen=True):
    """What may be fine-tuned."""

    data: Annotated[list[BaseModel], about("The allowlist.")]

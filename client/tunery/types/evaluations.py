"""Evaluations: how a version does on rows that it was not trained on."""

from typing import Annotated, Literal

from tunery.types._meta import (
    MAX_INT,
    Answer,
    Count,
    MetricName,
    Ratio,
    Request,
    Score,
    Timestamp,
    about,
)
from tunery.types.abstention import Abstention
from tunery.types.datasets import Split
from tunery.types.deployments import RuntimeName, ServingPrecision

ErrorSort = Literal["row", "score", "-score", "margin", "-margin", "loss", "-loss"]

EvaluationPlot = Literal[
    "baselines", "confused", "confusion", "reliability", "precision", "abstention", "numbers"
]


class EvaluateSpec(Request, kw_only=True, frozen=True):
    """Evaluates a version or a checkpoint through the runtime that would serve it."""

    version: Annotated[str | None, about("Model version.", "intent/3")] = None
    checkpoint: Annotated[
        str | None, about("Checkpoint id.", None, "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ] = None
    dataset: Annotated[str, about("Dataset id.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    split: Annotated[Split, about("Which rows.", "test")] = "test"
    allow_train: Annotated[bool, about("Must be true for split `train`.", False)] = False
    runtime: Annotated[
        Literal["auto"] | RuntimeName,
        about("`auto` is the compiled one where an export exists.", "auto"),
    ] = "auto"
    precision: Annotated[
        ServingPrecision, about("Of the weights; as it shall be served.", "fp32")
    ] = "fp32"
    primary_metric: Annotated[
        MetricName | None,
        about(
            "Told first, and measured of the baselines, too; null is that of the fine-tune.",
            None,
            "recall@spam",
        ),
    ] = None


class Metric(Answer, kw_only=True, frozen=True):
    """A figure; null, with a reason, where it is not defined."""

    value: Annotated[Score | None, about("The figure.", 0.926)]
    reason: Annotated[str | None, about("Why it is null.", None, "no row has this label")] = None
    low: Annotated[
        Score | None,
        about("Where its 95 % interval begins; null for figures that have none.", 0.917),
    ] = None
    high: Annotated[Score | None, about("Where it ends.", 0.935)] = None


class ClassMetrics(Answer, kw_only=True, frozen=True):
    """How one label does."""

    label: Annotated[str, about("The label.", "lost_or_stolen_card")]
    precision: Annotated[Ratio | None, about("Null when never predicted.", 0.9)]
    recall: Annotated[Ratio | None, about("Null when no row has it.", 0.8)]
    f1: Annotated[Ratio | None, about("Null when neither is defined.", 0.85)]
    support: Annotated[int, about("Rows that have it.", 40, ge=0, le=MAX_INT)]
    f05: Annotated[Ratio | None, about("F-beta that weighs precision twice.", 0.88)] = None
    f2: Annotated[Ratio | None, about("F-beta that weighs recall twice.", 0.82)] = None
    roc_auc: Annotated[
        Ratio | None, about("Against the rest; null unless some rows have it and some don't.", 0.97)
    ] = None
    pr_auc: Annotated[Ratio | None, about("Average precision; null when no row has it.", 0.9)] = (
        None
    )


class Confusion(Answer, kw_only=True, frozen=True):
    """Rows by true label (first index) and predicted label (second)."""

    labels: Annotated[list[str], about("Of both axes.")]
    matrix: Annotated[list[list[Count]], about("Counts.")]


class CalibrationBin(Answer, kw_only=True, frozen=True):
    """Rows whose answers are about as probable."""

    low: Annotated[Ratio, about("Least probability.", 0.8)]
    high: Annotated[Ratio, about("Largest probability.", 0.8667)]
    rows: Annotated[int, about("How many.", 120, ge=1, le=MAX_INT)]
    confidence: Annotated[Ratio, about("Mean probability of what was answered.", 0.83)]
    accuracy: Annotated[Ratio, about("Share of the rows that were answered right.", 0.8)]


class Calibration(Answer, kw_only=True, frozen=True):
    """Whether probabilities mean what they say; `ece` is the expected calibration error."""

    temperature: Annotated[
        float,
        about("What logits are divided by, here and where it is served.", 1.4, ge=1e-3, le=1e3),
    ]
    ece_before: Annotated[Ratio, about("At temperature 1.", 0.061)]
    ece_after: Annotated[Ratio, about("As it is served; also the metric `ece`.", 0.018)]
    bins: Annotated[
        list[CalibrationBin], about("Of the reliability diagram, as served; those that have rows.")
    ]


class ErrorExample(Answer, kw_only=True, frozen=True):
    """A row that was answered wrong."""

    row: Annotated[int, about("0-based place in the split.", 12, ge=0, le=MAX_INT)]
    text: Annotated[str, about("The text, at most 200 characters.", "where is my card?")]
    text_pair: Annotated[
        str | None, about("The second text, of a pair.", None, "You have 14 days.")
    ] = None
    label: Annotated[str, about("The true one.", "card_arrival")]
    predicted: Annotated[str, about("What was answered.", "lost_or_stolen_card")]


class EvaluationFinding(Answer, kw_only=True, frozen=True):
    """One thing that is wrong with the answers, by more than chance, and what to do about it."""

    type: Annotated[
        str,
        about(
            "weak-class, over-predicts, confused-pair, weak-slice, over-fit, under-fit, "
            "over-confident, under-confident, seen-in-training, dataset-leakage, "
            "dataset-conflicts or reused-test-set; more may follow.",
            "over-predicts",
        ),
    ]
    label: Annotated[str | None, about("Of a label; else null.", "positive")]
    other_label: Annotated[str | None, about("That it is taken for.", None, "neutral")] = None
    message: Annotated[str, about("What was found.", "precision 0.800, recall 0.900")]
    numbers: Annotated[dict[str, Score], about("What it rests on.", {"precision": 0.8})]
    advice: Annotated[str, about("What to do.", "Add training rows of the other labels.")]
    examples: Annotated[
        list[ErrorExample], about("At most 5 rows; none once the dataset is deleted.")
    ] = []


class Slice(Answer, kw_only=True, frozen=True):
    """How rows of a kind do, against all others."""

    by: Annotated[str, about("In what they are alike: length or script.", "length")]
    name: Annotated[str, about("Which.", "up to 40 characters")]
    rows: Annotated[int, about("How many.", 1027, ge=1, le=MAX_INT)]
    metric: Annotated[str, about("Of what follows.", "accuracy")]
    value: Annotated[Score, about("Of these rows.", 0.9)]
    rest: Annotated[Score, about("Of the others.", 0.94)]
    gap: Annotated[Score, about("The first less the second.", -0.04)]
    low: Annotated[Score, about("Where the gap's 95 % interval begins.", -0.06)]
    high: Annotated[Score, about("Where it ends.", -0.02)]


class FitVerdict(Answer, kw_only=True, frozen=True):
    """Whether the model has learned too little, or its training rows by heart.

    Training and validation are samples of 1,000 rows at most, through the same runtime.
    """

    verdict: Annotated[
        str, about("good, over-fit, under-fit, or unclear where validation disagrees.", "good")
    ]
    metric: Annotated[str, about("Of train, validation, test and baseline.", "accuracy")]
    train: Annotated[Score, about("Of training rows.", 0.98)]
    validation: Annotated[
        Score | None, about("Null where there are none, or weights were fitted to them.", 0.93)
    ]
    test: Annotated[Score, about("Of the evaluated rows.", 0.93)]
    gap: Annotated[Score, about("By how much training rows do better.", 0.05)]
    low: Annotated[Score, about("Where the gap's 95 % interval begins.", 0.03)]
    high: Annotated[Score, about("Where it ends.", 0.07)]
    baseline: Annotated[Score | None, about("Of TF-IDF on the evaluated rows.", 0.88)]


class Percentiles(Answer, kw_only=True, frozen=True):
    """How long answers take."""

    p50_ms: Annotated[float, about("Half of them take no longer.", 4.2, ge=0, le=1e9)]
    p95_ms: Annotated[float, about("19 of 20 take no longer.", 6.1, ge=0, le=1e9)]


class Latency(Answer, kw_only=True, frozen=True):
    """Tokenizer and runtime, without queue and HTTP, on a machine that may have had other work."""

    device: Annotated[str, about("What computed.", "cpu")]
    threads: Annotated[int, about("Of it.", 2, ge=1, le=MAX_INT)]
    single: Annotated[Percentiles, about("Of one text at a time.")]
    eight: Annotated[Percentiles, about("Of eight texts at once.")]


class Lineage(Answer, kw_only=True, frozen=True):
    """Which evaluated rows the model has seen, in any of the datasets that its weights come from.

    Rows are the same where their texts are, but for case and signs.
    """

    datasets: Annotated[
        list[str],
        about(
            "Whose training and validation rows were compared.", ["ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"]
        ),
    ]
    lost: Annotated[list[str], about("Deleted ones, which could not be compared.", [])]
    compared: Annotated[int, about("Rows of these datasets.", 8008, ge=0, le=MAX_INT)]
    overlap: Annotated[int, about("Evaluated rows that stand among them.", 0, ge=0, le=MAX_INT)]
    without: Annotated[
        dict[str, Metric],
        about("Figures of the other rows; empty where nothing overlaps.", {}),
    ]


class Evaluation(Answer, kw_only=True, frozen=True):
    """Measured facts about one version on one split."""

    id: Annotated[str, about("Prefixed ULID.", "eval_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    version: Annotated[str | None, about("Model version.", "intent/3")]
    checkpoint: Annotated[
        str | None, about("Checkpoint id.", None, "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ]
    dataset: Annotated[str, about("Dataset id.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    split: Annotated[Split, about("Which rows.", "test")]
    rows: Annotated[int, about("How many.", 3080, ge=0, le=MAX_INT)]
    job: Annotated[str, about("The job that made it.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    runtime: Annotated[str, about("What computed.", "openvino")]
    precision: Annotated[str, about("Of the weights.", "fp32")]
    metrics: Annotated[dict[str, Metric], about("By name.", {"accuracy": {"value": 0.926}})]
    per_class: Annotated[list[ClassMetrics], about("In the order of the labels.")]
    confusion: Annotated[
        Confusion | None,
        about("Which label is taken for which; null where a row may have several, or none."),
    ]
    test_set_uses: Annotated[
        int, about("How often this split has been evaluated by now.", 1, ge=0, le=MAX_INT)
    ]
    created_at: Timestamp
    primary_metric: Annotated[
        str | None, about("The metric that is told first, and that baselines have.", "accuracy")
    ] = None
    baselines: Annotated[
        dict[str, Score],
        about(
            "The primary metric of what the model has to beat: `majority` (of numbers `mean`) "
            "knows no text, `tfidf` is a linear model, both of the training rows; `untrained` is "
            "the base model with a new head, on validation rows. What can't be known is left out.",
            {"majority": 0.013, "tfidf": 0.88},
        ),
    ] = {}
    tfidf_rows: Annotated[
        int,
        about(
            "Training rows that `tfidf` has read; fewer than there are where more would take "
            "minutes.",
            8008,
            ge=0,
            le=MAX_INT,
        ),
    ] = 0
    findings: Annotated[
        list[EvaluationFinding], about("What to act on; empty where nothing stands out.")
    ] = []
    slices: Annotated[
        list[Slice], about("By length and script; those that have 30 rows and leave as many.")
    ] = []
    fit: Annotated[
        FitVerdict | None, about("Null where the training rows were deleted, or are evaluated.")
    ] = None
    calibration: Annotated[
        Calibration | None, about("Null where the task has no probability of a single answer.")
    ] = None
    abstention: Annotated[Abstention | None, about("Null where the version answers always.")] = None
    lineage: Annotated[
        Lineage | None, about("What the model has seen of these rows; null where nobody looked.")
    ] = None
    latency: Annotated[
        Latency | None, about("How long an answer takes; null where nobody measured.")
    ] = None
    bytes: Annotated[
        int, about("Size of its stored rows; 0 once these are deleted.", 71234, ge=0, le=MAX_INT)
    ] = 0


class NearestRow(Answer, kw_only=True, frozen=True):
    """A training row that is like a row of an evaluation."""

    line: Annotated[int, about("1-based line of the training file.", 204, ge=1, le=MAX_INT)]
    text: Annotated[str, about("How the text begins.", "My card is lost")]
    text_pair: Annotated[
        str | None, about("How the second text begins, of a pair.", None, "You have 14 days.")
    ] = None
    label: Annotated[str, about("What the model was taught of it.", "lost_or_stolen_card")]
    similarity: Annotated[
        Ratio, about("Cosine of TF-IDF of one to three characters; 1 for the same text.", 0.71)
    ]


class EvaluatedRow(Answer, kw_only=True, frozen=True):
    """One row of an evaluation, as it was answered; of numbers there is neither score nor margin.

    Of multi_label, score and margin are those of the label of which the model is least sure.
    """

    row: Annotated[int, about("0-based place in the split.", 12, ge=0, le=MAX_INT)]
    line: Annotated[int, about("1-based line of the file.", 118, ge=1, le=MAX_INT)]
    text: Annotated[str, about("The text.", "I lost my card")]
    text_pair: Annotated[
        str | None, about("The second text, of a pair.", None, "You have 14 days.")
    ] = None
    label: Annotated[
        str, about("The true one; of multi_label a JSON list, of regression a number.", "refund")
    ]
    predicted: Annotated[str, about("What was answered, written alike.", "card_arrival")]
    score: Annotated[Ratio | None, about("Probability of what was answered.", 0.61)]
    margin: Annotated[
        Score | None,
        about(
            "Probability of what is true, less that of the best other one, or of multi_label less "
            "the threshold; below 0 where the answer is wrong.",
            -0.4,
        ),
    ]
    loss: Annotated[Score | None, about("What the row adds to the mean loss.", 1.56)]
    nearest: Annotated[
        list[NearestRow],
        about("Training rows most like it, of the 500 rows that cost the model most."),
    ] = []
    abstained: Annotated[bool, about("Whether the version would not have answered.", False)] = False


class ErrorPage(Answer, kw_only=True, frozen=True):
    """Rows of an evaluation, in the order that was asked for."""

    data: Annotated[list[EvaluatedRow], about("The rows.")]
    has_more: Annotated[bool, about("Whether another page follows.", True)]
    last_id: Annotated[str | None, about("Pass it as `after`.", "20")]

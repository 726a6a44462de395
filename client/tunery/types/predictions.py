"""Predictions: texts in, labels out, each answer naming the version that gave it."""

from typing import Annotated, Literal

from tunery.types._meta import MAX_INT, Answer, Ratio, Request, Score, about

MAX_INPUTS = 256
MAX_TEXT_CHARACTERS = 100_000

Decision = Literal["answer", "abstain"]
RejectReason = Literal["low_confidence"]


class TextPair(Request, kw_only=True, frozen=True):
    """Two texts that are read together, for a model that was trained on pairs."""

    text: Annotated[str, about("The first text.", "Is a refund possible?")]
    text_pair: Annotated[str, about("The second text.", "You have 14 days.")]


TextInput = str | TextPair


class PredictRequest(Request, kw_only=True, frozen=True):
    """Asks a deployment about up to 256 texts, or pairs of them."""

    model: Annotated[
        str, about("A deployment, or a version that is deployed.", "intent", max_length=256)
    ]
    inputs: Annotated[
        list[TextInput],
        about("The texts; pairs for a model that was trained on pairs.", ["I lost my card"]),
    ]
    top_k: Annotated[int, about("Labels of each answer.", 3, ge=1, le=10_000)] = 1
    truncate: Annotated[bool, about("Cut texts that are too long; false refuses them.", True)] = (
        True
    )


class LabelScore(Answer, kw_only=True, frozen=True):
    """A label and its probability."""

    label: Annotated[str, about("The label.", "lost_or_stolen_card")]
    score: Annotated[Ratio, about("Probability.", 0.981)]


class Prediction(Answer, kw_only=True, frozen=True):
    """The answer to one text."""

    label: Annotated[
        str, about("The most probable label; empty for regression.", "lost_or_stolen_card")
    ]
    score: Annotated[Ratio, about("Its probability; 0 for regression.", 0.981)]
    scores: Annotated[
        list[LabelScore], about("The `top_k` most probable, best first; none for regression.")
    ]
    tokens: Annotated[int, about("That the model read.", 7, ge=0, le=MAX_INT)]
    truncated: Annotated[bool, about("Whether the text was cut.", False)]
    labels: Annotated[
        list[str] | None,
        about(
            "Of multi_label: every label that reaches its threshold, maybe none; else null.",
            None,
            ["card_arrival", "fee"],
        ),
    ] = None
    value: Annotated[
        Score | None, about("Of regression: the number, in the unit of the rows.", None, 4.2)
    ] = None
    decision: Annotated[
        Decision,
        about(
            "`abstain` where the score is not above the threshold that the version has for its "
            "label; what it would have answered stands here all the same.",
            "answer",
        ),
    ] = "answer"
    reject_reason: Annotated[
        RejectReason | None, about("Why it abstains; else null.", None, "low_confidence")
    ] = None


class PredictResponse(Answer, kw_only=True, frozen=True):
    """Answers in the order asked, all from one version."""

    model: Annotated[str, about("As asked.", "intent")]
    version: Annotated[str, about("What answered.", "intent/3")]
    request_id: Annotated[str, about("Also in X-Request-Id.", "req_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    predictions: Annotated[list[Prediction], about("One per input.")]

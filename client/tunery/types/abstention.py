"""Abstention: when a version says rather that it is not sure than what it would answer."""

from typing import Annotated

from tunery.types._meta import MAX_INT, Answer, Ratio, Request, about


class AbstainByPrecision(Request, kw_only=True, frozen=True, tag_field="by", tag="precision"):
    """Answers only where answers that were as sure have been right often enough.

    Shown on validation rows with 90 % confidence. A class that shows it by its own answers has a
    threshold of its own, all others share one; a class whose answers above that were less often
    right has a higher one, or is never answered. Source: Clopper & Pearson 1934.
    """

    precision: Annotated[
        float, about("Least share of right ones among the answers.", 0.95, gt=0, le=0.999)
    ]


class AbstainByCost(Request, kw_only=True, frozen=True, tag_field="by", tag="cost"):
    """Answers only where a wrong answer, times how likely it is, costs less than none.

    Source: Chow 1970, doi:10.1109/TIT.1970.1054406.
    """

    cost_of_error: Annotated[float, about("Of a wrong answer.", 5.0, gt=0, le=1e9)]
    cost_of_abstaining: Annotated[
        float, about("Of no answer, in the same unit.", 1.0, gt=0, le=1e9)
    ] = 1.0


class AbstainByCoverage(Request, kw_only=True, frozen=True, tag_field="by", tag="coverage"):
    """Answers only the surest share of validation rows, and what is as sure."""

    coverage: Annotated[float, about("Share that is answered.", 0.8, gt=0, lt=1)]


Abstain = AbstainByPrecision | AbstainByCost | AbstainByCoverage


class LabelThreshold(Answer, kw_only=True, frozen=True):
    """Where one label is answered, and how often it then is right."""

    label: Annotated[str, about("The label.", "lost_or_stolen_card")]
    threshold: Annotated[
        Ratio, about("Its score must be above this; 1 is never answered, 0 always.", 0.62)
    ]
    rows: Annotated[int, about("For which it is most probable.", 44, ge=0, le=MAX_INT)]
    answered: Annotated[int, about("That are answered.", 38, ge=0, le=MAX_INT)]
    precision: Annotated[
        Ratio | None, about("Share of right ones among the answered; null of none.", 0.974)
    ]


class Abstention(Answer, kw_only=True, frozen=True):
    """What a version answers at its thresholds; overall see `coverage` and `selective_accuracy`."""

    wanted: Annotated[Abstain, about("As the fine-tune asked for it.")]
    labels: Annotated[list[LabelThreshold], about("In the order of the labels.")]

"""Wording: what metrics and findings are called and mean, and the other language.

A message is its English text, as in the command line; `chinese` holds the other one.
"""

from collections.abc import Callable
from typing import Literal

from tunery.types import Abstain, AbstainByCost, AbstainByPrecision, EvaluationFinding
from tunery_server.report.chinese import CHINESE, SENTENCES

Language = Literal["en", "zh"]
Translate = Callable[..., str]

TITLES = {
    "weak-class": "A label is found too seldom",
    "over-predicts": "A label is given too often",
    "confused-pair": "Two labels are taken for each other",
    "weak-slice": "One kind of rows does worse",
    "over-fit": "The model knows its training rows by heart",
    "under-fit": "The model has learned too little",
    "over-confident": "The model is too sure of its answers",
    "under-confident": "The model is less sure than it could be",
    "seen-in-training": "The model has seen some of these rows",
    "dataset-leakage": "Rows of the dataset stand on both sides",
    "dataset-conflicts": "The dataset contradicts itself",
    "reused-test-set": "These rows have been looked at often",
}
WISHES = {
    "precision": "It answers where at least {precision} of like answers were right on validation "
    "rows.",
    "cost": "It answers where a wrong answer, which costs {error}, is unlikely enough to cost less "
    "than none, {none}.",
    "coverage": "It answers what is as sure as the surest {coverage} of the validation rows.",
}
GLOSSARY = {
    "accuracy": "Share of the rows that are answered right.",
    "balanced_accuracy": "Mean of the labels' recall: each label counts the same.",
    "subset_accuracy": "Share of the rows of which every label is right.",
    "hamming_loss": "Share of wrong decisions, a label of a row each. Less is better.",
    "macro_f1": "F1 as the mean over labels: each counts the same.",
    "micro_f1": "F1 of all decisions together: frequent labels count more.",
    "weighted_f1": "F1 as the mean over labels, by their rows.",
    "macro_precision": "How many of a label's answers are right; mean over labels.",
    "macro_recall": "How many of a label's rows are found; mean over labels.",
    "coverage": "Share of the rows that the version answers; of the others it is not sure enough.",
    "selective_accuracy": "Share of the answered rows that are answered right.",
    "aurc": "Share of wrong ones among the surest rows, as the mean over how many. Less is better.",
    "mcc": "Correlation of answers and truth; 0 is chance, 1 is perfect.",
    "kappa": "Agreement beyond what chance would give.",
    "top_3_accuracy": "Share of the rows whose label is among the three most probable.",
    "top_5_accuracy": "Share of the rows whose label is among the five most probable.",
    "roc_auc": "How well probabilities put a label's rows before others; 0.5 is chance.",
    "pr_auc": "Area under the precision-recall curve; mean over labels.",
    "ece": "How far probabilities are from how often they are right. Less is better.",
    "loss": "What training makes small. Less is better.",
    "mae": "Mean distance from the true number. Less is better.",
    "rmse": "Root of the mean squared distance; large errors count more. Less is better.",
    "r2": "Share of the variance that is explained; 1 is perfect, 0 is the mean.",
    "pearson": "Linear correlation with the true numbers.",
    "spearman": "Correlation of the ranks.",
}


def sentence(finding: EvaluationFinding, language: Language) -> str:
    """Return what a finding says; in English where the other language has no words for it."""
    words = SENTENCES.get(finding.type) if language == "zh" else None
    if words is None:
        return finding.message
    named = {"label": finding.label, "other_label": finding.other_label}
    try:
        return words.format(**named, **finding.numbers)
    except KeyError:  # a finding of another release, with other numbers
        return finding.message


def translator(language: Language) -> Translate:
    """Return a function that gives a message in a language, with its values filled in."""
    known = CHINESE if language == "zh" else {}

    def translate(message: str, /, **values: object) -> str:
        text = known.get(message, message)
        return text.format(**values) if values else text

    return translate


def wish(wanted: Abstain, translate: Translate) -> str:
    """Return what a version answers, as it was asked for."""
    match wanted:
        case AbstainByPrecision():
            return translate(WISHES["precision"], precision=f"{wanted.precision:.1%}")
        case AbstainByCost():
            error, none = wanted.cost_of_error, wanted.cost_of_abstaining
            return translate(WISHES["cost"], error=f"{error:g}", none=f"{none:g}")
        case _:
            return translate(WISHES["coverage"], coverage=f"{wanted.coverage:.1%}")

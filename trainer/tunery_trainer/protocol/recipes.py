"""Recipes: what each decides of a fine-tune, and the rules for all the rest.

The server lists them, the trainer follows them. Measured figures: tests/bench/RESULTS.md.
"""

from typing import NamedTuple

from tunery.types import Recipe, RecipeName, RecipeRule

FEW_ROWS = 16  # median training rows of a class, below which a dataset is few-shot
FEW_ROWS_IN_ALL = 2_000  # training rows; where there are more, its many passes take too long
SCRATCH_BASE = "scratch-mini"  # the base model of the recipe `scratch`, and of no other
SCRATCH_POSITIONS = 128  # tokens that it takes
SCRATCH_BYTES = 4 << 20  # of its weights, at most
MEASURED = "measured on BANKING77: tests/bench/RESULTS.md"
MEASURED_SCRATCH = "measured on waimai_10k: tests/bench/RESULTS.md"
LP_FT = "Kumar et al. 2022, arXiv:2202.10054"
R_DROP = "Liang et al. 2021, arXiv:2106.14448"

TEACHER = "a teacher of the training rows gives every target"
# What `scratch` has no use for, since a row's target is a probability, and no label.
SCRATCH_OFF: dict[str, bool | float | str] = {
    "linear_probe": False,
    "label_names": False,
    "train_on_validation": False,
    "refit": False,
    "imbalance": "none",
}


class Choice(NamedTuple):
    """What a recipe gives a hyperparameter, and why."""

    value: bool | float | str | list[str]
    source: str


class Defaults(NamedTuple):
    """What a recipe decides; `rate` is the share of the learning rate that the rules give."""

    description: str
    choices: dict[str, Choice]
    rate: float = 1.0


RECIPES: dict[RecipeName, Defaults] = {
    "balanced": Defaults(
        "Several passes over the rows, until validation no longer improves; below 20,000 rows once "
        "more, as long, over training and validation rows together.",
        {},
    ),
    "fast": Defaults(
        "The head starts from a logistic regression, and one pass over the rows does the rest.",
        {
            "linear_probe": Choice(True, LP_FT),
            "epochs": Choice(1, MEASURED),
            "refit": Choice(False, "half the time"),
        },
    ),
    "best": Defaults(
        "As `balanced`, but each text passes twice, and both answers must agree; the median of "
        "three seeds is trained again over all rows. Four times as long.",
        {
            "seeds": Choice(
                3, "Mosbach et al. 2021, arXiv:2006.04884; Dodge et al. 2020, arXiv:2002.06305"
            ),
            "linear_probe": Choice(True, LP_FT),
            "rdrop": Choice(4.0, R_DROP),
        },
        rate=2.0,
    ),
    "few_shot": Defaults(
        "For fewer than 16 training rows a class: small steps, strong regularisation, the names of "
        "the labels as further rows, and no row kept back for validation.",
        {
            "linear_probe": Choice(True, LP_FT),
            "label_names": Choice(True, MEASURED),
            "train_on_validation": Choice(True, "Tunstall et al. 2022, arXiv:2209.11055"),
            "rdrop": Choice(4.0, R_DROP),
            "token_dropout": Choice(0.3, MEASURED),
            "label_smoothing": Choice(0.0, MEASURED),
            "epochs": Choice(20, "Mosbach et al. 2021, arXiv:2006.04884"),
        },
        rate=0.2,
    ),
    "scratch": Defaults(
        "Of `scratch-mini` alone: a small encoder and its tokenizer, made of the training rows. It "
        "learns from them, and from texts recombined out of them, what a TF-IDF of characters with "
        "logistic regression says of both; `tfidf_accuracy` and `tfidf_macro_f1` stand beside it.",
        {
            "learning_rate": Choice(1e-3, MEASURED_SCRATCH),
            "head_learning_rate": Choice(1e-3, "nothing is pre-trained that a head could spoil"),
            "batch_size": Choice(64, MEASURED_SCRATCH),
            "epochs": Choice(6, MEASURED_SCRATCH),
            "max_length": Choice(SCRATCH_POSITIONS, "the teacher has read the whole text"),
            "freeze": Choice([], "nothing is pre-trained"),
            "label_smoothing": Choice(0.0, "the teacher's probabilities are smoother already"),
            **{name: Choice(off, TEACHER) for name, off in SCRATCH_OFF.items()},
        },
    ),
}

_OFF = "off"
RULES: dict[str, tuple[str, str]] = {
    "learning_rate": (
        "5e-4 below 256 dimensions, 1e-4 to 512, 5e-5 to 768 with at most 6 layers, 2e-5 to 768, "
        "else 1e-5; times the root of batch_size / 32 above 32; a hundred times that for sgd, "
        "ten times that with peft",
        f"Devlin et al. 2019, arXiv:1810.04805; small encoders: {MEASURED}",
    ),
    "head_learning_rate": (
        "10 times learning_rate; the same with peft, and where a version's head is kept whole",
        "Howard & Ruder 2018, arXiv:1801.06146",
    ),
    "batch_size": (
        "16 below 2,000 rows, 32 to 50,000, else 64",
        "convention: few rows need many steps, Mosbach et al. 2021, arXiv:2006.04884",
    ),
    "epochs": (
        "20 below 500 rows, 10 below 2,000, 8 below 5,000, 4 below 50,000, 2 below 200,000, else 1",
        "Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987",
    ),
    "freeze": (
        "the embeddings, on a CPU, where the tokenizer knows 19 of 20 tokens, which saves a tenth "
        "of the time and a third of a checkpoint; else nothing",
        f"for `balanced` {MEASURED}",
    ),
    "layerwise_lr_decay": ("0.95 from 7 layers on, else 1", "Sun et al. 2019, arXiv:1905.05583"),
    "linear_probe": ("off; always where rows of a version's head are kept", MEASURED),
    "label_names": (_OFF, "many rows say more than the names"),
    "train_on_validation": (_OFF, "validation rows choose the stopping point"),
    "refit": (
        "below 20,000 training rows, where tunery took the validation rows out of them and neither "
        "max_steps nor max_minutes bounds the run",
        MEASURED,
    ),
    "seeds": ("1", "each takes as long as the first"),
    "rdrop": (_OFF, "twice the time of a step"),
    "token_dropout": (_OFF, "for few rows"),
    "imbalance": (
        "by rows of the largest class over those of the smallest: class weights from 3 on, "
        "above 10 weighted sampling, too",
        "convention",
    ),
    "gradient_checkpointing": ("where layers times dimensions reach 24,576", "memory"),
    "label_smoothing": ("0.1 from 20 labels on, else 0", "Szegedy et al. 2016, arXiv:1512.00567"),
    "dropout": ("the base model's", "Devlin et al. 2019, arXiv:1810.04805"),
    "max_length": (
        "99 of 100 training texts fit, in steps of 8, at most 256 tokens; no less than that of the "
        "version that is fine-tuned",
        "convention: attention grows with the square",
    ),
    "gradient_accumulation_steps": ("at most 16,384 padded tokens of one pass", "memory"),
    "precision": ("bf16 where a GPU has it, else fp32", "Kalamkar et al. 2019, arXiv:1905.12322"),
}


def listed() -> list[Recipe]:
    """Return every recipe with all its rules: its own first, then those of all."""
    return [
        Recipe(name=name, description=defaults.description, rules=_rules_of(defaults))
        for name, defaults in RECIPES.items()
    ]


def _rules_of(defaults: Defaults) -> list[RecipeRule]:
    found = {
        name: (str(choice.value).lower(), choice.source)
        for name, choice in defaults.choices.items()
    }
    if defaults.rate != 1.0:
        rule, source = RULES["learning_rate"]
        found["learning_rate"] = (f"{defaults.rate:g} times: {rule}", source)
    general = {name: rule for name, rule in RULES.items() if name not in found}
    return [
        RecipeRule(hyperparameter=name, rule=rule, source=source)
        for name, (rule, source) in (found | general).items()
    ]

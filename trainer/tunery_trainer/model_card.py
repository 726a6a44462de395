"""The model card: README.md of a model directory, with the five lines that load it elsewhere.

Only what is known is said; figures of the test split are the evaluation's.
"""

from collections.abc import Mapping

from tunery_trainer.model_files import FACTS_NAME, ModelFacts

CARD_NAME = "README.md"
_SHOWN_LABELS = 20
_KINDS = {
    "text_classification": "classifies texts, one label each",
    "multi_label": "gives texts any number of labels",
    "regression": "gives texts a number",
}
_READ_FACTS = f'facts = json.load(open("PATH/{FACTS_NAME}"))'
_ANSWERS = {
    "text_classification": 'print([facts["labels"][row.argmax()] for row in outputs])',
    "multi_label": 'print([[label for label, x, t in zip(facts["labels"], row, '
    'facts["fit"]["thresholds"] or [0.5] * len(row)) if 1 / (1 + math.exp(-x)) >= t] '
    "for row in outputs])",
    "regression": "print(outputs[:, 0])",
}
_ABSTAINS = (
    "tunery serves no answer whose probability, the largest of softmax(outputs / temperature), is "
    "not above the threshold of its label: both stand in `fit` of `tunery.json`."
)


def model_card(facts: ModelFacts, run: Mapping[str, str | int | float | bool | None]) -> str:
    """Return the card of a model; `run` are the facts of its manifest."""
    figures = [
        f"- {name.removeprefix('validation_')}: {value:.4f}"
        for name, value in run.items()
        if isinstance(value, float) and not name.startswith("hyperparameters.")
    ]
    lines = ["---", "library_name: sentence-transformers", "pipeline_tag: text-classification"]
    lines += ["tags: [tunery]", "---", "", f"# A model that {_KINDS[facts.task]}", ""]
    lines += [
        f"Fine-tuned by tunery from `{facts.base_model}`; what is longer than {facts.max_length} "
        "tokens is cut."
    ]
    if facts.labels:
        shown = ", ".join(f"`{label}`" for label in facts.labels[:_SHOWN_LABELS])
        more = len(facts.labels) - _SHOWN_LABELS
        lines += [f"Labels: {shown}{f' and {more} more' if more > 0 else ''}."]
    if figures:
        lines += ["", "On the validation rows:", "", *figures]
    if facts.task == "text_classification" and facts.fit.thresholds:
        lines += ["", _ABSTAINS]
    inputs = '[["a text", "and its pair"]]' if facts.pairs else '["a text"]'
    lines += ["", "Weights are safetensors, and sentence-transformers needs no other code:", ""]
    lines += ["```python", "import json, math"]
    lines += ["from sentence_transformers import SentenceTransformer", _READ_FACTS]
    lines += [f'outputs = SentenceTransformer("PATH").encode({inputs})', _ANSWERS[facts.task]]
    lines += ["```", "", "`manifest.json` has each file's sha256, the job, how it was trained.", ""]
    return "\n".join(lines)

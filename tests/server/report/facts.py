"""Facts of an evaluation, for the report's tests: any label and any text may be a payload."""

import msgspec
from tests.client.answers import DATASET, EVALUATION, JOB, VERSION

from tunery.types import Dataset, EvaluatedRow, Evaluation, Job, ModelVersion
from tunery_server.report.facts import Facts
from tunery_trainer.protocol.wire import OperatingPoint, Sketched

PAYLOADS = (
    "<script>document.title='ran'</script>",
    "</style><script>document.title='ran'</script>",
    "</title><script>document.title='ran'</script>",
    '"><img src=x onerror="document.title=\'ran\'">',
    "' onmouseover='document.title=1' x='",
    "<svg onload=document.title='ran'>",
    "</text></svg><script>document.title='ran'</script>",
    "]]><script>document.title='ran'</script>",
    "<!-- --><iframe srcdoc='<script>1</script>'>",
    "{{ 7 * 7 }}{% for x in y %}",
    "&lt;script&gt;&#60;b&#62;",
    "javascript:document.title='ran'",
    '=HYPERLINK("http://127.0.0.1","x")',
    "\u202egnp.exe\u2066\u200f",
    "\x00\x01\x0b\x1b[31m\x7f\x9b\ufffe",
    "[a](javascript:1) ![b](http://127.0.0.1/x.png) `c` | d | <b>",
    "# heading\n- item\n\n| a | b |\n|---|---|",
)


def facts_of(one: str = "AAAA", other: str = "BBBB", text: str = "CCCC") -> Facts:
    """Return facts of two labels, of which one row each was answered wrong."""
    nearest = {"line": 4, "text": text, "text_pair": text, "label": other, "similarity": 0.5}
    row = {"line": 3, "text": text, "text_pair": text, "score": 0.6, "margin": -0.2, "loss": 1.5,
           "nearest": [nearest]}  # fmt: skip
    errors = [
        row | {"row": 1, "label": one, "predicted": other},
        row | {"row": 2, "label": other, "predicted": one},
    ]
    scores = {"precision": 0.8, "recall": 0.9, "f1": 0.85, "support": 5}
    example = {"row": 1, "text": text, "label": one, "predicted": other}
    finding = {
        "type": "confused-pair",
        "label": one,
        "other_label": other,
        "message": f"{one!r} is taken for {other!r}",
        "numbers": {"rows": 2},
        "advice": text,
        "examples": [example],
    }
    fields = {
        "rows": 10,
        "metrics": {
            "accuracy": {"value": 0.8, "low": 0.7, "high": 0.9},
            "roc_auc": {"value": None, "reason": text},
            "coverage": {"value": 0.4, "low": 0.3, "high": 0.5},
            "selective_accuracy": {"value": 1.0, "low": 1.0, "high": 1.0},
        },
        "primary_metric": "accuracy",
        "baselines": {"majority": 0.5, "tfidf": 0.7},
        "per_class": [scores | {"label": one}, scores | {"label": other, "f1": None}],
        "confusion": {"labels": [one, other], "matrix": [[4, 1], [1, 4]]},
        "findings": [finding, finding | {"type": text, "examples": []}],
        "slices": [
            {"by": "length", "name": text, "rows": 5, "metric": "accuracy", "value": 0.8,
             "rest": 0.9, "gap": -0.1, "low": -0.2, "high": -0.01}
        ],
        "fit": {"verdict": "good", "metric": "accuracy", "train": 0.9, "validation": 0.8,
                "test": 0.8, "gap": 0.1, "low": 0.0, "high": 0.2, "baseline": 0.7},
        "calibration": {
            "temperature": 1.25,
            "ece_before": 0.1,
            "ece_after": 0.05,
            "bins": [{"low": 0.6, "high": 0.7, "rows": 10, "confidence": 0.65, "accuracy": 0.8}],
        },
        "abstention": {
            "wanted": {"by": "precision", "precision": 0.95},
            "labels": [
                {"label": one, "threshold": 0.5, "rows": 6, "answered": 4, "precision": 1.0},
                {"label": other, "threshold": 1.0, "rows": 4, "answered": 0, "precision": None},
            ],
        },
        "latency": {"device": text, "threads": 2, "single": {"p50_ms": 3.5, "p95_ms": 6.25},
                    "eight": {"p50_ms": 9.0, "p95_ms": 12.0}},
        "lineage": {"datasets": ["ds_1"], "lost": [], "compared": 7, "overlap": 1,
                    "without": {"accuracy": {"value": 0.75}}},
    }  # fmt: skip
    points = [
        OperatingPoint(score=0.95, answered=0.2, precision=1.0, recall=0.2),
        OperatingPoint(score=0.6, answered=1.0, precision=0.8, recall=0.8),
    ]
    return Facts(
        evaluation=msgspec.convert(EVALUATION | fields, Evaluation),
        dataset=msgspec.convert(DATASET | {"name": text}, Dataset),
        version=msgspec.convert(VERSION | {"base_model": text}, ModelVersion),
        resolved=msgspec.convert(JOB, Job).resolved,
        sketch=Sketched(
            id=1,
            errors=msgspec.convert(errors, list[EvaluatedRow]),
            wrong=2,
            points=points,
            numbers=[],
        ),
    )

"""The page: a report as HTML that needs nothing else, runs nothing, and prints well."""

import base64
import functools
import hashlib
from collections.abc import Sequence
from importlib import resources

from markupsafe import Markup

from tunery import __version__
from tunery.types import EvaluationFinding, EvaluationPlot
from tunery_server.report import plots
from tunery_server.report.facts import Facts, confused_pairs
from tunery_server.report.templating import pages
from tunery_server.report.wording import GLOSSARY, TITLES, Language, sentence, translator, wish

_MAX_PAIRS = 20


def html(facts: Facts, language: Language) -> str:
    """Return the page."""
    evaluation, sketch = facts.evaluation, facts.sketch
    pairs = [] if evaluation.confusion is None else confused_pairs(evaluation.confusion)
    errors = [] if sketch is None else sketch.errors
    abstention, translate = evaluation.abstention, translator(language)
    return (
        pages()
        .get_template("page.html")
        .render(
            facts=facts,
            evaluation=evaluation,
            sketch=sketch,
            primary=evaluation.metrics.get(evaluation.primary_metric or ""),
            pairs=pairs[:_MAX_PAIRS],
            more_pairs=max(0, len(pairs) - _MAX_PAIRS),
            errors_of={
                (pair.true, pair.predicted): [
                    row
                    for row in errors
                    if (row.label, row.predicted) == (pair.true, pair.predicted)
                ]
                for pair in pairs[:_MAX_PAIRS]
            },
            findings=_by_type(evaluation.findings),
            wish=None if abstention is None else wish(abstention.wanted, translate),
            classes=sorted(evaluation.per_class, key=lambda each: each.f1 or 0.0),
            drawings={plot: plots.drawing_of(facts, plot) for plot in plots.PLOTS},
            style=Markup(_style()),
            policy=policy(),
            glossary=GLOSSARY,
            titles=TITLES,
            t=translate,
            sentence=functools.partial(sentence, language=language),
            tag="zh-Hans" if language == "zh" else "en",
            tunery=__version__,
        )
    )


def svg(facts: Facts, plot: EvaluationPlot, language: Language) -> str | None:
    """Return one plot as a file, or None where there is nothing to show."""
    drawing = plots.drawing_of(facts, plot)
    if drawing is None:
        return None
    return pages().get_template(f"{plot}.svg").render(drawing=drawing, t=translator(language))


def _by_type(findings: Sequence[EvaluationFinding]) -> dict[str, list[EvaluationFinding]]:
    """Return findings of a type together, in the order of the first of each."""
    found: dict[str, list[EvaluationFinding]] = {}
    for finding in findings:
        found.setdefault(finding.type, []).append(finding)
    return found


@functools.cache
def policy() -> str:
    """Return the content security policy: nothing runs or is loaded, but the page's own style."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@functools.cache
def _style() -> str:
    return resources.files("tunery_server.report").joinpath("templates/page.css").read_text("utf-8")

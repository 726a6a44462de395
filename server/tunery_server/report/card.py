"""The model card: an evaluation's measured facts as Markdown, in English, without a row of data."""

from tunery_server.report.facts import Facts
from tunery_server.report.templating import cards
from tunery_server.report.wording import translator, wish


def markdown(facts: Facts) -> str:
    """Return the card."""
    evaluation, dataset = facts.evaluation, facts.dataset
    abstention = evaluation.abstention
    return (
        cards()
        .get_template("card.md")
        .render(
            facts=facts,
            evaluation=evaluation,
            name=evaluation.version or evaluation.checkpoint,
            dataset=evaluation.dataset if dataset is None else f"{dataset.name}/{dataset.version}",
            wish=None if abstention is None else wish(abstention.wanted, translator("en")),
            classes=sorted(evaluation.per_class, key=lambda each: each.f1 or 0.0),
        )
    )

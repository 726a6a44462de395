"""The model card: facts as Markdown, and no text of the data as markup."""

import pytest
from markdown_it import MarkdownIt
from tests.server.report.facts import PAYLOADS, facts_of

from tunery_server.report.card import markdown


def kinds(source: str) -> list[str]:
    """Return the kinds of what a reader of Markdown makes of it, also inside of lines."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        found.append(token.type)
        found += [child.type for child in token.children or [] if child.type != "text_special"]
    return [kind for kind in found if kind != "text"]


def test_the_card_tells_figures_limits_labels_and_lineage() -> None:
    card = markdown(facts_of())

    for line in (
        "# intent/3 on CCCC/1",
        "| accuracy | 0.800 | 0.700 to 0.900 |",
        "Baselines, as accuracy: majority 0.500, tfidf 0.700.",
        "- 'AAAA' is taken for 'BBBB'.",
        "| AAAA | 5 | 0.800 | 0.900 | 0.850 |",
        "- rows seen in training: 1 of 10, compared with 7",
        "- hyperparameters: learning\\_rate 0.0002",
    ):
        assert line in card.splitlines()


def test_the_card_has_no_row_of_the_data() -> None:
    facts = facts_of()
    (example,) = facts.evaluation.findings[0].examples

    card = markdown(facts_of(text="CCCC"))

    assert example.text == facts.sketch.errors[0].text == "CCCC"
    told = [line for line in card.splitlines() if "CCCC" in line]
    # Its name, a reason, and of the lineage device, dataset and base model.
    assert [line.split()[0] for line in told] == ["#", "|", "-", "-", "-"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_stays_a_text(payload: str) -> None:
    plain = kinds(markdown(facts_of()))

    given = kinds(markdown(facts_of(payload, f"{payload} 2", payload)))

    assert given == plain

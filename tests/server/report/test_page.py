"""The page: what it says, and that no text of the data becomes more than a text."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace
from tests.server.report.facts import PAYLOADS, facts_of

from tunery_server.report import page
from tunery_server.report.plots import PLOTS
from tunery_server.report.wording import Language
from tunery_trainer.protocol.wire import Sketched


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and its texts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_payload_adds_no_element_and_no_attribute(payload: str, language: Language) -> None:
    plain = Skeleton(page.html(facts_of(), language))

    given = Skeleton(page.html(facts_of(payload, f"{payload} ", payload), language))

    assert given.elements == plain.elements
    assert "script" not in {element[0] for element in given.elements}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_plots_of_a_payload_are_well_formed_and_add_no_element(payload: str) -> None:
    drawn = []
    for plot in PLOTS:
        plain = page.svg(facts_of(), plot, "en")
        given = page.svg(facts_of(payload, f"{payload} ", payload), plot, "en")
        if plain is None or given is None:
            assert plain is given
            continue
        tags = [
            [(each.tag, list(each.attrib)) for each in ElementTree.fromstring(source).iter()]
            for source in (plain, given)
        ]
        assert tags[0] == tags[1]
        drawn.append(plot)
    assert drawn == ["baselines", "confusion", "reliability", "precision", "abstention"]


def test_what_turns_the_direction_or_is_not_seen_is_shown_as_its_escape() -> None:
    shown = page.html(facts_of(one="a\u202eb\x00c\x1bd\u200ee"), "en")

    assert r"a\u202eb\u0000c\u001bd\u200ee" in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u200e]", shown)


def test_texts_of_other_scripts_stay_as_they_are() -> None:
    text = "مرحبا 👩\u200d🚀 好 é"

    assert text in page.html(facts_of(text=text), "en")


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    shown = Skeleton(page.html(facts_of(), "en"))

    names = {name for element in shown.elements for name in element[1:]}
    assert not [
        name for name in names if name.startswith("on") or name in ("src", "style", "srcset")
    ]
    assert {element[0] for element in shown.elements} & {"script", "link", "img", "iframe"} == set()
    links = re.findall(r'href="([^"]*)"', page.html(facts_of(), "en"))
    assert links
    assert all(link.startswith("#") for link in links)


def test_every_link_of_the_page_has_its_place() -> None:
    source = page.html(facts_of(), "en")

    assert set(re.findall(r'href="#([^"]*)"', source)) == set(re.findall(r' id="([^"]*)"', source))


def test_the_page_tells_figures_baselines_findings_errors_and_facts() -> None:
    text = Skeleton(page.html(facts_of(), "en")).text

    for told in (
        "Evaluation of intent/3",
        "10 rows of split test, dataset CCCC/1",
        "0.800 accuracy 0.700 to 0.900 with 95 % confidence",
        "Two labels are taken for each other 'AAAA' is taken for 'BBBB'",
        "roc_auc – CCCC",
        "AAAA BBBB 1 20.0%",
        "0.5 100.0% 80.0% 80.0%",
        "0.95 20.0% 100.0% 20.0%",
        "at least 95.0% of like answers were right on validation rows.",
        "AAAA 0.500 6 4 1.000 BBBB never 4 0 –",
        "Calibration error 0.050, and 0.100 before the temperature of 1.250",
        "length: CCCC 5 0.800 0.900 -0.100 -0.200 … -0.010",
        "1 of 10, compared with 7 rows of the lineage; accuracy without them: 0.750",
        "3.500 ms for half of single texts, 6.250 ms for 19 of 20; CCCC, 2 threads",
        "learning_rate 0.0002",
        "All: tunery errors eval_1",
        "most alike in training: CCCC ↳ CCCC ( BBBB )",
    ):
        assert told in text


def test_the_page_speaks_chinese() -> None:
    source = page.html(facts_of(), "zh")

    text = Skeleton(source).text
    assert '<html lang="zh-Hans">' in source
    assert "intent/3 的评估" in text
    assert "两个标签互相混淆" in text
    assert "回答正确的行的比例。" in text
    assert "在验证数据上同类回答至少有 95.0% 正确时才回答。" in text


def test_what_is_not_known_is_left_out() -> None:
    facts = facts_of()
    bare = replace(
        facts.evaluation,
        findings=[],
        slices=[],
        fit=None,
        calibration=None,
        abstention=None,
        latency=None,
        lineage=None,
        confusion=None,
        per_class=[],
        baselines={},
        primary_metric=None,
    )

    source = page.html(
        replace(facts, evaluation=bare, sketch=None, dataset=None, version=None, resolved={}), "en"
    )

    text = Skeleton(source).text
    assert "Nothing stands out by more than chance." in text
    assert "The rows were deleted with their dataset; the figures stay." in text
    assert set(re.findall(r'href="#([^"]*)"', source)) == {"findings", "figures", "errors", "facts"}


def test_numbers_are_drawn_as_points() -> None:
    facts = facts_of()
    numbers = [(1.0, 2.0), (3.0, -1.0)]
    sketch = Sketched(id=1, errors=facts.sketch.errors, wrong=2, points=[], numbers=numbers)

    shown = page.html(replace(facts, sketch=sketch), "en")
    drawn = page.svg(replace(facts, sketch=sketch), "numbers", "en")

    assert "A point is a row; right answers stand on the dashed line." in shown
    assert drawn is not None
    centres = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    assert centres == [("214.0", "87.0"), ("364.0", "312.0")]


def test_findings_of_a_type_stand_together_in_their_first_order() -> None:
    facts = facts_of()
    finding = facts.evaluation.findings[1]
    told = [("weak-slice", "first"), ("over-fit", "second"), ("weak-slice", "third")]
    found = [replace(finding, type=kind, message=message) for kind, message in told]

    shown = page.html(replace(facts, evaluation=replace(facts.evaluation, findings=found)), "en")

    words = ("One kind of rows", "first", "third", "by heart", "second")
    places = [shown.index(word) for word in words]
    assert places == sorted(places)


def test_the_policy_names_the_style_of_the_page() -> None:
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'",
        page.policy(),
    )

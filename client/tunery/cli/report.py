"""The report of a file or a dataset as a page: counts, bars, first examples, what to do next."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from tunery._language import Translate
from tunery.cli.tables import bar, facts, table
from tunery.types import ColumnsUsed, Finding, LengthReport, Report, RowGroup

SHOWN_FINDINGS = 10
SHOWN_EXAMPLES = 3
SHOWN_LABELS = 12
_TEXT_CHARACTERS = 60
_FLAGS = {  # of the command line, for what the hints call by its name in the API
    "empty-text": "--empty drop",
    "exact-duplicates": "--duplicates drop",
    "conflicting-duplicates": "--conflicts majority",
    "near-duplicate-labels": "--labels merge",
    "mixed-label-type": "--labels merge",
    "missing-column": "--text NAME --label NAME",
}


def report_page(report: Report, title: str, translate: Translate) -> RenderableType:
    """Return the whole page."""
    return Group(*_parts(report, title, translate))


def columns_told(columns: ColumnsUsed) -> str:
    """Return which columns became which, such as `premise + hypothesis → label`."""
    pair = "" if columns.text_pair is None else f" + {columns.text_pair}"
    return f"{columns.text}{pair} → {columns.label}"


def _parts(report: Report, title: str, translate: Translate) -> Iterator[RenderableType]:
    verdict = _verdict(report, translate)
    yield Text.assemble((title, "bold"), "  ", verdict)
    yield Padding(facts(_read(report, translate), translate), (0, 0, 1, 0), expand=False)
    if any(report.labels.counts.values()):
        yield _labels(report, translate)
    if report.transforms:
        yield _transforms(report, translate)
    if report.errors:
        yield _findings("errors", report.errors, report.errors_total, "red", translate)
    if report.warnings:
        yield _findings("warnings", report.warnings, report.warnings_total, "yellow", translate)
    yield from _examples(report, translate)
    yield _next_steps(report, translate)


def _verdict(report: Report, translate: Translate) -> Text:
    if report.errors_total:
        return Text(translate("rejected"), style="bold red")
    if report.warnings_total:
        return Text(translate("accepted, with warnings"), style="bold yellow")
    return Text(translate("accepted"), style="bold green")


def _read(report: Report, translate: Translate) -> Iterator[tuple[str, str | None]]:
    yield "rows", translate("{rows} read, {accepted} accepted", rows=f"{report.rows:,}",
                            accepted=f"{report.accepted:,}")  # fmt: skip
    if report.columns is not None:
        guessed = translate(" (guessed)") if report.columns.inferred else ""
        yield "columns", columns_told(report.columns) + guessed
    if report.dialect is not None:
        delimiter = report.dialect.delimiter
        named = {",": "", "\t": "tab", None: ""}.get(delimiter, str(delimiter))
        parts = [report.dialect.format, report.encoding, report.dialect.newline, named]
        yield "format", ", ".join(part for part in parts if part)
    splits = report.splits or {
        split: sum(counts.values()) for split, counts in report.labels.counts.items()
    }
    yield "splits", ", ".join(f"{split} {rows:,}" for split, rows in splits.items()) or None
    yield "left out", f"{report.dropped_total:,}" if report.dropped_total else None
    yield from _texts(report, translate)


def _texts(report: Report, translate: Translate) -> Iterator[tuple[str, str | None]]:
    """Yield what the texts are made of; of the scripts, those that a percentage shows."""
    if report.lengths is not None:
        yield "tokens", _lengths(report.lengths, translate)
    shares = sorted(report.scripts.items(), key=lambda each: -each[1])
    shown = [f"{translate(name)} {share:.0%}" for name, share in shares if share >= 0.005]
    yield "scripts", ", ".join(shown) or None
    held = [f"{translate(kind)} {rows:,}" for kind, rows in report.personal_data.items() if rows]
    yield "personal data", ", ".join(held) or None


def _lengths(lengths: LengthReport, translate: Translate) -> str:
    shown = translate(
        "{p50} in the median, 95 % {p95}, 99 % {p99}, at most {max}; max_length {suggested}",
        p50=lengths.p50, p95=lengths.p95, p99=lengths.p99, max=lengths.max,
        suggested=lengths.suggested_max_length,
    )  # fmt: skip
    if lengths.unknown_share < 0.0005:
        return shown
    unknown = translate(
        "; {share} unknown to {model}",
        share=f"{lengths.unknown_share:.1%}",
        model=lengths.base_model,
    )
    return shown + unknown


def _labels(report: Report, translate: Translate) -> RenderableType:
    totals: dict[str, int] = {}
    for counts in report.labels.counts.values():
        for label, count in counts.items():
            totals[label] = totals.get(label, 0) + count
    ordered = sorted(totals.items(), key=lambda each: (-each[1], each[0]))
    most = max(totals.values(), default=1)
    shown = ordered if len(ordered) <= SHOWN_LABELS else ordered[: SHOWN_LABELS - 3]
    rows = [(label, f"{count:,}", bar(count / most)) for label, count in shown]
    if len(ordered) > SHOWN_LABELS:
        rows += [("…", "", ""), *((label, f"{n:,}", bar(n / most)) for label, n in ordered[-2:])]
    head = translate("{count} labels", count=len(ordered))
    return Padding(table([head, ">rows", ""], rows, translate), (0, 0, 1, 0), expand=False)


def _transforms(report: Report, translate: Translate) -> RenderableType:
    rows = [
        (each.op, f"{each.rows_changed:,}", f"{each.rows_removed:,}") for each in report.transforms
    ]
    made = table(["transforms", ">rows changed", ">rows removed"], rows, translate)
    return Padding(made, (0, 0, 1, 0), expand=False)


def _findings(
    head: str, findings: list[Finding], total: int, style: str, translate: Translate
) -> RenderableType:
    shown = findings[:SHOWN_FINDINGS]
    rows = [
        (
            "" if each.line is None else f"{each.line:,}",
            Text(each.code, style=style),
            each.message if each.split is None else f"{each.split}: {each.message}",
        )
        for each in shown
    ]
    made = table([">line", f"{head}", ""], rows, translate)
    left = total - len(shown)
    more = Text(translate("and {count} more", count=f"{left:,}"), style="dim") if left else Text()
    return Padding(Group(made, more) if left else made, (0, 0, 1, 0), expand=False)


def _examples(report: Report, translate: Translate) -> Iterator[RenderableType]:
    kinds = (
        ("repeated rows", report.duplicates.exact, report.duplicates.groups),
        ("texts under several labels", report.conflicts.texts, report.conflicts.examples),
        ("training texts that a held-out split has",
         report.leakage.normalised + report.leakage.near, report.leakage.examples),
    )  # fmt: skip
    for head, count, groups in kinds:
        if count:
            rows = [_group(group) for group in groups[:SHOWN_EXAMPLES]]
            heads = [f"{translate(head)}: {count:,}", "labels", "lines"]
            yield Padding(table(heads, rows, translate), (0, 0, 1, 0), expand=False)
    if report.labels.variants:
        rows = [
            (each.canonical, ", ".join(f"{name!r} × {n:,}" for name, n in each.variants.items()),
             ", ".join(map(translate, each.why)))
            for each in report.labels.variants[:SHOWN_FINDINGS]
        ]  # fmt: skip
        yield Padding(
            table(["label", "also written", "differs in"], rows, translate),
            (0, 0, 1, 0),
            expand=False,
        )


def _group(group: RowGroup) -> tuple[str, str, str]:
    text = " ".join(f"{group.text} {group.text_pair or ''}".split())
    shown = text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"
    return shown, ", ".join(group.labels), ", ".join(map(str, group.lines[:6]))


def _next_steps(report: Report, translate: Translate) -> RenderableType:
    """Return the hints of what was found, each once, what rejects first."""
    hints: dict[str, str] = {}
    for finding in [*report.errors, *report.warnings]:
        hints.setdefault(finding.code, finding.hint)
    if not hints:
        return Text(translate("Nothing to mend."))
    lines = [Text(translate("what to do next"), style="bold")]
    lines += [
        Text(f"  {code}: {translate(hint)}" + (f" ({_FLAGS[code]})" if code in _FLAGS else ""))
        for code, hint in list(hints.items())[:SHOWN_FINDINGS]
    ]
    lines.append(Text(translate("  More on each: tunery problems CODE"), style="dim"))
    return Group(*lines)

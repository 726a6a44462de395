"""What the demo prints: reports, progress, figures and answers as aligned text.

Takes what the service answered, as JSON gives it. Asks nothing itself.
"""

import sys
import time
import unicodedata
from datetime import datetime
from typing import Any

MANY_CLASSES = 10  # above, only the weakest are shown


def heading(title: str, text: str) -> None:
    """Begin a step."""
    print(f"\n{title:<12}{text}", flush=True)


def report(found: Any, dataset: Any) -> None:
    """Print what the ingest found: sizes, then every fault with its lines."""
    heading("report", f"{dataset['name']}/{dataset['version']} is {dataset['status']}")
    counts = found["labels"]["counts"]
    _fact("rows", f"{found['rows']} read, {found['accepted']} accepted")
    _fact("splits", ", ".join(f"{split} {sum(n.values())}" for split, n in counts.items()))
    _fact("labels", str(len({label for labels in counts.values() for label in labels})))
    for name, groups in (
        ("duplicate", found["duplicates"]["groups"]),
        ("conflict", found["conflicts"]["examples"]),
        ("overlap", found["leakage"]["examples"]),
    ):
        for group in groups[:5]:
            lines = ", ".join(map(str, group["lines"]))
            _fact(name, f"lines {lines}", ", ".join(group["labels"]), _short(group["text"]))
    for group in found["labels"]["variants"][:5]:
        spellings = ", ".join(f"{label!r} on {n}" for label, n in group["variants"].items())
        why = ", ".join(group["why"])
        place = _variant_line(found, group)
        _fact("label", place, repr(group["canonical"]), f"also written {spellings} ({why})")
    for finding in found["errors"][:10]:
        line = f"line {finding['line']}" if finding["line"] else ""
        _fact("error", line, finding["code"], finding["message"])


def progress(job: Any, loss: float | None) -> str:
    """Return one line on where the job is."""
    state = job["progress"]
    if job["status"] == "queued" and job["queue"]:
        return f"queued, {job['queue']['reason']}, {job['queue']['position']} in line"
    if state is None:
        return str(job["status"])
    parts = [_padded(state["phase"], 12)]
    if state["total_steps"]:
        parts.append(f"step {state['step']:>4}/{state['total_steps']}")
    if loss is not None:
        parts.append(f"loss {loss:.3f}")
    if state["examples_per_second"]:
        parts.append(f"{state['examples_per_second']:.0f} examples/s")
    if state["eta_seconds"] is not None and not job["terminal"]:
        parts.append(f"{duration(state['eta_seconds'])} left")
    return "  ".join(parts).rstrip()


def evaluation(result: Any) -> None:
    """Print the figures, and the classes: all of a few, the weakest of many."""
    heading("evaluation", f"{result['rows']} rows of {result['split']}, which training never saw")
    for name in ("accuracy", "macro_f1"):
        value = result["metrics"][name]["value"]
        _fact(name, "undefined" if value is None else f"{value:.3f}")
    classes = result["per_class"]
    if len(classes) > MANY_CLASSES:
        classes = sorted(classes, key=lambda row: row["f1"] or 0.0)[:5]
        print(f"  the {len(classes)} weakest of {len(result['per_class'])} classes:")
    width = max(12, *(_columns(row["label"]) + 2 for row in classes))
    print(f"\n  {_padded('class', width)}precision   recall       f1  rows")
    for row in classes:
        figures = (row[name] for name in ("precision", "recall", "f1"))
        text = "".join(f"{'-' if value is None else f'{value:.3f}':>9}" for value in figures)
        print(f"  {_padded(row['label'], width)}{text}{row['support']:>6}")


def predictions(answer: Any, texts: list[str], truth: list[str]) -> None:
    """Print the answers; where the truth is known, what is wrong."""
    heading("predict", f"{answer['version']} answers")
    for i, prediction in enumerate(answer["predictions"]):
        wrong = truth and truth[i] != prediction["label"]
        remark = f"   (it is {truth[i]})" if wrong else ""
        label = _padded(prediction["label"], 16)
        print(f"  {label}{prediction['score']:.3f}  {_short(texts[i])}{remark}")


def commands(lines: list[str]) -> None:
    """Print the curl lines that repeat each step against a server of one's own."""
    print("\nthe same by hand; put the id of each answer into the variable that its line names:")
    print("  .venv/bin/tunery serve --data-dir tunery-data &")
    print("  URL=http://127.0.0.1:8000 KEY=$(cat tunery-data/admin.key)")
    for line in lines:
        print(f"  {line}")


class Line:
    """A line that is written over in a terminal, and written anew every few seconds elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stdout.isatty()
        self._last, self._at = "", 0.0

    def __call__(self, text: str) -> None:
        """Show the text, if it is new and it is time."""
        due = self._terminal or time.monotonic() - self._at >= 3.0
        if self._quiet or text == self._last or not due:
            return
        self._last, self._at = text, time.monotonic()
        print(f"\r  {text}\x1b[K" if self._terminal else f"  {text}", flush=True,
              end="" if self._terminal else "\n")  # fmt: skip

    def end(self) -> None:
        """Leave the line as it stands."""
        if self._last and self._terminal:
            print()


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def elapsed(job: Any) -> str:
    """Return how long a job that has ended ran."""
    start, end = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return duration((end - start).total_seconds())


def _fact(name: str, *cells: str) -> None:
    widths = (18, 18, 0)
    text = "".join(_padded(cell, width) for cell, width in zip(cells, widths, strict=False))
    print(f"  {name:<12}{text}".rstrip())


def _variant_line(found: Any, group: Any) -> str:
    for finding in found["warnings"]:
        if finding["code"] == "near-duplicate-labels" and group["canonical"] in finding["message"]:
            return f"line {finding['line']}" if finding["line"] else ""
    return ""


def _columns(text: str) -> int:
    """Return how many columns of a terminal the text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _padded(text: str, width: int) -> str:
    return text + " " * max(min(width, 1), width - _columns(text))


def _short(text: str, length: int = 64) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"

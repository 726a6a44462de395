"""Progress: a running job in a terminal, redrawn in place; elsewhere a line now and then.

`job.wait(progress=True)` and `tunery jobs watch` both draw with this.
"""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunery._language import Translate, translator
from tunery._settings import Language, locale_language
from tunery.types import Event, Job

BARS = "▁▂▃▄▅▆▇█"
CURVE_CELLS = 24
PLAIN_SECONDS = 5.0  # between two lines where nothing can be redrawn


class JobProgress:
    """Shows what it is told of one job."""

    def __init__(self, console: Console | None = None, language: Language | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._translate = translator(language or locale_language())
        self._job: Job | None = None
        self._losses: list[float] = []
        self._scores = ""
        self._printed = ""
        self._printed_at = 0.0
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            vertical_overflow="crop",
        )

    def update(self, job: Job) -> None:
        """Show the job as it is now."""
        self._job = job
        if self._console.is_terminal:
            self._live.refresh()
            return
        line = f"{job.id} {progress_text(job, self._losses, self._translate)}"
        changed = line.split()[:2] != self._printed.split()[:2] or job.terminal
        due = changed or time.monotonic() - self._printed_at > PLAIN_SECONDS
        if due and line != self._printed:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            self._printed, self._printed_at = line, time.monotonic()

    def event(self, event: Event) -> None:
        """Take what an event says: losses, scores, notes, warnings."""
        loss = event.data.get("loss")
        if event.type == "metric" and isinstance(loss, int | float):
            self._losses.append(float(loss))
        score = event.data.get("macro_f1")
        if event.type == "metric" and isinstance(score, int | float):
            self._scores = f"macro-F1 {score:.3f}"
        if event.type == "log":
            self._console.print(Text(str(event.data.get("message", ""))))
        if event.type == "warning":
            message = f"{event.data.get('code', '')}: {event.data.get('message', '')}"
            self._console.print(Text(message, style="yellow"))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def _render(self) -> RenderableType:
        if self._job is None:
            return Text("…")
        head = Text.assemble((title_of(self._job), "bold"), "  ", (self._job.id, "dim"))
        state = self._job.progress
        words = progress_text(self._job, self._losses, self._translate)
        if state is None or not state.total_steps or self._job.status == "queued":
            return Group(head, Text(words))
        share = min(1.0, state.step / state.total_steps)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=1.0, completed=share, width=30),
            Text(f"{share:4.0%}"),
            Text(sparkline(self._losses, CURVE_CELLS), style="cyan"),
            Text(self._scores, style="green"),
        )
        return Group(head, bar, Text(words))


def title_of(job: Job) -> str:
    """Return what a job does, and to what."""
    spec: dict[str, Any] = job.spec
    subject = spec.get("model") or spec.get("version") or spec.get("name") or ""
    return f"{job.kind} {subject}".strip()


def progress_text(job: Job, losses: list[float], translate: Translate) -> str:
    """Return in one line where a job is."""
    if job.status == "queued":
        return _queue_text(job, translate)
    state = job.progress
    if job.terminal or state is None:
        reason = f" ({job.stop_reason})" if job.stop_reason else ""
        return translate(job.status) + reason
    parts = [translate(job.status) if job.status != "running" else translate(state.phase)]
    if state.total_steps:
        parts.append(translate("step {step}/{total}", step=state.step, total=state.total_steps))
    if losses and state.total_steps:  # before its first step an attempt has none of its own
        parts.append(translate("loss {loss:.3f}", loss=losses[-1]))
    if state.examples_per_second:
        parts.append(translate("{rate:.0f} examples/s", rate=state.examples_per_second))
    if state.eta_seconds is not None and state.step < state.total_steps:
        parts.append(translate("{time} left", time=duration(state.eta_seconds, translate)))
    return "  ".join(parts)


def sparkline(values: list[float], cells: int) -> str:
    """Return a curve as a row of bars: the mean of each part, between the least and the most."""
    if not values:
        return ""
    count = min(cells, len(values))
    parts = [
        values[i * len(values) // count : (i + 1) * len(values) // count] for i in range(count)
    ]
    means = [sum(part) / len(part) for part in parts]
    least, most = min(means), max(means)
    span = (most - least) or 1.0
    return "".join(BARS[round((mean - least) / span * (len(BARS) - 1))] for mean in means)


def duration(seconds: float, translate: Translate) -> str:
    """Return a time as a person says it."""
    if seconds < 90:
        return translate("{seconds:.0f} s", seconds=seconds)
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return translate("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
    hours, minutes = divmod(minutes, 60)
    return translate("{hours} h {minutes} min", hours=hours, minutes=minutes)


def _queue_text(job: Job, translate: Translate) -> str:
    if job.queue is None:
        return translate("queued")
    reason = translate(job.queue.reason)
    text = translate(
        "queued, number {position}: {reason}", position=job.queue.position, reason=reason
    )
    if job.queue.eta_seconds is not None:
        left = duration(job.queue.eta_seconds, translate)
        text += translate(", starts in {time}", time=left)
    return text

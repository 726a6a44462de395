"""`tunery predict`: texts in, labels out."""

import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import click

from tunery.cli.options import Command, completing, deployment_names
from tunery.cli.terminal import Terminal


@click.command(cls=Command)
@click.argument("model", shell_complete=completing(deployment_names))
@click.argument("texts", nargs=-1)
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text a line; without it and without TEXTS, stdin.",
)
@click.option("--top-k", type=click.IntRange(1), default=1, show_default=True, help="Labels each.")
@click.pass_obj
def predict(
    terminal: Terminal, model: str, texts: tuple[str, ...], path: Path | None, top_k: int
) -> None:
    """Ask a deployment about texts: MODEL about TEXTS, the lines of a file, or stdin.

    Prints a line per text: label, score, and the text; with --json an object a line.
    """
    if texts and path is not None:
        raise click.UsageError(terminal.translate("give TEXTS or --file"))
    asked: deque[str] = deque()  # what is on its way

    def inputs() -> Iterator[str]:
        for text in texts or _lines(path, terminal):
            asked.append(text)
            yield text

    for response in terminal.client.predict.responses(model, inputs(), top_k=top_k):
        for prediction in response.predictions:
            text = asked.popleft()
            if terminal.json:
                terminal.line({"text": text, "version": response.version, "prediction": prediction})
                continue
            shown = " ".join(text.split())
            scores = "\t".join(f"{each.label}\t{each.score:.4f}" for each in prediction.scores)
            terminal.text([f"{scores}\t{shown}"])


def _lines(path: Path | None, terminal: Terminal) -> Iterator[str]:
    """Yield the lines of a file or of stdin; empty ones are left out, and counted."""
    if path is None and sys.stdin.isatty():
        terminal.say("One text a line; Ctrl-D ends.")
    empty = 0
    with sys.stdin if path is None else path.open(encoding="utf-8-sig") as lines:
        for line in lines:
            if line.strip():
                yield line.rstrip("\r\n")
            else:
                empty += 1
    if empty:
        terminal.say("{count} empty lines were left out", count=empty)

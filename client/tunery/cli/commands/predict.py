"""`tunery predict`: texts in, labels out."""

import io
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from tunery.cli.failures import USAGE, CommandFailed
from tunery.cli.options import Command, completing, deployment_names
from tunery.cli.terminal import Terminal
from tunery.types import Prediction, TextInput, TextPair


@click.command(cls=Command)
@click.argument("model", shell_complete=completing(deployment_names))
@click.argument("texts", nargs=-1)
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text a line; without it and without TEXTS, stdin.",
)
@click.option("--pairs", is_flag=True, help="Each is two texts with a tab between.")
@click.option("--top-k", type=click.IntRange(1), default=1, show_default=True, help="Labels each.")
@click.pass_obj
def predict(
    terminal: Terminal,
    model: str,
    texts: tuple[str, ...],
    path: Path | None,
    pairs: bool,
    top_k: int,
) -> None:
    """Ask a deployment about texts: MODEL about TEXTS, the lines of a file, or stdin.

    Prints a line per text: label, score, and the text; of multi_label the given labels go
    first, of regression the number alone. Where the version abstains, what it would have
    answered follows on "abstain:". With --json an object a line.
    """
    if texts and path is not None:
        raise click.UsageError(terminal.translate("give TEXTS or --file"))
    asked: deque[TextInput] = deque()  # what is on its way

    def inputs() -> Iterator[TextInput]:
        for text in texts or _lines(path, terminal):
            asked.append(_pair(text, terminal) if pairs else text)
            yield asked[-1]

    cut = tokens = total = abstained = 0
    for response in terminal.client.predict.responses(model, inputs(), top_k=top_k):
        for prediction in response.predictions:
            text = asked.popleft()
            total += 1
            abstained += prediction.decision == "abstain"
            if prediction.truncated:
                cut, tokens = cut + 1, max(tokens, prediction.tokens)
            if terminal.json:
                terminal.line({"text": text, "version": response.version, "prediction": prediction})
                continue
            whole = text if isinstance(text, str) else f"{text.text} | {text.text_pair}"
            shown = " ".join(whole.split())
            terminal.text([f"{_told(prediction)}\t{shown}"])
    if abstained:
        terminal.say(
            "{abstained} of {total} texts are not answered: the version is not sure enough",
            abstained=f"{abstained:,}",
            total=f"{total:,}",
        )
    if cut:
        terminal.say(
            "{cut} of {total} texts were cut at {tokens} tokens",
            cut=f"{cut:,}",
            total=f"{total:,}",
            tokens=tokens,
        )


def _told(prediction: Prediction) -> str:
    """Return the answer as columns: the labels that were given, then scores."""
    scores = "\t".join(f"{each.label}\t{each.score:.4f}" for each in prediction.scores)
    if prediction.value is not None:
        return f"{prediction.value:g}"
    if prediction.labels is not None:
        return f"{', '.join(prediction.labels) or '–'}\t{scores}"
    return f"abstain: {scores}" if prediction.decision == "abstain" else scores


def _pair(text: str, terminal: Terminal) -> TextPair:
    first, tab, second = text.partition("\t")
    if not tab:
        said = terminal.translate("{text}: there is no tab between two texts", text=text[:80])
        raise CommandFailed(said, USAGE)
    return TextPair(text=first, text_pair=second)


def _lines(path: Path | None, terminal: Terminal) -> Iterator[str]:
    """Yield the lines of a file or of stdin; empty ones are left out, and counted."""
    if path is None and sys.stdin.isatty():
        terminal.say("One text a line; Ctrl-D ends.")
    empty = 0
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.encode()
            except UnicodeEncodeError:
                said = terminal.translate("line {number} is not UTF-8", number=number)
                raise CommandFailed(said, USAGE) from None
            if line.strip():
                yield line.rstrip("\r\n")
            else:
                empty += 1
    if empty:
        terminal.say("{count} empty lines were left out", count=empty)


def _opened(path: Path | None) -> TextIO:
    # A byte that can't be decoded becomes half a character, and not an error of a whole block.
    if path is not None:
        return path.open(encoding="utf-8-sig", errors="surrogateescape")
    stdin = sys.stdin
    return io.TextIOWrapper(stdin.buffer, encoding=stdin.encoding, errors="surrogateescape")

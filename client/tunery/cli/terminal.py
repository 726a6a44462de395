"""The terminal: where a command prints, in which language, and the client it asks through."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console, RenderableType

from tunery._language import Translate, translator
from tunery._settings import Language, locale_language

if TYPE_CHECKING:
    from tunery import Client

PIPE_COLUMNS = 160  # of a table that goes into a pipe, which has no width; COLUMNS may give one


class Terminal:
    """What commands share. Answers go to stdout, everything else to stderr."""

    def __init__(self) -> None:
        self.language: Language = locale_language()
        self.translate: Translate = translator(self.language)
        self.json = False
        self.url: str | None = None
        told = sys.stdout.isatty() or "COLUMNS" in os.environ
        width = None if told else PIPE_COLUMNS
        self.console = Console(width=width, highlight=False)
        self.notes = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
        self._client: Client | None = None

    @property
    def client(self) -> "Client":
        """The client of the service; made when it is first needed.

        Raises:
            NotConfigured: there is no key.
        """
        if self._client is None:
            from tunery import Client

            self._client = Client(self.url, language=self.language)
        return self._client

    def close(self) -> None:
        """Close the connections, if there are any."""
        if self._client is not None:
            self._client.close()

    def show(self, renderable: RenderableType) -> None:
        """Print an answer for people."""
        if self.console.is_terminal:
            self.console.print(renderable)
            return
        with self.console.capture() as printed:  # a pipe needs no columns filled up with space
            self.console.print(renderable)
        self.text(line.rstrip() for line in printed.get().splitlines())

    def say(self, message: str, **values: object) -> None:
        """Print a line about what is going on."""
        self.notes.print(self.translate(message, **values), markup=False)

    def data(self, value: Any) -> None:
        """Print an answer as JSON, indented."""
        encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
        self._write(encoded + b"\n")

    def line(self, value: Any) -> None:
        """Print an answer as one line of JSON."""
        self._write(msgspec.json.encode(value) + b"\n")

    def text(self, lines: Iterable[str]) -> None:
        """Print lines as they are."""
        self._write("".join(f"{line}\n" for line in lines).encode(errors="replace"))

    def _write(self, content: bytes) -> None:
        try:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # `tunery … | head` has seen enough; click would make a 1 of it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None

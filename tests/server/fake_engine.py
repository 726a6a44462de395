"""An engine that speaks the real wire on a real socket, and answers as a test says."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tunery.types import LabelScore, Prediction
from tunery_trainer.protocol import wire
from tunery_trainer.protocol.wire import Answered, AnyMessage, AnyReply, Cancel, Predict

Script = Callable[[Predict], AnyReply | None]


def answered(message: Predict, version: str = "intent/1") -> Answered:
    score = LabelScore(label="a", score=0.9)
    prediction = Prediction(label="a", score=0.9, scores=[score], tokens=3, truncated=False)
    return Answered(id=message.id, version=version, predictions=[prediction] * len(message.inputs))


class FakeEngine:
    """Answers with `script`; where that gives None, it hangs; where it raises, it dies."""

    def __init__(self, socket: Path, script: Script = answered) -> None:
        self.socket = str(socket)
        self.script = script
        self.received: list[AnyMessage] = []
        self.cancelled = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "FakeEngine":
        self._server = await asyncio.start_unix_server(self._serve, self.socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        while (message := await wire.read_message(reader)) is not None:
            self.received.append(message)
            if isinstance(message, Cancel):
                self.cancelled.set()
            elif isinstance(message, Predict):
                try:
                    reply = self.script(message)
                except ConnectionResetError:
                    break
                if reply is not None:
                    writer.write(wire.encode(reply))
        writer.close()

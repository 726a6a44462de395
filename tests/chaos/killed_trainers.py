"""Trainers under kill -9: each attempt dies where it is told to, the last one ends.

A child is forked from a process that has imported the trainer, since an import takes longer than
the run. It kills itself: at an event, at a call of fsync, which stands inside a checkpoint, or
after some milliseconds.
"""

import contextlib
import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path
from typing import Literal

import msgspec

from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import AnyEvent, CheckpointSaved, HyperparametersResolved
from tunery_trainer.protocol.specs import FinetuneRun

EVENTS, SYNCS, MILLISECONDS = PLACES = ("events", "fsyncs", "milliseconds")
_SECONDS = 300.0  # that one attempt may take


class Death(msgspec.Struct, kw_only=True, frozen=True):
    """Where an attempt dies: after so many of something."""

    of: Literal["events", "fsyncs", "milliseconds"]
    after: int


class Life(msgspec.Struct, kw_only=True, frozen=True):
    """What a whole run was like: how much of everything there was, and what it left."""

    events: int
    fsyncs: int
    milliseconds: int
    weights: str  # sha256 of the encoder's and of the head's


def whole_life(spec: FinetuneRun) -> Life:
    """Run to the end, undisturbed."""
    counts = _run(spec, None)
    assert counts is not None, "it died by itself"
    return Life(**counts, weights=weights_of(spec))


def resumed(spec: FinetuneRun, deaths: list[Death]) -> tuple[str, int]:
    """Die as often as is said, each time resumed from the newest whole checkpoint, and end.

    Returns the weights, and how many attempts did die.
    """
    for died, death in enumerate([*deaths, None]):
        attempt = msgspec.structs.replace(spec, attempt=died + 1, **_where_it_stopped(spec))
        if _run(attempt, death) is not None:
            return weights_of(spec), died
    raise AssertionError("the last attempt died, though nothing was to kill it")


def some_deaths(life: Life, dice: random.Random, place: str) -> list[Death]:
    """Return one or two places to die at, anywhere in a life."""
    return [
        Death(of=place, after=dice.randrange(1, getattr(life, place)))
        for _ in range(dice.choice((1, 1, 2)))
    ]


def weights_of(spec: FinetuneRun) -> str:
    """Return the hashes of a version's weights."""
    version = Path(spec.work_dir, "version")
    names = ("model.safetensors", "3_Dense/model.safetensors")
    return " ".join(manifest.sha256_of(version / name) for name in names)


def _where_it_stopped(spec: FinetuneRun) -> dict[str, object]:
    """Return what a supervisor would tell the next attempt: the newest checkpoint, the settings."""
    said = Path(spec.work_dir, "events.jsonl")
    events = [
        msgspec.json.decode(line, type=AnyEvent)
        for line in (said.read_bytes().splitlines() if said.exists() else [])
    ]
    found: dict[str, object] = {}
    for event in events:
        if isinstance(event, HyperparametersResolved):
            found["resolved"] = event.resolved
        if isinstance(event, CheckpointSaved):
            folder = Path(spec.work_dir, event.path)
            # An older one is taken away, or was being so when the attempt died.
            with contextlib.suppress(manifest.ArtifactCorrupt):
                manifest.verify(folder, event.manifest_sha256)
                found["resume_from"] = str(folder)
    return found


def _run(spec: FinetuneRun, death: Death | None) -> dict[str, int] | None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tunery_trainer.train", "tunery_trainer.export", __name__])
    counts = context.Queue()
    child = context.Process(target=_attempt, args=(msgspec.json.encode(spec), death, counts))
    child.start()
    child.join(_SECONDS)
    assert child.exitcode in (0, -signal.SIGKILL), child.exitcode
    return counts.get(timeout=10) if child.exitcode == 0 else None


def _attempt(spec: bytes, death: Death | None, counts: "multiprocessing.Queue[object]") -> None:
    from time import monotonic

    from tunery_trainer import train

    began, said = monotonic(), dict.fromkeys(PLACES, 0)

    def count(place: str) -> None:
        said[place] += 1
        if death is not None and death.of == place and said[place] >= death.after:
            os.kill(os.getpid(), signal.SIGKILL)

    decoded = msgspec.json.decode(spec, type=FinetuneRun)
    if death is not None and death.of == MILLISECONDS:
        timer = threading.Timer(death.after / 1000, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    sync = os.fsync

    def counted_sync(descriptor: int) -> None:
        count(SYNCS)
        sync(descriptor)

    os.fsync = counted_sync
    with Path(decoded.work_dir, "events.jsonl").open("ab", buffering=0) as file:

        def emit(event: AnyEvent) -> None:
            count(EVENTS)
            file.write(msgspec.json.encode(event) + b"\n")

        train.run(decoded, emit, lambda: False)
    said[MILLISECONDS] = int((monotonic() - began) * 1000)
    counts.put(said)

"""Loading: from a Load message to a version that has proved that it answers as it should.

Verify the manifest, load the runtime, warm it up, compare its answers with the canary's. Imports
no torch: the runtime does where it needs to.
"""

import itertools
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunery.types import Parity
from tunery_trainer import runtimes, tasks
from tunery_trainer.failure import Refusal
from tunery_trainer.model_files import ModelFacts, read_canary, read_facts
from tunery_trainer.niced import niced
from tunery_trainer.parity import compare
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.specs import EngineRun
from tunery_trainer.protocol.wire import Load
from tunery_trainer.runtimes import Runtime
from tunery_trainer.tasks import Encoder, Fit, Task

_WARM_LENGTHS = (8, 32, 128)  # tokens; the version's own max_length is added
_WARM_TEXTS = (1, 8)
_WARM_TOKENS_ON_CPU = 64  # of a pass: another shape costs 5 ms there, once
# Logits against torch in fp32. Two runtimes in fp32 differ by 1e-5; a wrong weight by far more.
# bf16 moves logits by hundredths (PERFORMANCE.md), int8 by tenths.
_FP32_TOLERANCE = 1e-2
_REDUCED_TOLERANCE = 0.5


class LoadRuntime(Protocol):
    """What `runtimes.load` is."""

    def __call__(
        self, model_dir: Path, runtime: str, *, device: str, threads: int, precision: str
    ) -> Runtime:
        """Return the loaded runtime."""
        ...


class ServedVersion(msgspec.Struct, kw_only=True, frozen=True):
    """A version that answers."""

    name: str
    facts: ModelFacts
    task: Task
    runtime: Runtime
    encoder: Encoder  # of any thread
    probe: list[list[int]]  # the canary's tokens
    parity: Parity | None = None  # against the canary, where the precision is less than fp32


def load_version(
    message: Load,
    spec: EngineRun,
    *,
    load_runtime: LoadRuntime = runtimes.load,
    task_named: Callable[[str, Fit], Task] = tasks.task_named,
) -> ServedVersion:
    """Return the version that a Load names, ready to answer.

    Raises:
        Refusal: a file is corrupt, the device can't compute in the precision, or the canary's
            answers are not what torch's were.
    """
    load = partial(_load, message, spec, load_runtime, task_named)
    if not spec.niced:
        return load()
    model_dir = Path(message.model_dir)
    niced(partial(runtimes.import_for, model_dir, message.runtime, device=spec.device))
    # By this thread: those that compute shall not go second for good.
    runtimes.start_threads(model_dir, message.runtime, device=spec.device, threads=spec.threads)
    return niced(load)


def _load(
    message: Load,
    spec: EngineRun,
    load_runtime: LoadRuntime,
    task_named: Callable[[str, Fit], Task],
) -> ServedVersion:
    model_dir = Path(message.model_dir)
    _verify(message, spec)
    facts, canary = read_facts(model_dir), read_canary(model_dir)
    task = task_named(facts.task, facts.fit)
    encoder = task.encoder(model_dir, facts.max_length)
    runtime = load_runtime(
        model_dir,
        message.runtime,
        device=spec.device,
        threads=spec.threads,
        precision=message.precision,
    )
    probe = encoder(canary.texts).ids
    most = spec.max_batch_tokens if spec.device != "cpu" else _WARM_TOKENS_ON_CPU
    _warm_up(runtime, probe, facts.max_length, most)
    expected = np.array(canary.logits, dtype=np.float32)  # (texts, labels)
    found = runtime.logits(probe)
    _require_golden(expected, found, runtime.precision)
    return ServedVersion(
        name=message.version,
        facts=facts,
        task=task,
        runtime=runtime,
        encoder=encoder,
        probe=probe,
        parity=None if runtime.precision == "fp32" else compare(task, expected, found),
    )


def _verify(message: Load, spec: EngineRun) -> None:
    """Hash what is to be loaded; modules are imported meanwhile. Raises Refusal."""
    model_dir = Path(message.model_dir)
    importing = threading.Thread(
        target=runtimes.import_for,
        args=(model_dir, message.runtime),
        kwargs={"device": spec.device},
    )
    importing.start()
    try:
        manifest.verify(model_dir, message.manifest_sha256)
    except manifest.ArtifactCorrupt as error:
        raise Refusal("checkpoint-corrupt", str(error)) from error
    finally:
        importing.join()


def _warm_up(runtime: Runtime, probe: list[list[int]], max_length: int, max_tokens: int) -> None:
    """Compute a few shapes, so that no client waits for a kernel to be compiled."""
    lengths = sorted({min(length, max_length) for length in (*_WARM_LENGTHS, max_length)})
    known_ids = [token for ids in probe for token in ids]
    for length in lengths:
        ids = list(itertools.islice(itertools.cycle(known_ids), length))
        for texts in _WARM_TEXTS:
            if texts * length <= max_tokens:
                runtime.logits([ids] * texts)


def _require_golden(
    expected: NDArray[np.float32], logits: NDArray[np.float32], precision: str
) -> None:
    if logits.shape != expected.shape:
        raise Refusal("canary-failed", f"logits are {logits.shape}, not {expected.shape}")
    if not np.isfinite(logits).all():
        raise Refusal("canary-failed", "some logits are not finite")
    tolerance = _FP32_TOLERANCE if precision == "fp32" else _REDUCED_TOLERANCE
    difference = float(np.abs(logits - expected).max())
    if difference > tolerance:
        raise Refusal(
            "canary-failed", f"logits differ by {difference:.3g}, more than {tolerance:g}"
        )
    chosen = np.take_along_axis(expected, logits.argmax(axis=1)[:, None], axis=1)[:, 0]
    if (chosen < expected.max(axis=1) - tolerance).any():  # equal, up to a tie
        raise Refusal("canary-failed", "the most probable label of a text is another one")

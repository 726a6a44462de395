"""The export: a classifier as the compiled runtime's graph, proven against torch on real rows.

Owns the tracing and the proof. An export that answers otherwise is left out: the version then
serves through torch.
"""

import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tunery.types import Parity
from tunery_trainer.model import Classifier, load_classifier
from tunery_trainer.model_files import OPENVINO_MODEL, read_facts
from tunery_trainer.runtimes import Runtime
from tunery_trainer.runtimes.openvino import OpenVinoRuntime, import_openvino
from tunery_trainer.runtimes.torch import TorchRuntime
from tunery_trainer.tasks import Task, task_named

PROOF_ROWS = 32  # of one call: short enough to show progress between
LARGEST_DIFFERENCE = 1e-3  # of a probability, or in deviations; measured: 4e-6


def add_export(
    model_dir: Path,
    token_ids: Sequence[Sequence[int]],
    *,
    threads: int,
    alive: Callable[[], None],
) -> Parity:
    """Write the export into a model directory, unless it fails the proof; return the proof.

    `alive` is called while the proof goes on.
    """
    target = model_dir / OPENVINO_MODEL
    target.parent.mkdir()
    write_openvino(load_classifier(model_dir), target)
    alive()
    runtimes: tuple[Runtime, Runtime] = (
        TorchRuntime(model_dir, device="cpu", threads=threads),
        OpenVinoRuntime(model_dir, threads=threads),
    )
    answers: list[list[NDArray[np.float32]]] = [[], []]
    for start in range(0, len(token_ids), PROOF_ROWS):
        for runtime, found in zip(runtimes, answers, strict=True):
            found.append(runtime.logits(token_ids[start : start + PROOF_ROWS]))  # (B, C)
            alive()
    facts = read_facts(model_dir)
    task = task_named(facts.task, facts.fit)
    parity = compare(task, *(np.concatenate(found) for found in answers))
    if not passes(parity):
        shutil.rmtree(target.parent)
    return parity


def passes(parity: Parity) -> bool:
    """Return whether an export may serve."""
    return parity.labels_changed == 0 and parity.largest_difference <= LARGEST_DIFFERENCE


def compare(task: Task, expected: NDArray[np.float32], found: NDArray[np.float32]) -> Parity:
    """Return how far two sets of logits (rows, outputs) are apart as answers."""
    if not len(expected):
        return Parity(rows=0, labels_changed=0, largest_difference=0.0)
    one, other = task.answers(expected), task.answers(found)
    difference = np.abs(one.sizes - other.sizes).max()
    return Parity(
        rows=len(expected),
        labels_changed=int((one.choices != other.choices).any(axis=1).sum()),
        # NaN is as far apart as can be.
        largest_difference=float(difference) if np.isfinite(difference) else 1.0,
    )


def write_openvino(classifier: Classifier, target: Path) -> None:
    """Write a classifier as an OpenVINO graph with free batch and length, weights in fp32.

    Through the frontend itself: `openvino.convert_model` does the same and reports it to Google
    Analytics (see `import_openvino`).
    """
    openvino = import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Two rows of unlike length, so that no branch for "nothing is padded" is traced.
    input_ids = torch.ones(2, 16, dtype=torch.int64)
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 9:] = 0
    example = {"input_ids": input_ids, "attention_mask": attention_mask}
    with warnings.catch_warnings(), torch.no_grad():
        # transformers asks Python about shapes; that the answers hold is what the proof shows.
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(classifier.eval(), example_input=example)
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    graph.outputs[0].get_tensor().set_names({"logits"})
    openvino.save_model(graph, str(target), compress_to_fp16=False)

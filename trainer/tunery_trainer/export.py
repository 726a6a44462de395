"""The export: a classifier as the compiled runtime's graph, proven against torch on real rows.

Owns the tracing and the proof. A graph that computes packed texts is tried first, then one that
pads. An export that answers otherwise is left out: the version then serves through torch.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunery.types import Parity
from tunery_trainer.model import Classifier, load_classifier
from tunery_trainer.model_files import read_facts
from tunery_trainer.packed_classifier import PackedClassifier
from tunery_trainer.packing import pack
from tunery_trainer.parity import compare, passes
from tunery_trainer.protocol.serving import OPENVINO_MODEL
from tunery_trainer.runtimes import Runtime
from tunery_trainer.runtimes.openvino import OpenVinoRuntime, import_openvino
from tunery_trainer.runtimes.torch import TorchRuntime
from tunery_trainer.tasks import task_named

PROOF_ROWS = 32  # of one call: short enough to show progress between
_log = logging.getLogger(__name__)


def add_export(
    model_dir: Path,
    token_ids: Sequence[Sequence[int]],
    *,
    threads: int,
    alive: Callable[[], None],
) -> Parity | None:
    """Write the export into a model directory, unless it fails the proof; return the last proof.

    None where the encoder can't be traced. `alive` is called while the proof goes on.
    """
    target = model_dir / OPENVINO_MODEL
    target.parent.mkdir()
    classifier = load_classifier(model_dir)
    expected = _answers(
        TorchRuntime(model_dir, device="cpu", threads=threads), token_ids, alive
    )  # (rows, C)
    facts = read_facts(model_dir)
    task = task_named(facts.task, facts.fit)
    parity = None
    for write in (write_packed, write_padded):
        try:
            write(classifier, target)
            alive()
            found = _answers(OpenVinoRuntime(model_dir, threads=threads), token_ids, alive)
        except Exception as error:
            # An encoder that can't be traced so, or whose graph does not run with other shapes;
            # which errors those are is up to its code.
            _log.info("%s: %s", write.__name__, error)
            continue
        parity = compare(task, expected, found)
        if passes(parity):
            return parity
    shutil.rmtree(target.parent)
    return parity


def write_packed(classifier: Classifier, target: Path) -> None:
    """Write the graph of packed texts, with free rows, lengths and texts, weights in fp32."""
    # Two rows of unlike texts, so that nothing is traced that holds for one text only.
    packed = pack([[1] * 50, [1] * 40, [1] * 60])
    tensors = {name: torch.from_numpy(array) for name, array in packed._asdict().items()}
    _write(PackedClassifier(classifier), tensors, target)


def write_padded(classifier: Classifier, target: Path) -> None:
    """Write the graph of padded texts, with free batch and length, weights in fp32."""
    # Two rows of unlike length, so that no branch for "nothing is padded" is traced.
    input_ids = torch.ones(2, 16, dtype=torch.int64)
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 9:] = 0
    _write(classifier, {"input_ids": input_ids, "attention_mask": attention_mask}, target)


def _write(module: nn.Module, example: dict[str, Tensor], target: Path) -> None:
    """Trace a module and write it.

    Through the frontend itself: `openvino.convert_model` does the same and reports it to Google
    Analytics (see `import_openvino`).
    """
    openvino = import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        # transformers asks Python about shapes; that the answers hold is what the proof shows.
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(module.eval(), example_input=example)
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    graph.outputs[0].get_tensor().set_names({"logits"})
    openvino.save_model(graph, str(target), compress_to_fp16=False)


def _answers(
    runtime: Runtime, token_ids: Sequence[Sequence[int]], alive: Callable[[], None]
) -> NDArray[np.float32]:
    found = []
    for start in range(0, len(token_ids), PROOF_ROWS):
        found.append(runtime.logits(token_ids[start : start + PROOF_ROWS]))  # (B, C)
        alive()
    return np.concatenate(found) if found else np.empty((0, 0), np.float32)

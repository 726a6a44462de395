"""Checkpoints: a model directory and, below `resume/`, all that the next step depends on.

    resume/state.json          TrainingState and the random states of Python and NumPy
    resume/state.safetensors   the optimizer's moments, torch's random states
    resume/best.safetensors    the best weights, where these are not the checkpoint's own
    resume/trained.safetensors adapters and head, where the checkpoint's own weights took these in

A directory is written as `<name>.tmp`, sealed by its manifest and renamed: it is whole or absent.
Nothing is pickled: torch.load runs what a pickle says (CVE-2025-32434, CVE-2026-24747).
"""

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tunery_trainer.adapters import adapted, merged, save_trained
from tunery_trainer.model import Classifier, save_classifier
from tunery_trainer.model_card import CARD_NAME, model_card
from tunery_trainer.model_files import CANARY_NAME, Canary, ModelFacts, write_json
from tunery_trainer.optimization import optimizer_tensors, restore_optimizer
from tunery_trainer.protocol import manifest
from tunery_trainer.state import TrainingState

TRAINED = "resume/trained.safetensors"
Facts = dict[str, str | int | float | bool | None]
_RANDOM = "random/"  # prefix of torch's generators among the tensors


class _ResumeFile(msgspec.Struct, kw_only=True, frozen=True):
    state: TrainingState
    python_random: tuple[int, list[int], float | None]
    numpy_random: tuple[list[int], int, int, float]


def publish(
    target: Path,
    classifier: Classifier,
    *,
    model_facts: ModelFacts,
    tokenizer_from: Path,
    canary: Canary,
    facts: Facts,
    add: Callable[[Path], None],
) -> tuple[str, int]:
    """Write a model directory, `add` what is particular to it, seal it and give it its name.

    Returns the sha256 of its manifest and the size of its files.
    """
    temporary = target.with_name(target.name + ".tmp")
    for leftover in (temporary, target):  # of an attempt that died
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_classifier(
        classifier,
        merged(classifier.encoder),
        temporary,
        facts=model_facts,
        tokenizer_from=tokenizer_from,
    )
    write_json(temporary / CANARY_NAME, canary)
    (temporary / CARD_NAME).write_text(model_card(model_facts, facts), encoding="utf-8")
    add(temporary)
    sealed = manifest.write(temporary, facts)
    temporary.rename(target)
    manifest.sync_directory(target.parent)
    return sealed


def save_resume(
    directory: Path,
    *,
    state: TrainingState,
    optimizer: torch.optim.Optimizer,
    classifier: Classifier,
    best: Mapping[str, Tensor] | None,
) -> None:
    """Write `resume/` into a directory that is not yet published."""
    resume = directory / "resume"
    resume.mkdir()
    tensors = optimizer_tensors(optimizer, classifier)
    tensors[_RANDOM + "cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors[_RANDOM + "cuda"] = torch.cuda.get_rng_state()
    save_file(tensors, resume / "state.safetensors")
    if adapted(classifier.encoder):
        save_trained(classifier, directory / TRAINED)
    if best is not None and state.best_step != state.step:
        save_file(dict(best), resume / "best.safetensors")
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    write_json(
        resume / "state.json",
        _ResumeFile(
            state=state,
            python_random=(version, list(words), gauss),
            numpy_random=(np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)),
        ),
    )


def read_state(directory: Path) -> TrainingState:
    """Return where the run stood that wrote a checkpoint."""
    return _read_resume_file(directory).state


def load_moments(
    directory: Path, *, optimizer: torch.optim.Optimizer, classifier: Classifier
) -> None:
    """Restore the optimizer and all random states.

    `classifier` already holds the checkpoint's own weights.
    """
    file = _read_resume_file(directory)
    tensors = load_file(directory / "resume" / "state.safetensors")
    torch.set_rng_state(tensors.pop(_RANDOM + "cpu"))
    cuda = tensors.pop(_RANDOM + "cuda", None)
    if cuda is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(cuda)
    version, words, gauss = file.python_random
    random.setstate((version, tuple(words), gauss))
    keys, position, has_gauss, cached = file.numpy_random
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    restore_optimizer(optimizer, classifier, tensors)


def load_best_weights(
    directory: Path, state: TrainingState, classifier: Classifier
) -> dict[str, Tensor] | None:
    """Return the best weights so far, which may be those of `classifier`; None if there are none.

    `classifier` holds the checkpoint's own weights.
    """
    if state.best_step is None:
        return None
    if state.best_step == state.step:
        return copy_of_weights(classifier)
    return load_file(directory / "resume" / "best.safetensors")


def _read_resume_file(directory: Path) -> _ResumeFile:
    return msgspec.json.decode((directory / "resume/state.json").read_bytes(), type=_ResumeFile)


def copy_of_weights(classifier: Classifier) -> dict[str, Tensor]:
    """Return the weights as copies on the CPU."""
    return {
        name: tensor.detach().to("cpu", copy=True)
        for name, tensor in classifier.state_dict().items()
    }


def remove_older(directory: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints that still lie here.

    The supervisor moves each away when it hears of it; this bounds the disk of a run by hand.
    """
    found = sorted(directory.glob("step-*"), key=lambda path: path.stat().st_mtime_ns)
    for path in found[: max(0, len(found) - keep)]:
        shutil.rmtree(path, ignore_errors=True)

"""Publishing: the checkpoints and the version that a fine-tune leaves, each with its event.

Owns what stands in their manifests, the golden answers, and that an export which answers otherwise
is left out.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import torch
import transformers
from torch import Tensor

from tunery.types import Parity
from tunery_trainer import checkpoint
from tunery_trainer.abstention import NEVER
from tunery_trainer.checkpoint import Facts
from tunery_trainer.data import TokenRows
from tunery_trainer.model import Classifier
from tunery_trainer.model_files import Canary, ModelFacts
from tunery_trainer.padding import padded, read_pad_id
from tunery_trainer.preparation import Prepared
from tunery_trainer.protocol.events import AnyEvent, CheckpointSaved, Finetuned, WarningRaised
from tunery_trainer.protocol.leash import supervised
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.state import TrainingState
from tunery_trainer.stored_texts import has_pairs, text_columns, texts_of
from tunery_trainer.tasks import Fit, Text, task_named

CANARY_ROWS = 8
PARITY_ROWS = 256
_SHOWN_LABELS = 5  # in a message


class Publisher:
    """Writes the artifacts of one run."""

    def __init__(
        self,
        spec: FinetuneRun,
        emit: Callable[[AnyEvent], None],
        *,
        prepared: Prepared,
        seal: str,
    ) -> None:
        self._spec = spec
        self._emit = emit
        self._settings = prepared.settings
        self._base_dir = Path(spec.base_model_dir)
        self._work_dir = Path(spec.work_dir)
        self._pairs = has_pairs(Path(spec.train))
        self._canary_texts: list[Text] | None = None
        self._facts: Facts = {
            "job": spec.job,
            "attempt": spec.attempt,
            "task": spec.task,
            "base_model": spec.base_model,
            "dataset_fingerprint": spec.dataset_fingerprint,
            "device": torch.cuda.get_device_name() if spec.device != "cpu" else "cpu",
            "seal": seal,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }
        if (parent := prepared.parent) is not None:
            self._facts["parent_manifest_sha256"] = spec.parent_sha256
            self._facts["head_rows_kept"] = parent.kept
            self._facts["head_rows_new"] = len(parent.new)
            self._facts["head_rows_dropped"] = len(parent.dropped)
        for name, entry in prepared.resolved.items():
            value = entry.value
            if isinstance(value, dict | list):  # a manifest holds plain values
                value = msgspec.json.encode(value).decode()
            self._facts[f"hyperparameters.{name}"] = value

    def checkpoint(
        self,
        classifier: Classifier,
        optimizer: torch.optim.Optimizer,
        state: TrainingState,
        *,
        epoch: float,
        figures: dict[str, float],
        best: bool,
        best_weights: dict[str, Tensor] | None,
        fit: Fit,
    ) -> None:
        """Write `checkpoints/step-N`, and say so."""
        directory = self._work_dir / "checkpoints"
        target = directory / f"step-{state.step}"
        manifest_sha256, size_bytes = checkpoint.publish(
            target,
            classifier,
            model_facts=self._model_facts(fit),
            tokenizer_from=self._base_dir,
            canary=self._canary(classifier),
            facts=self._facts | {"step": state.step, "best": best, **figures},
            add=lambda folder: checkpoint.save_resume(
                folder, state=state, optimizer=optimizer, classifier=classifier, best=best_weights
            ),
        )
        if not supervised():  # a supervisor takes each away itself
            kept = self._spec.checkpoints
            checkpoint.remove_older(directory, keep=kept.keep_last + kept.keep_best)
        self._emit(
            CheckpointSaved(
                path=target.relative_to(self._work_dir).as_posix(),
                step=state.step,
                epoch=epoch,
                metrics=dict(figures),
                best=best,
                manifest_sha256=manifest_sha256,
                size_bytes=size_bytes,
            )
        )

    def version(
        self,
        classifier: Classifier,
        *,
        step: int,
        stop_reason: str | None,
        fit: Fit,
        proof: TokenRows,
        alive: Callable[[], None],
    ) -> None:
        """Write `version`, the classifier with its export proven on real rows, and say so."""
        from tunery_trainer.export import add_export
        from tunery_trainer.parity import passes

        # Spread over the split, which may be sorted; the longest, where local attention would show.
        count = min(PARITY_ROWS, len(proof))
        spread = np.linspace(0, len(proof) - 1, count).astype(np.int64)
        longest = np.argsort(-proof.lengths, kind="stable")[: max(1, count // 8)]
        indices = np.union1d(spread, longest)
        ids = proof.ids(indices, self._settings.max_length)
        parities: list[Parity | None] = []
        manifest_sha256, size_bytes = checkpoint.publish(
            self._work_dir / "version",
            classifier,
            model_facts=self._model_facts(fit),
            tokenizer_from=self._base_dir,
            canary=self._canary(classifier),
            facts=self._facts | {"step": step, "stop_reason": stop_reason},
            add=lambda folder: parities.append(
                add_export(folder, ids, threads=self._settings.threads, alive=alive)
            ),
        )
        parity = parities[0]
        self._warn_of_silence(fit)
        proven = parity is not None and passes(parity)
        if not proven:
            self._emit(WarningRaised(code="parity-failed", message=_why_left_out(parity)))
        self._emit(
            Finetuned(
                path="version",
                manifest_sha256=manifest_sha256,
                size_bytes=size_bytes,
                best_step=step,
                stop_reason=stop_reason,
                parity=parity if proven else None,
            )
        )

    def _warn_of_silence(self, fit: Fit) -> None:
        thresholds = fit.thresholds if self._spec.abstain is not None else []
        never = [
            label
            for label, threshold in zip(self._spec.labels, thresholds, strict=bool(thresholds))
            if threshold >= NEVER
        ]
        if never and not self._spec.dry_run:
            shown = ", ".join(map(repr, never[:_SHOWN_LABELS]))
            more = f" and {len(never) - _SHOWN_LABELS} more" if len(never) > _SHOWN_LABELS else ""
            message = f"{len(never)} of {len(thresholds)} labels are never answered: {shown}{more}"
            self._emit(WarningRaised(code="never-answered", message=message))

    def _model_facts(self, fit: Fit) -> ModelFacts:
        return ModelFacts(
            task=self._spec.task,
            labels=self._spec.labels,
            max_length=self._settings.max_length,
            base_model=self._spec.base_model,
            pairs=self._pairs,
            fit=fit,
            primary_metric=self._spec.primary_metric,
            abstain=self._spec.abstain,
        )

    def _canary(self, classifier: Classifier) -> Canary:
        if self._canary_texts is None:
            self._canary_texts = _first_texts(self._spec.validation) or _first_texts(
                self._spec.train
            )
        encoder = task_named(self._spec.task).encoder(self._base_dir, self._settings.max_length)
        ids = encoder(self._canary_texts).ids
        device = next(classifier.parameters()).device
        input_ids, attention_mask = (
            torch.from_numpy(array).to(device) for array in padded(ids, read_pad_id(self._base_dir))
        )
        was_training = classifier.training
        classifier.eval()
        with torch.inference_mode():
            logits = classifier.logits(input_ids, attention_mask)  # (B, C)
        classifier.train(was_training)
        return Canary(texts=self._canary_texts, logits=logits.cpu().tolist())


def _first_texts(parquet: str) -> list[Text]:
    names = text_columns(Path(parquet))
    for rows in pq.ParquetFile(parquet).iter_batches(batch_size=CANARY_ROWS, columns=names):
        return texts_of([rows.column(name) for name in names])
    return []


def _why_left_out(parity: Parity | None) -> str:
    if parity is None:
        return "the encoder can't be traced; it serves through torch"
    return (
        f"the export changed {parity.labels_changed} of {parity.rows} answers and probabilities "
        f"by up to {parity.largest_difference:g}; it was left out"
    )

"""Fine-tune a classifier: the recipe, read from top to bottom.

    python -m tunery_trainer spec.json          where the spec is a FinetuneRun

Owns the order of things: rows to tokens, hyperparameters, phases, steps, validations, checkpoints,
the version at the end. It names train and validation rows only; the test split is not within its
reach. Importing this module imports everything that a first step needs, so that a warm spare is
warm.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers.models.bert.modeling_bert  # noqa: F401 - the usual encoder; else 1.7 s later
from numpy.typing import NDArray
from torch import Tensor

from tunery_trainer import checkpoint, scratch
from tunery_trainer.baselines import BASELINE_ROWS, textless, untrained
from tunery_trainer.dropout import use_fast_masks
from tunery_trainer.epochs import epoch_batches
from tunery_trainer.failure import Failure
from tunery_trainer.imbalance import sampling_weights_of
from tunery_trainer.learner import Learner
from tunery_trainer.memory import give_back, is_out_of_memory
from tunery_trainer.optimization import schedule
from tunery_trainer.parent import Parent
from tunery_trainer.phases import Phase, median_of, phase_of, steps_ahead
from tunery_trainer.preparation import Prepared, prepare
from tunery_trainer.progress import ProgressMeter
from tunery_trainer.protocol.events import (
    AnyEvent,
    HyperparametersResolved,
    Interrupted,
    MetricLogged,
    WarningRaised,
    WeightsTaken,
    finite,
)
from tunery_trainer.protocol.recipes import SCRATCH_BASE
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.publishing import Publisher
from tunery_trainer.state import TrainingState
from tunery_trainer.tasks import Fit
from tunery_trainer.validation import judge

LOG_EVERY_STEPS = 10  # at most this; a phase has at least LOGGED_LOSSES, if it has as many steps
LOGGED_LOSSES = 20

_log = logging.getLogger(__name__)


def run(
    spec: FinetuneRun,
    emit: Callable[[AnyEvent], None],
    leash_released: Callable[[], bool],
    *,
    seal: str = "none",
) -> None:
    """Train as the spec says, and leave `checkpoints/` and `version/` below its `work_dir`.

    Ends with the event Finetuned, or with Interrupted when the leash was let go. `seal` is what
    confines the process, for the manifests.

    Raises:
        Failure: the same attempt again would not help, e.g. `non-finite-loss`.
    """
    _log.info("%s, attempt %d: %s on %s", spec.job, spec.attempt, spec.base_model, spec.device)
    watch = _Watch(emit, leash_released, device=spec.device.partition(":")[0])
    try:
        watch.enter("tokenising")
        if spec.base_model == SCRATCH_BASE:
            spec = scratch.with_base(spec, watch.alive)
        prepared = prepare(spec, watch.alive)
        for each in prepared.advice:
            emit(WarningRaised(code=each.code, message=each.message))
        emit(HyperparametersResolved(resolved=prepared.resolved))
        if prepared.parent is not None:
            _tell_of(prepared.parent, spec, emit)
        told = ", ".join(f"{name} {each.value}" for name, each in prepared.resolved.items())
        _log.info("%d training, %d validation rows", len(prepared.train), len(prepared.validation))
        _log.info("%s", told)
        Training(spec, prepared, watch, seal).run()
    except _Released:
        emit(Interrupted(step=0))
    except Exception as error:
        if is_out_of_memory(error):
            raise Failure("out-of-memory", f"on {spec.device}: {error}") from error
        raise


def _tell_of(parent: Parent, spec: FinetuneRun, emit: Callable[[AnyEvent], None]) -> None:
    message = f"{spec.base_model}: {parent.story}"
    _log.info("%s", message)
    if spec.resolved is None:  # else an earlier attempt has said so
        kept, new, dropped = parent.kept, len(parent.new), len(parent.dropped)
        emit(WeightsTaken(message=message, kept=kept, new=new, dropped=dropped))


class _Released(Exception):
    """The leash was let go."""


class _Watch:
    """What a run says of itself, and whether it is to go on."""

    def __init__(
        self,
        emit: Callable[[AnyEvent], None],
        leash_released: Callable[[], bool],
        *,
        device: str,
    ) -> None:
        self.emit = emit
        self._leash_released = leash_released
        self.meter = ProgressMeter(emit, device=device)
        self.enter = self.meter.enter

    def alive(self) -> None:
        """Say that the work goes on, unless it is to end.

        Raises:
            _Released: the leash was let go.
        """
        if self._leash_released():
            raise _Released
        self.meter.alive()


class Training:
    """The phases of one run, from the base model or a checkpoint to the version."""

    def __init__(self, spec: FinetuneRun, prepared: Prepared, watch: _Watch, seal: str) -> None:
        self._spec, self._prepared, self._watch = spec, prepared, watch
        self._settings = prepared.settings
        self._publisher = Publisher(spec, watch.emit, prepared=prepared, seal=seal)
        self._state = TrainingState()
        self._saved_step = 0
        self._best_weights: dict[str, Tensor] | None = None
        self._began_at = 0.0
        self._validation_seconds = 0.0

    def run(self) -> None:
        """Train every phase, and publish the version, unless the leash is let go."""
        self._watch.enter("loading")
        torch.set_num_threads(self._settings.threads)
        if self._spec.device == "cpu":
            use_fast_masks()
        phase, learner = self._take_up()
        self._began_at = time.monotonic() - self._state.elapsed_seconds
        while True:
            try:
                self._train(phase, learner)
            except _Released:
                self._save_as_it_stands(phase, learner)
                self._watch.emit(Interrupted(step=self._state.step))
                return
            except Exception as error:
                if is_out_of_memory(error) and self._spec.device != "cpu":
                    # The host has memory, and the step that failed has changed nothing.
                    self._save_as_it_stands(phase, learner)
                raise
            following = self._next_phase(phase)
            if following is None:
                break
            learner.close()
            phase, learner = following, self._begin(following)
        self._publish(learner)

    def _take_up(self) -> tuple[Phase, Learner]:
        """Return the phase in which the last attempt stopped, or the first, and its learner."""
        if self._spec.resume_from is None:
            first = self._phase_of(0)
            return first, self._begin(first)
        directory = Path(self._spec.resume_from)
        self._state = checkpoint.read_state(directory)
        self._saved_step = self._state.step
        phase = self._phase_of(self._state.phase)
        learner = Learner.resumed(
            self._spec, self._prepared, phase.rows, directory, self._watch.alive
        )
        learner.restore_scale(self._state)
        self._best_weights = checkpoint.load_best_weights(
            directory, self._state, learner.classifier
        )
        return phase, learner

    def _begin(self, phase: Phase) -> Learner:
        self._watch.enter("loading")
        learner = Learner.begun(
            self._spec, self._prepared, phase.rows, phase.seed, self._watch.alive
        )
        if self._settings.linear_probe:
            self._watch.enter("probing")
            learner.probe(self._watch.alive)
        return learner

    def _phase_of(self, number: int) -> Phase:
        phase = phase_of(number, self._prepared, self._state.outcomes)
        assert phase is not None
        return phase

    def _next_phase(self, phase: Phase) -> Phase | None:
        if self._state.stop_reason == "time-budget":
            return None
        stop_reason = self._state.stop_reason
        self._state.next_phase(phase.total_steps)
        following = phase_of(self._state.phase, self._prepared, self._state.outcomes)
        if following is None and phase.chooses:
            self._state.stop_reason = stop_reason
        elif following is None:
            self._state.stop_reason = median_of(self._state.outcomes).stop_reason
        return following

    def _train(self, phase: Phase, learner: Learner) -> None:
        """Step and validate until the phase ends.

        Epoch, batch and learning rate are functions of the step: a resumed run is nowhere else
        than the first one was.
        """
        state, every = self._state, self._spec.checkpoints.every
        every = phase.steps_per_epoch if every == "epoch" else every
        lengths = np.minimum(phase.rows.lengths, self._settings.max_length)
        counts = self._prepared.task.counts(phase.rows.labels, len(self._spec.labels))
        sampling_weights = sampling_weights_of(counts, phase.rows.labels, self._settings.imbalance)
        initial = learner.weights() if not state.step and phase.validation else None
        batches: list[NDArray[np.int64]] = []
        _log.info("training from step %d to %d", state.step, state.phase_began + phase.end_step)
        self._watch.enter("training" if phase.chooses else "refitting")
        while True:
            done = state.step - state.phase_began
            ending = done >= phase.end_step or state.stop_reason is not None
            due = done > 0 and (ending or done % every == 0)
            if due and state.step != state.validated_step:
                self._validate(phase, learner)
                continue
            if ending:
                return
            epoch, position = divmod(done, phase.steps_per_epoch)
            if position == 0 or not batches:
                part = phase.rows.of_epoch(epoch)
                batches = epoch_batches(
                    lengths[part],
                    batch_size=self._settings.batch_size,
                    seed=phase.seed,
                    epoch=epoch,
                    weights=sampling_weights,
                )
                batches = [part.start + each for each in batches]
            self._step(phase, learner, batches[position])
            if initial is not None:
                # After the first step, which so comes a second earlier.
                self._judge_baselines(phase, learner, initial)
                initial = None
            self._watch.alive()

    def _step(self, phase: Phase, learner: Learner, indices: NDArray[np.int64]) -> None:
        state, settings = self._state, self._settings
        done = state.step - state.phase_began
        factor = schedule(done, phase.total_steps, settings, state.reductions)
        loss, grad_norm, tokens, taken = learner.step(indices, factor=factor)
        if not taken:
            values = {"loss": loss, "grad_norm": grad_norm}
            self._watch.emit(MetricLogged(step=state.step + 1, values=finite(values)))
            raise Failure(
                "non-finite-loss",
                f"at step {state.step + 1} the loss was {loss:g} and the gradient's norm "
                f"{grad_norm:g}; lower learning_rate ({settings.learning_rate:g})",
            )
        state.step += 1
        done += 1
        state.elapsed_seconds = time.monotonic() - self._began_at
        state.window_loss += loss
        state.window_steps += 1
        log_every = max(1, min(LOG_EVERY_STEPS, phase.end_step // LOGGED_LOSSES))
        if done in (1, phase.end_step) or done % log_every == 0:
            values = {
                "loss": state.window_loss / state.window_steps,
                "learning_rate": settings.learning_rate * factor,
                "grad_norm": grad_norm,
            }
            self._watch.emit(MetricLogged(step=state.step, values=finite(values)))
            state.window_loss, state.window_steps = 0.0, 0
        self._watch.meter.stepped(
            step=state.step,
            total_steps=state.phase_began
            + phase.end_step
            + steps_ahead(state.phase, phase, settings),
            epoch=done / phase.steps_per_epoch,
            examples=len(indices),
            tokens=tokens,
        )
        if settings.max_minutes is not None and (
            # The last validation must fit in, too.
            state.elapsed_seconds + self._validation_seconds >= settings.max_minutes * 60
        ):
            state.stop_reason = "time-budget"

    def _validate(self, phase: Phase, learner: Learner) -> None:
        state = self._state
        began_at = time.monotonic()
        figures, fit = dict[str, float](), self._fit
        self._watch.enter("validating")
        if phase.validation is not None:
            cut = np.minimum(phase.validation.lengths, self._settings.max_length)
            self._watch.meter.validating(tokens=int(cut.sum()))
            figures, fit = learner.validate(phase.validation)
        if figures:
            self._watch.emit(MetricLogged(step=state.step, values=finite(figures)))
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        _log.info("validated at step %d: %s", state.step, told or "there are no rows")
        state.validated_step = state.step
        whole = state.step - state.phase_began >= phase.end_step
        if phase.chooses:
            stopped_before = state.stop_reason is not None
            better = judge(figures, state, self._settings, self._prepared.measure.metric)
            if state.phase_best_step == state.step:
                state.phase_best_fit = fit
            if whole and not stopped_before:
                state.stop_reason = None  # nothing was stopped early
        else:
            better = whole
            state.best_step = state.step if whole else state.best_step
            fit = median_of(state.outcomes).fit or fit  # there are no rows to measure it anew
        if better:
            self._best_weights = None  # let go of, before there are as many again
            self._best_weights, state.best_fit = learner.weights(), fit
        self._save(phase, learner, figures, best=better, fit=fit)
        self._validation_seconds = time.monotonic() - began_at
        self._watch.enter("training" if phase.chooses else "refitting")

    def _judge_baselines(self, phase: Phase, learner: Learner, initial: dict[str, Tensor]) -> None:
        assert phase.validation is not None
        few = phase.validation.spread(BASELINE_ROWS)
        figures = untrained(learner.classifier, initial, lambda: learner.validate(few).figures)
        figures |= textless(few, phase.rows.labels, self._prepared.measure)
        figures |= self._prepared.baselines
        self._watch.emit(MetricLogged(step=0, values=finite(figures)))

    def _save_as_it_stands(self, phase: Phase, learner: Learner) -> None:
        if self._state.step > self._saved_step:
            self._save(phase, learner, {}, best=False, fit=self._fit)

    @property
    def _fit(self) -> Fit:
        return self._state.best_fit or self._prepared.task.fit

    def _save(
        self,
        phase: Phase,
        learner: Learner,
        figures: dict[str, float],
        *,
        best: bool,
        fit: Fit,
    ) -> None:
        state = self._state
        learner.keep_scale(state)
        self._publisher.checkpoint(
            learner.classifier,
            learner.optimizer,
            state,
            epoch=(state.step - state.phase_began) / phase.steps_per_epoch,
            figures=figures,
            best=best,
            best_weights=self._best_weights,
            fit=fit,
        )
        self._saved_step = state.step
        give_back()

    def _publish(self, learner: Learner) -> None:
        """Leave the version: the best weights, and their export."""
        state = self._state
        assert self._best_weights is not None
        assert state.best_step is not None
        self._watch.enter("exporting")
        _log.info("exporting the weights of step %d", state.best_step)
        learner.classifier.load_state_dict(self._best_weights)
        self._publisher.version(
            learner.classifier,
            step=state.best_step,
            stop_reason=state.stop_reason,
            fit=self._fit,
            proof=self._prepared.proof,
            alive=self._watch.meter.alive,
        )

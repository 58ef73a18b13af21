"""The training loop: phases of epochs of steps, and what is kept of them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from agegender.balancing.balancer import TASKS
from agegender.config.every import seconds_of
from agegender.core.errors import RunError
from agegender.data.batches import StepBatch
from agegender.engine.boundary import Boundary
from agegender.engine.clock import Clock
from agegender.engine.features import compute_features
from agegender.engine.kept import NONFINITE, Kept
from agegender.engine.last import Last
from agegender.engine.parts import Parts
from agegender.engine.phases import learning_rates
from agegender.engine.progress import Display, epoch_line
from agegender.engine.run_directory import RunDirectory
from agegender.engine.state import State
from agegender.engine.step import Forward, NonFiniteError, Stepper, loss_scales, refuse_nonfinite
from agegender.engine.tally import Tally
from agegender.engine.validate import validate
from agegender.engine.watch import Watch, unwatched
from agegender.models.network import AgeGenderNet
from agegender.tracking.trackers import Trackers


class Fit:
    """Trains a network on a data set's `train` part, watched on its `val` part."""

    def __init__(self, parts: Parts, run: RunDirectory, display: Display, watch: Watch = unwatched) -> None:
        self.parts, self.run, self.display, self._watch = parts, run, display, watch
        self.config, self.network = parts.config, parts.network
        schedule, trainer = self.config.schedule, self.config.trainer
        self.state = State(parts)
        self.train_rows, self.val_rows = parts.dataset.part("train"), parts.dataset.part("val")
        self.epochs = sum(phase.epochs for phase in schedule.phases.values())
        if trainer.max_steps is not None:
            self.epochs = min(self.epochs, -(-trainer.max_steps // self.state.epoch_steps))
        if trainer.compile:
            self.network.compile_features()
        self._batches, self._uses_features = parts.batches, False
        self._clock = Clock(trainer.profile, parts.fabric.device)
        self._stepper = Stepper(
            self.network,
            parts.balancer,
            loss_scales(self.config.loss, self.network.age_head),
            self.config.balancer.diagnose_every,
            schedule.clip_norm,
            parts.fabric.autocast,
            self.state.scaler,
            parts.ranks,
            self._clock,
            parts.group_dro,
        )
        self._kept = Kept(parts, run.path)
        self._trackers = Trackers(self.config.tracking, run.path, display.warn, parts.ranks.is_first)
        self._resumed: Last | None = None
        self._boundary = Boundary(alone=parts.ranks.size == 1)
        self._since = self._saved = self._started = self._now()

    _now = staticmethod(time.monotonic)

    def restore(self, last: Last) -> None:
        """Stand where a checkpoint of the same settings and faces stood; UserError where it does not fit."""
        self.state.restore(last, f"resume={self.run.path}")
        self._since = self._now() - self.state.tally.seconds
        self.run.step = last.step
        self.run.resumed_from_step = last.step
        self._resumed = last

    def fit(self) -> None:
        """Run every phase; on Ctrl-C the state and a usable network are kept before it goes on up."""
        is_new = self._resumed is None
        if self._resumed is not None:
            self._go_on(self._resumed)
        with self._boundary.watching(), self._trackers.following(is_new):
            try:
                self._phases()
            except KeyboardInterrupt:
                with suppress(KeyboardInterrupt):  # an impatient second Ctrl-C
                    self._keep_what_there_is()
                raise
            finally:
                self._write_profile()

    def _go_on(self, last: Last) -> None:
        state = self.state
        if last.previous_best is not None:
            self._kept.put_back(last.previous_best)
        if state.history:
            self._kept.history(state.history)  # it may be ahead of the checkpoint
        done = state.tally.steps
        where = f"step {done} of {state.epoch_steps}" if done else "its end"
        self.display.say(f"resumed from step {last.step}: epoch {state.epoch} ({state.phase}), {where}")

    def _keep_what_there_is(self) -> None:
        if self.state.optimizer is None:
            return
        if not self._boundary.is_inside:  # else the state is half a step's, and the earlier checkpoint holds
            self._save_last()
        if not self._kept.has_best:
            self._kept.best(self.state.judged)

    def _phases(self) -> None:
        end = 0
        for name, phase in self.config.schedule.phases.items():
            end += phase.epochs
            if len(self.state.history) >= end:
                continue
            if name != self.state.phase:
                with self._boundary.whole():
                    self.state.enter(name)
            self._choose_batches()
            if self._resumed is not None:
                self.state.restore_rng(self._resumed)
                self._resumed = None
            while len(self.state.history) < end:
                if self._is_over() or not self._epoch():
                    return

    def _choose_batches(self) -> None:
        """Images; in a phase whose features never change, those, computed once."""
        self._batches = self.parts.batches
        self._uses_features = self.network.frozen and self.config.augment.is_off
        if not self._uses_features or self._is_over():
            return
        with self._clock.section("forward"):
            features_NF = compute_features(
                self.network,
                self._batches,
                np.concatenate([self.train_rows, self.val_rows]),
                len(self.parts.dataset.faces),
                self.config.data.cache == "disk",
                self.parts.fabric.autocast,
                self.parts.ranks,
                self.display,
            )
        self._batches = self._batches.with_features(features_NF)

    def _forward(self, network: AgeGenderNet) -> Forward:
        return network.read if self._uses_features else network

    def _is_over(self) -> bool:
        if self.state.tally.steps:
            return False  # an epoch under way comes to its end first
        limit = self.config.trainer.max_steps
        return (limit is not None and self.run.step >= limit) or self.state.monitor.should_stop

    def _epoch(self) -> bool:
        """One epoch, or what is left of it; False where trainer.max_steps cut it short."""
        if self.state.history:
            self._watch(self.state.history[-1])
        tally = self.state.tally
        self._since = self._now() - tally.seconds
        self._steps()
        if tally.steps == tally.skipped:
            raise RunError(
                f"step {self.run.step}: every step of epoch {self.state.epoch} was skipped ({NONFINITE})"
            )
        seconds = self._now() - self._since
        is_whole = tally.steps == self.state.epoch_steps
        if not is_whole:
            with self._boundary.whole():
                self._hold_best()
        with self._clock.section("evaluation"):
            figures = validate(
                self.state.judged,
                self._forward(self.state.judged),
                self._batches.in_order(self.val_rows),
                self.config.evaluation.rmse_cap,
                self.parts.fabric.autocast,
                self.parts.ranks,
            )
        for task in TASKS:
            refuse_nonfinite(figures[f"val_{task}_loss"], self.run.step, f"val {task} loss")
        with self._boundary.whole():
            self._keep(self._row(figures, seconds), is_whole)
        self._trackers.update()
        return is_whole

    def _steps(self) -> None:
        """One pass over the training faces, or the rest of one, or up to trainer.max_steps."""
        self.network.train()
        steps = self.state.epoch_steps
        done, left = self.state.tally.steps, steps - self.state.tally.steps
        limit = self.config.trainer.max_steps
        if limit is not None:
            left = min(left, limit - self.run.step)
        epoch = len(self.state.history) + 1
        batches = self._batches.shuffled(
            self.train_rows, self.config.seed, epoch, self.config.augment, start=done
        )
        shown = self.display.track(islice(batches, left), f"epoch {epoch} {self.state.phase}", steps, done)
        for batch in self._clock.timed(shown, "data"):
            with self._boundary.whole():
                self._step(batch)

    def _step(self, batch: StepBatch) -> None:
        state = self.state
        flags = (self._boundary.is_asked, self.parts.ranks.is_first and self._is_due())
        try:
            taken = self._stepper.take(
                self._forward(self.network), state.set_rates(), batch, self.run.step + 1, flags
            )
        except NonFiniteError as error:
            self._refuse(error, batch)
            return
        self.run.step += 1
        state.tally.add(taken.losses_T, batch.labelled, len(batch.rows))
        state.tally.add_step(taken.weights_T, taken.grad_norm)
        if taken.conflict is not None:
            state.tally.add_sample(taken.conflict)
        if state.average is not None:
            state.average.update(self.network)
        self._boundary.is_agreed, is_due = taken.flags
        if is_due:
            self._save_last()

    def _refuse(self, error: NonFiniteError, batch: StepBatch) -> None:
        """End the run over a step whose numbers went bad, or count it as one that changed nothing."""
        self._kept.nonfinite(self.run.step + 1, error.what, batch.rows)
        if self.config.trainer.on_nonfinite == "stop":
            raise RunError(f"{error}; its faces are listed in {NONFINITE}") from error
        self.display.warn(f"{error}; the step is skipped, its faces are listed in {NONFINITE}")
        self.run.step += 1
        self.state.tally.skip(len(batch.rows))

    def _is_due(self) -> bool:
        """Whether the step that comes is one to write a checkpoint after."""
        every = self.config.trainer.checkpoint_every
        if isinstance(every, int):
            return (self.run.step + 1) % every == 0
        seconds = None if every is None else seconds_of(every)
        return seconds is not None and self._now() - self._saved >= seconds

    def _row(self, figures: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The epoch's row of history.csv; `seconds` were spent on its steps."""
        state = self.state
        assert state.optimizer is not None
        rates, tally = learning_rates(state.optimizer), state.tally
        losses_T, weights_T, norms_T = (
            tally.mean_losses(), tally.mean_weights(), tally.mean_shared_norms(),
        )  # fmt: skip
        return {
            "epoch": state.epoch,
            "phase": state.phase,
            "step": self.run.step,
            "lr_heads": rates.get("heads"),
            "lr_backbone": rates.get("backbone"),
            "train_age_loss": losses_T[0],
            "train_gender_loss": losses_T[1],
            **figures,
            "weight_age": weights_T[0],
            "weight_gender": weights_T[1],
            "grad_norm": tally.mean_grad_norm(),
            "grad_samples": tally.samples,
            "shared_grad_age": norms_T[0],
            "shared_grad_gender": norms_T[1],
            "grad_cosine": tally.mean_cosine(),
            "grad_conflicts": tally.conflict_share(),
            **({} if self.parts.group_dro is None else self.parts.group_dro.figures()),
            "skipped_steps": tally.skipped,
            "seconds": self._now() - self._since,
            "images_per_second": tally.faces / seconds,
        }

    def _keep(self, row: dict[str, Any], is_whole: bool) -> None:
        """History, best and last checkpoint, a line for the reader.

        An epoch that trainer.max_steps cut short is judged like any other, but the state stays in its
        middle: a run that goes on later does so there.
        """
        state = self.state
        monitor, history = replace(state.monitor), [*state.history, row]
        is_best = monitor.update(row[f"val_{monitor.name}"], row["epoch"])
        self._kept.history(history)
        if is_best:
            self._kept.best(state.judged)
        if is_whole:
            self.parts.balancer.end_epoch(state.tally.mean_losses())
            state.monitor, state.history, state.tally = monitor, history, Tally()
            self._save_last()
        self.run.set_status("running")
        pace = sum(past["seconds"] for past in history) / len(history)
        self.display.say(epoch_line(row, self.epochs, pace * (self.epochs - len(history)), is_best))
        if is_whole and monitor.should_stop and len(history) < self.epochs:
            self.display.say(
                f"stopped early in front of epoch {len(history) + 1}: no better {monitor.name} in "
                f"{monitor.epochs_without} epochs (schedule.patience)"
            )

    def _hold_best(self) -> None:
        """The best of the whole epochs goes into last.ckpt before a cut one may take its place."""
        if self.state.monitor.best_epoch:
            self.state.previous_best = self._kept.best_as_data()
        self._save_last()

    def _save_last(self) -> None:
        with self._clock.section("checkpoint"):
            self._kept.last(self.state.to_last(self.run.step, self._now() - self._since))
        self._saved = self._now()

    def _write_profile(self) -> None:
        if not self.config.trainer.profile:
            return
        seconds, sections = self._now() - self._started, self._clock.seconds
        self._kept.profile(
            {
                "steps": self.run.step - (self.run.resumed_from_step or 0),
                "seconds": seconds,
                "sections": {**sections, "other": seconds - sum(sections.values())},
            }
        )

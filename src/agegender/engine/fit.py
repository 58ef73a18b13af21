"""The training loop: phases of epochs of steps, and what is kept of them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

import pandas as pd
import torch

from agegender.balancing.balancer import TASKS
from agegender.config.every import seconds_of
from agegender.core.errors import UserError
from agegender.core.files import write_csv
from agegender.engine.boundary import Boundary
from agegender.engine.checkpoint import BEST, read_tensors, save_best, write_tensors
from agegender.engine.last import LAST, Last, device_rng, restore_rng, save_last
from agegender.engine.monitor import Monitor
from agegender.engine.parts import Parts
from agegender.engine.phases import enter_phase, learning_rates
from agegender.engine.progress import Display, epoch_line
from agegender.engine.run_directory import RunDirectory
from agegender.engine.step import refuse_nonfinite, training_step
from agegender.engine.tally import Tally
from agegender.engine.validate import validate


class Fit:
    """Trains a network on a data set's `train` part, watched on its `val` part.

    Between two steps its whole state is what `last.ckpt` holds. An epoch is over when its row is in
    `history`; until then `tally` says how far it is.
    """

    def __init__(self, parts: Parts, run: RunDirectory, display: Display) -> None:
        self.parts, self.run, self.display = parts, run, display
        self.config, self.batches, self.network = parts.config, parts.batches, parts.network
        schedule, trainer = self.config.schedule, self.config.trainer
        self.monitor = Monitor(trainer.monitor, schedule.patience)
        self.train_rows, self.val_rows = parts.dataset.part("train"), parts.dataset.part("val")
        self.epoch_steps = self.batches.steps(self.train_rows)
        self.epochs = sum(phase.epochs for phase in schedule.phases.values())
        if trainer.max_steps is not None:
            self.epochs = min(self.epochs, -(-trainer.max_steps // self.epoch_steps))
        self.history: list[dict[str, Any]] = []
        self.tally = Tally()
        self.phase: str | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self._previous_best: dict[str, Any] | None = None
        self._resumed: Last | None = None
        self._boundary = Boundary()
        self._data = parts.data_sha256()
        self._since = self._saved = self._now()

    _now = staticmethod(time.monotonic)

    @property
    def epoch(self) -> int:
        """The epoch under way, else the last one that is over."""
        return len(self.history) + bool(self.tally.steps)

    def restore(self, last: Last) -> None:
        """Stand where a checkpoint of the same settings and faces stood; UserError where it does not fit."""
        name = f"resume={self.run.path}: {LAST} does not fit"
        for module, state in ((self.network, last.network), (self.parts.balancer, last.balancer)):
            wrong = _misfit(module.state_dict(), state)
            if wrong:
                model, head = self.config.model.name, self.config.age_head.name
                raise UserError(f"{name} model={model}, age_head={head}: {wrong}")
        try:
            self.network.load_state_dict(last.network)
            self.parts.balancer.load_state_dict(last.balancer)
            self._enter(last.position["phase"])
            assert self.optimizer is not None
            self.optimizer.load_state_dict(last.optimizer)
            self.monitor = Monitor(**last.monitor)
            self.history = list(last.history)
            self.tally = Tally(**last.tally)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{name} config.yaml: {' '.join(str(error).split())[:160]}") from error
        self._since = self._now() - self.tally.seconds
        self.run.step = last.step
        self.run.resumed_from_step = last.step
        self._resumed = last

    def fit(self) -> None:
        """Run every phase; on Ctrl-C the state and a usable network are kept before it goes on up."""
        if self._resumed is not None:
            self._go_on(self._resumed)
        with self._boundary.watching():
            try:
                self._phases()
            except KeyboardInterrupt:
                with suppress(KeyboardInterrupt):  # an impatient second Ctrl-C
                    self._keep_what_there_is()
                raise

    def _go_on(self, last: Last) -> None:
        if last.previous_best is not None and self.run.is_writer:
            write_tensors(self.run.path / BEST, **last.previous_best)
        if self.history:
            self._write_history(self.history)  # it may be ahead of the checkpoint
        where = f"step {self.tally.steps} of {self.epoch_steps}" if self.tally.steps else "its end"
        self.display.say(f"resumed from step {last.step}: epoch {self.epoch} ({self.phase}), {where}")
        restore_rng(last, self.parts.fabric.device)
        self._resumed = None

    def _keep_what_there_is(self) -> None:
        if self.optimizer is None or not self.run.is_writer:
            return
        if not self._boundary.is_inside:  # else the state is half a step's, and the earlier checkpoint holds
            self._save_last()
        if not (self.run.path / BEST).exists():
            self._save_best()

    def _phases(self) -> None:
        end = 0
        for name, phase in self.config.schedule.phases.items():
            end += phase.epochs
            if len(self.history) >= end:
                continue
            if name != self.phase:
                with self._boundary.whole():
                    self._enter(name)
            while len(self.history) < end:
                if self._is_over() or not self._epoch():
                    return

    def _enter(self, name: str) -> None:
        schedule = self.config.schedule
        self.optimizer = enter_phase(self.network, self.parts.balancer, schedule.phases[name], schedule)
        self.phase = name

    def _is_over(self) -> bool:
        if self.tally.steps:
            return False  # an epoch under way comes to its end first
        limit = self.config.trainer.max_steps
        if limit is not None and self.run.step >= limit:
            return True
        if self.monitor.should_stop:
            self.display.say(
                f"stopped early in front of epoch {self.epoch + 1} ({self.phase}): no better "
                f"{self.monitor.name} in {self.monitor.epochs_without} epochs (schedule.patience)"
            )
        return self.monitor.should_stop

    def _epoch(self) -> bool:
        """One epoch, or what is left of it; False where trainer.max_steps cut it short."""
        self._since = self._now() - self.tally.seconds
        self._steps()
        seconds = self._now() - self._since
        is_whole = self.tally.steps == self.epoch_steps
        if not is_whole:
            with self._boundary.whole():
                self._hold_best()
        figures = validate(
            self.network,
            self.batches.in_order(self.val_rows),
            self.config.evaluation.rmse_cap,
            self.parts.fabric.autocast(),
        )
        for task in TASKS:
            refuse_nonfinite(figures[f"val_{task}_loss"], self.run.step, f"val {task}")
        with self._boundary.whole():
            self._keep(self._row(figures, seconds), is_whole)
        return is_whole

    def _steps(self) -> None:
        """One pass over the training faces, or the rest of one, or up to trainer.max_steps."""
        self.network.train()
        done, left = self.tally.steps, self.epoch_steps - self.tally.steps
        limit = self.config.trainer.max_steps
        if limit is not None:
            left = min(left, limit - self.run.step)
        epoch = len(self.history) + 1
        batches = self.batches.shuffled(
            self.train_rows, self.config.seed, epoch, self.config.augment, start=done
        )
        shown = self.display.track(
            islice(batches, left), f"epoch {epoch} {self.phase}", self.epoch_steps, done
        )
        for batch in shown:
            assert self.optimizer is not None
            with self._boundary.whole():
                losses, weights = training_step(
                    self.network,
                    self.parts.balancer,
                    self.optimizer,
                    batch,
                    self.config.loss.lambda_,
                    self.run.step + 1,
                    self.parts.fabric.autocast(),
                )
                self.run.step += 1
                self.tally.add(losses, batch.labelled, len(batch))
                self.tally.add_weights(weights)
                if self._is_due():
                    self._save_last()

    def _is_due(self) -> bool:
        every = self.config.trainer.checkpoint_every
        if isinstance(every, int):
            return self.run.step % every == 0
        seconds = None if every is None else seconds_of(every)
        return seconds is not None and self._now() - self._saved >= seconds

    def _row(self, figures: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The epoch's row of history.csv; `seconds` were spent on its steps."""
        assert self.optimizer is not None
        rates, losses_T, weights_T = (
            learning_rates(self.optimizer), self.tally.mean_losses(), self.tally.mean_weights(),
        )  # fmt: skip
        return {
            "epoch": self.epoch,
            "phase": self.phase,
            "step": self.run.step,
            "lr_heads": rates["heads"],
            "lr_backbone": rates.get("backbone"),
            "train_age_loss": losses_T[0],
            "train_gender_loss": losses_T[1],
            **figures,
            "weight_age": weights_T[0],
            "weight_gender": weights_T[1],
            "seconds": self._now() - self._since,
            "images_per_second": self.tally.faces / seconds,
        }

    def _keep(self, row: dict[str, Any], is_whole: bool) -> None:
        """History, best and last checkpoint, a line for the reader.

        An epoch that trainer.max_steps cut short is judged like any other, but the state stays in its
        middle: a run that goes on later does so there.
        """
        monitor, history = replace(self.monitor), [*self.history, row]
        is_best = monitor.update(row[f"val_{monitor.name}"], row["epoch"])
        self._write_history(history)
        if is_best:
            self._save_best()
        if is_whole:
            self.monitor, self.history, self.tally = monitor, history, Tally()
            self._save_last()
        self.run.set_status("running")
        pace = sum(past["seconds"] for past in history) / len(history)
        self.display.say(epoch_line(row, self.epochs, pace * (self.epochs - len(history)), is_best))

    def _hold_best(self) -> None:
        """The best of the whole epochs goes into last.ckpt before a cut one may take its place."""
        if self.monitor.best_epoch and self.run.is_writer:
            tensors, metadata = read_tensors(self.run.path / BEST)
            self._previous_best = {"tensors": tensors, "metadata": metadata}
        self._save_last()

    def _write_history(self, history: list[dict[str, Any]]) -> None:
        if self.run.is_writer:
            write_csv(pd.DataFrame(history), self.run.path / "history.csv", "%.9g")

    def _save_best(self) -> None:
        if not self.run.is_writer:
            return
        data = {
            "source": self.config.data.name,
            "terms": self.parts.dataset.terms,
            "notes": list(self.parts.dataset.notes),
            "split_sha256": self.parts.dataset.split_sha256,
        }
        save_best(self.run.path / BEST, self.network, self.config.to_dict(), data)

    def _save_last(self) -> None:
        if not self.run.is_writer:
            return
        assert self.optimizer is not None
        tally = self.tally
        if tally.steps:
            tally = replace(tally, seconds=self._now() - self._since)
        last = Last(
            position={
                "phase": self.phase,
                "epoch": self.epoch,
                "epoch_step": tally.steps,
                "step": self.run.step,
            },
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            balancer=self.parts.balancer.state_dict(),
            monitor=asdict(self.monitor),
            history=self.history,
            tally=asdict(tally),
            torch_rng=torch.get_rng_state(),
            device_rng=device_rng(self.parts.fabric.device),
            data=self._data,
            config=self.config.to_dict(),
            previous_best=self._previous_best,
        )
        save_last(self.run.path / LAST, last)
        self._saved = self._now()


def _misfit(own: dict[str, Any], found: dict[str, Any]) -> str | None:
    """The first tensor that does not fit, in words."""
    for name in sorted({*own, *found}):
        if name not in found or name not in own:
            return f"{name} is in the {'checkpoint' if name in found else 'network'} alone"
        shapes = [tuple(getattr(state[name], "shape", ())) for state in (found, own)]
        if shapes[0] != shapes[1]:
            return f"{name} has shape {shapes[0]} in the checkpoint, {shapes[1]} in the network"
    return None

"""The training loop: phases of epochs of steps, and what is kept of them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric

from agegender.balancing.balancer import TASKS, Balancer
from agegender.config.schema import TrainConfig
from agegender.core.files import write_csv
from agegender.data.batches import Batches
from agegender.data.dataset import Dataset
from agegender.engine.checkpoint import BEST, LAST, save_best, save_last
from agegender.engine.monitor import Monitor
from agegender.engine.phases import enter_phase, learning_rates
from agegender.engine.progress import Display, epoch_line
from agegender.engine.run_directory import RunDirectory
from agegender.engine.step import mean_losses, refuse_nonfinite, training_step
from agegender.engine.validate import validate
from agegender.models.network import AgeGenderNet


class Fit:
    """Trains a network on a data set's `train` part, watched on its `val` part."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        batches: Batches,
        network: AgeGenderNet,
        balancer: Balancer,
        fabric: Fabric,
        run: RunDirectory,
        display: Display,
    ) -> None:
        self.config, self.dataset, self.batches = config, dataset, batches
        self.network, self.balancer = network, balancer
        self.fabric, self.run, self.display = fabric, run, display
        self.monitor = Monitor(config.trainer.monitor, config.schedule.patience)
        self.train_rows, self.val_rows = dataset.part("train"), dataset.part("val")
        self.epochs = sum(phase.epochs for phase in config.schedule.phases.values())
        if config.trainer.max_steps is not None:
            self.epochs = min(self.epochs, -(-config.trainer.max_steps // batches.steps(self.train_rows)))
        self.epoch = 0
        self.history: list[dict[str, Any]] = []

    def fit(self) -> None:
        """Run every phase; on Ctrl-C the state and a usable network are kept before it goes on up."""
        for name, phase in self.config.schedule.phases.items():
            optimizer = enter_phase(self.network, self.balancer, phase, self.config.schedule)
            try:
                for _ in range(phase.epochs):
                    if self._is_over(name):
                        return
                    self._epoch(name, optimizer)
            except KeyboardInterrupt:
                with suppress(KeyboardInterrupt):  # an impatient second Ctrl-C
                    self._save_last(name, optimizer)
                    if not (self.run.path / BEST).exists():
                        self._save_best()
                raise

    def _is_over(self, phase: str) -> bool:
        limit = self.config.trainer.max_steps
        if limit is not None and self.run.step >= limit:
            return True
        if self.monitor.should_stop:
            self.display.say(
                f"stopped early in front of epoch {self.epoch + 1} ({phase}): no better {self.monitor.name} "
                f"in {self.monitor.epochs_without} epochs (schedule.patience)"
            )
        return self.monitor.should_stop

    def _epoch(self, phase: str, optimizer: torch.optim.Optimizer) -> None:
        self.epoch += 1
        started = time.perf_counter()
        seen, losses_T, weights_T = self._steps(phase, optimizer)
        seconds = time.perf_counter() - started
        figures = validate(
            self.network,
            self.batches.in_order(self.val_rows),
            self.config.evaluation.rmse_cap,
            self.fabric.autocast(),
        )
        for task in TASKS:
            refuse_nonfinite(figures[f"val_{task}_loss"], self.run.step, f"val {task}")
        rates = learning_rates(optimizer)
        self.history.append(
            {
                "epoch": self.epoch,
                "phase": phase,
                "step": self.run.step,
                "lr_heads": rates["heads"],
                "lr_backbone": rates.get("backbone"),
                "train_age_loss": losses_T[0],
                "train_gender_loss": losses_T[1],
                **figures,
                "weight_age": weights_T[0],
                "weight_gender": weights_T[1],
                "seconds": time.perf_counter() - started,
                "images_per_second": seen / seconds,
            }
        )
        self._keep(phase, optimizer)

    def _steps(
        self, phase: str, optimizer: torch.optim.Optimizer
    ) -> tuple[int, list[float | None], list[float]]:
        """One pass over the training faces: faces seen, mean task losses, mean task weights.

        A task's mean is over the faces that have its label, None where none has.
        """
        self.network.train()
        seen, losses_ST, labelled_ST, weights_ST = 0, [], [], []
        batches = self.batches.shuffled(self.train_rows, self.config.seed, self.epoch, self.config.augment)
        steps = self.batches.steps(self.train_rows)
        for batch in self.display.track(batches, f"epoch {self.epoch} {phase}", steps):
            losses, weights = training_step(
                self.network,
                self.balancer,
                optimizer,
                batch,
                self.config.loss.lambda_,
                self.run.step + 1,
                self.fabric.autocast(),
            )
            self.run.step += 1
            seen += len(batch)
            losses_ST.append(losses)
            labelled_ST.append(batch.labelled)
            weights_ST.append(weights)
            if self.run.step == self.config.trainer.max_steps:
                break
        return seen, mean_losses(losses_ST, labelled_ST), np.mean(weights_ST, axis=0).tolist()

    def _keep(self, phase: str, optimizer: torch.optim.Optimizer) -> None:
        """History, best and last checkpoint, a line for the reader."""
        row = self.history[-1]
        is_best = self.monitor.update(row[f"val_{self.monitor.name}"], self.epoch)
        write_csv(pd.DataFrame(self.history), self.run.path / "history.csv", "%.9g")
        if is_best:
            self._save_best()
        self._save_last(phase, optimizer)
        self.run.set_status("running")
        pace = sum(past["seconds"] for past in self.history) / self.epoch
        self.display.say(epoch_line(row, self.epochs, pace * (self.epochs - self.epoch), is_best))

    def _save_best(self) -> None:
        data = {
            "source": self.config.data.name,
            "terms": self.dataset.terms,
            "notes": list(self.dataset.notes),
            "split_sha256": self.dataset.split_sha256,
        }
        save_best(self.run.path / BEST, self.network, self.config.to_dict(), data)

    def _save_last(self, phase: str, optimizer: torch.optim.Optimizer) -> None:
        position = {"phase": phase, "epoch": self.epoch, "step": self.run.step}
        save_last(self.run.path / LAST, self.network, optimizer, self.balancer, position)

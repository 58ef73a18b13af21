"""Where training stands between two steps: all that `last.ckpt` holds, and how it is put back."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch

from agegender.core.errors import UserError
from agegender.engine.average import Average
from agegender.engine.last import LAST, Last, restore_rng, rng_state
from agegender.engine.monitor import Monitor
from agegender.engine.parts import Parts
from agegender.engine.phases import enter_phase, set_rates
from agegender.engine.rates import rate_factor
from agegender.engine.tally import Tally
from agegender.models.network import AgeGenderNet


class State:
    """Everything that steps and epochs change, beside the number of steps.

    An epoch is over when its row is in `history`; until then `tally` says how far it is.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts, self._config = parts, parts.config
        schedule, trainer = self._config.schedule, self._config.trainer
        self.epoch_steps = parts.batches.steps(parts.dataset.part("train"))
        self.monitor = Monitor(trainer.monitor, schedule.patience)
        self.history: list[dict[str, Any]] = []
        self.tally = Tally()
        self.phase: str | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.average = None if schedule.ema is None else Average(parts.network, schedule.ema)
        self.scaler = torch.amp.GradScaler(parts.fabric.device.type, enabled=parts.precision == 16)
        self.previous_best: dict[str, Any] | None = None
        self._data = parts.data_sha256()

    @property
    def epoch(self) -> int:
        """The epoch under way, else the last one that is over."""
        return len(self.history) + bool(self.tally.steps)

    @property
    def judged(self) -> AgeGenderNet:
        """The network that is validated and kept."""
        return self._parts.network if self.average is None else self.average.network

    def enter(self, phase: str) -> None:
        """Begin a phase: its optimizer and its average are new."""
        schedule = self._config.schedule
        self.optimizer = enter_phase(self._parts.network, schedule.phases[phase], schedule)
        if self.average is not None:
            self.average.restart()
        self.phase = phase

    def set_rates(self) -> torch.optim.Optimizer:
        """The optimizer with the learning rates of the step that comes."""
        assert self.optimizer is not None
        past = [row for row in self.history if row["phase"] == self.phase]
        schedule, name = self._config.schedule, self.monitor.name
        factor = rate_factor(
            schedule,
            step=len(past) * self.epoch_steps + self.tally.steps,
            steps=schedule.phases[str(self.phase)].epochs * self.epoch_steps,
            epoch_steps=self.epoch_steps,
            monitor=name,
            figures=[row[f"val_{name}"] for row in past],
        )
        set_rates(self.optimizer, factor)
        return self.optimizer

    def to_last(self, step: int, seconds: float) -> Last:
        """What is kept; `seconds` have gone into the epoch under way. All ranks call it at once."""
        assert self.optimizer is not None
        tally = replace(self.tally, seconds=seconds) if self.tally.steps else self.tally
        return Last(
            position={
                "phase": self.phase,
                "epoch": self.epoch,
                "epoch_step": tally.steps,
                "step": step,
            },
            network=self._parts.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            balancer=self._parts.balancer.state_dict(),
            group_dro=None if self._parts.group_dro is None else self._parts.group_dro.state_dict(),
            scaler=self.scaler.state_dict(),
            average=None if self.average is None else self.average.state_dict(),
            monitor=asdict(self.monitor),
            history=self.history,
            tally=asdict(tally),
            rng=self._parts.ranks.gather(rng_state(self._parts.fabric.device)),
            data=self._data,
            config=self._config.to_dict(),
            previous_best=self.previous_best,
        )

    def restore(self, last: Last, name: str) -> None:
        """Stand where a checkpoint of the same settings and faces stood; UserError where it does not fit."""
        name = f"{name}: {LAST} does not fit"
        network, balancer, group_dro = self._parts.network, self._parts.balancer, self._parts.group_dro
        for module, state in ((network, last.network), (balancer, last.balancer)):
            wrong = _misfit(module.state_dict(), state)
            if wrong:
                model, head = self._config.model.name, self._config.age_head.name
                raise UserError(f"{name} model={model}, age_head={head}: {wrong}")
        try:
            network.load_state_dict(last.network)
            balancer.load_state_dict(last.balancer)
            if group_dro is not None:
                group_dro.load_state_dict(last.group_dro or {})
            self.enter(last.position["phase"])
            assert self.optimizer is not None
            self.optimizer.load_state_dict(last.optimizer)
            self.scaler.load_state_dict(last.scaler)
            if self.average is not None:
                self.average.load_state_dict(last.average or {})
            self.monitor = Monitor(**last.monitor)
            self.history = list(last.history)
            self.tally = Tally(**last.tally)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{name} config.yaml: {' '.join(str(error).split())[:160]}") from error

    def restore_rng(self, last: Last) -> None:
        """Draw on where the checkpoint stood; the last thing in front of the first step."""
        restore_rng(last, self._parts.fabric.device, self._parts.ranks.rank)


def _misfit(own: dict[str, Any], found: dict[str, Any]) -> str | None:
    """The first tensor that does not fit, in words."""
    for name in sorted({*own, *found}):
        if name not in found or name not in own:
            return f"{name} is in the {'checkpoint' if name in found else 'network'} alone"
        shapes = [tuple(getattr(state[name], "shape", ())) for state in (found, own)]
        if shapes[0] != shapes[1]:
            return f"{name} has shape {shapes[0]} in the checkpoint, {shapes[1]} in the network"
    return None

"""The schedule of a training: its phases, what each trains, and the course of the rates."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from agegender.config.options import Options
from agegender.core.errors import unknown

TRAINABLE = ("heads", "last_stage", "all")


def _trainable(value: Any) -> Any:
    """A word, or patterns; whether these fit any name is seen once there is a network."""
    every = value if isinstance(value, list) else [value]
    if not every or not all(isinstance(one, str) and one for one in every):
        raise ValueError(
            f"must be one of {', '.join(TRAINABLE)}, or a list of patterns over parameters' names"
        )
    for one in every:
        if one not in TRAINABLE and "." not in one and not set(one) & set("*?["):
            raise ValueError(
                f"{unknown('word', one, TRAINABLE)}; or a pattern, such as backbone.net.layer4.*"
            )
    return value


Trainable = Annotated[str | list[str], BeforeValidator(_trainable)]


class PhaseOptions(Options):
    """One phase of training."""

    epochs: int = Field(ge=1, le=100_000, description="at most this many epochs")
    trainable: Trainable = Field(
        description="heads (the backbone is frozen), last_stage, all, or a list of patterns over the "
        "parameters' names, e.g. [heads, backbone.net.layer4.*]"
    )
    lr: float = Field(gt=0, le=100, description="learning rate of what is trainable")
    lr_heads: float | None = Field(gt=0, le=100, description="learning rate of the heads; null: lr")


class ScheduleOptions(Options):
    """Phases in their order, and what they share."""

    optimizer: Literal["adam", "adamw", "sgd"] = Field(description="sgd has momentum 0.9")
    weight_decay: float = Field(ge=0, le=10, description="of the optimizer; norms and biases have none")
    layer_decay: float = Field(
        gt=0, le=1, description="each layer of the backbone learns at this share of the rate of the one above"
    )
    rate: Literal["constant", "cosine", "one_cycle", "plateau"] = Field(
        description="course of the learning rates over each phase; lr is the highest"
    )
    warmup_epochs: float = Field(
        ge=0, le=1000, description="epochs (2, 0.5) in which each phase's rates rise from near 0 to lr"
    )
    plateau_patience: int = Field(
        ge=1, le=100_000, description="rate=plateau: epochs of a phase without a better trainer.monitor"
    )
    plateau_factor: float = Field(
        gt=0, le=1, description="rate=plateau: what the rates are then multiplied by"
    )
    clip_norm: float | None = Field(
        gt=0, le=1e9, description="a longer gradient is shortened to this norm; null: never"
    )
    ema: float | None = Field(
        gt=0,
        le=0.999999,
        description="decay a step of an average of the weights, which is then validated and kept; null: none",
    )
    patience: int | None = Field(
        ge=1,
        le=100_000,
        description="end after so many epochs without a better trainer.monitor, in all phases; null: never",
    )
    phases: dict[str, PhaseOptions] = Field(min_length=1, description="by name, in this order")

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.rate == "one_cycle" and self.warmup_epochs:
            raise ValueError(
                f"rate=one_cycle has a warm-up of its own; warmup_epochs={self.warmup_epochs:g} must be 0"
            )
        for name, phase in self.phases.items():
            if self.warmup_epochs >= phase.epochs:
                raise ValueError(
                    f"warmup_epochs={self.warmup_epochs:g} leaves nothing of "
                    f"phases.{name}.epochs={phase.epochs}"
                )
        return self

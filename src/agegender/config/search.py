"""What `agegender-tune` is told: which keys to search in which ranges, and how."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from agegender.config.every import seconds_of
from agegender.config.options import AnyPath, Options
from agegender.config.schema import TrainConfig

Number = int | float
Scalar = str | bool | int | float | None
Value = Scalar | list[Scalar]


def _number(value: Any) -> Any:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("must be a number")
    return value


def _value(value: Any) -> Any:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str | bool | int | None):
            try:
                _number(item)
            except ValueError:
                raise ValueError("must be a number, a word, true, false or null, or a list of such") from None
    return value


_Number = Annotated[Number, BeforeValidator(_number)]


class Span(Options):
    """Numbers from `low` to `high`, both included; whole ones where the key takes no others."""

    low: _Number
    high: _Number
    log: bool = False
    step: Annotated[_Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low={self.low} must not be above high={self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log: true needs low above 0, not {self.low}")
        if self.step is not None:
            if self.log:
                raise ValueError("log: true and step do not go together")
            low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
            if (high - low) % step:
                last = high - (high - low) % step
                raise ValueError(f"step={step} does not lead from low={low} to high={high}, but to {last}")
        return self


class Choices(Options):
    """One of several values, in no order."""

    choices: list[Annotated[Value, BeforeValidator(_value)]] = Field(min_length=1)

    @property
    def by_name(self) -> dict[str, Value]:
        """Each choice under a text that says which it is."""
        return {value if isinstance(value, str) else json.dumps(value): value for value in self.choices}

    @model_validator(mode="after")
    def _are_different(self) -> Self:
        if len(self.by_name) < len(self.choices):
            raise ValueError(f"choices holds a value twice: {self.choices}")
        return self


def _range(value: Any) -> Span | Choices:
    if isinstance(value, Span | Choices):
        return value
    if not isinstance(value, dict):
        raise ValueError(
            "must be a range, {low: 1, high: 10} with log: true or step: 1, or {choices: [a, b]}"
        )
    return (Choices if "choices" in value else Span).model_validate(value)


def _duration(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and seconds_of(value)):
        return value
    raise ValueError("must be null or a duration such as 90min or 8h")


Range = Annotated[Span | Choices, BeforeValidator(_range)]


class TuneConfig(TrainConfig):
    """Everything `agegender-tune` needs: the settings of every trial, and what differs between them."""

    search: dict[str, Range] = Field(min_length=1, description="keys, each with its range")
    trials: int = Field(
        ge=1, le=1_000_000, description="trials in all, those of a search that is taken up included"
    )
    timeout: Annotated[str | None, BeforeValidator(_duration)] = Field(
        description="start no trial after so long: 90min, 8h; null: never mind"
    )
    sampler: Literal["tpe", "random"] = Field(
        description="tpe learns from the trials so far which values are worth trying"
    )
    sampler_seed: int = Field(ge=0, le=2**32 - 1, description="draws the values; seed is the training's")
    startup: int = Field(
        ge=0, le=100_000, description="trials to begin with that are drawn at random and never pruned"
    )
    pruner: Literal["median", "none"] = Field(
        description="median ends a trial whose best trainer.monitor so far is worse than the median of what "
        "the earlier ones had after as many epochs"
    )
    min_epochs: int = Field(ge=1, le=100_000, description="no trial is pruned before it has so many")


class TakenUpOptions(Options):
    """What `agegender-tune` is told to go on with."""

    resume: AnyPath | None = Field(
        description="directory of a search that goes on with its own settings; beside it only trials and "
        "timeout"
    )


OF_THE_SEARCH = TuneConfig.model_fields.keys() - TrainConfig.model_fields.keys()
"""Keys that no trial has."""

"""The settings of every trial that a search could make, checked at their ends before the first one starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from agegender.config.compose import composing, groups, to_plain, validate
from agegender.config.preflight import Plan
from agegender.config.schema import TrainConfig
from agegender.config.search import OF_THE_SEARCH, Choices, Span, TuneConfig, Value
from agegender.core.errors import UserError

Check = Callable[[TrainConfig], None]

_MANY = 256
"""Combinations that are all composed; of more, each end of a range with the others at one end."""
_COMMANDS_OWN = OF_THE_SEARCH | {"hydra", "resume", "sweep"}
_FACES = ("data", "split", "evaluation")
_HARMLESS = {"image_size", "cache"}


@dataclass(frozen=True)
class Space:
    """A command line that every trial follows, and the keys that trials set beside it."""

    plan: Plan[TuneConfig]
    ranges: Mapping[str, Span | Choices]
    check: Check
    """What the schema cannot know."""
    _composed: dict[tuple[str, ...], DictConfig] = field(default_factory=dict)

    @property
    def search(self) -> TuneConfig:
        return self.plan.jobs[0].config

    def config(self, values: Mapping[str, Value]) -> TrainConfig:
        """A trial's settings; UserError where they are none."""
        plain = to_plain(self.composed(values))
        config = validate(TrainConfig, {key: item for key, item in plain.items() if key not in OF_THE_SEARCH})
        self.check(config)
        return config

    def composed(self, values: Mapping[str, Value]) -> DictConfig:
        """The same as Hydra sees it, which composes anew only where other options of groups are chosen."""
        options = {key: value for key, value in values.items() if key in self._groups}
        chosen = tuple(override_lines(options))
        if chosen not in self._composed:
            lines = override_lines(values)
            with composing("tune", self.plan.config_dir) as composer:
                composer.parse(lines)
                self._composed[chosen] = composer.compose([*self.plan.overrides, *lines])
        composed = self._composed[chosen]
        for key in values.keys() - options.keys():  # always the same: nothing of an earlier call stays
            OmegaConf.update(composed, key, values[key])
        return composed

    @cached_property
    def _groups(self) -> frozenset[str]:
        return frozenset(groups("tune"))


def checked_space(plan: Plan[TuneConfig], check: Check) -> Space:
    """The space that the plan means; UserError for keys, ranges and combinations that no run can have."""
    _refuse_keys(plan)
    space = Space(plan, plan.jobs[0].config.search, check)
    for values in _probes(space.ranges):
        try:
            _refuse_what_cannot_compare(space.config(values), space.search)
        except UserError as error:
            raise UserError(f"search: {error}") from error
    return Space(plan, {key: _settled(key, space) for key in space.ranges}, check)


def override_lines(values: Mapping[str, Value]) -> list[str]:
    """Values as Hydra's grammar writes them."""
    return [f"{key}={override_text(value)}" for key, value in values.items()]


def override_text(value: Value) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(override_text, value))}]"
    if isinstance(value, str):
        return str(QuotedString(text=value, quote=Quote.single).with_quotes())
    return "null" if value is None else str(value).lower()


def ends(span: Span | Choices) -> list[Value]:
    return span.choices if isinstance(span, Choices) else list(dict.fromkeys([span.low, span.high]))


def _refuse_keys(plan: Plan[TuneConfig]) -> None:
    given = {line.partition("=")[0].lstrip("+~"): line for line in plan.overrides}
    for key in plan.jobs[0].config.search:
        if key.partition(".")[0].partition("/")[0] in _COMMANDS_OWN:
            raise UserError(f"search: {key} is no setting of a run")
        if key in given:
            raise UserError(f"{given[key]}: the search varies {key}; leave it out, or search other keys")


def _probes(ranges: Mapping[str, Span | Choices]) -> Iterator[dict[str, Value]]:
    """All combinations of ends and choices, or each of them once where those are too many."""
    values = {key: ends(span) for key, span in ranges.items()}
    if prod(map(len, values.values())) <= _MANY:
        for chosen in product(*values.values()):
            yield dict(zip(values, chosen, strict=True))
        return
    for others in (0, -1):
        base = {key: each[others] for key, each in values.items()}
        for key, each in values.items():
            yield from ({**base, key: value} for value in each)


def _settled(key: str, space: Space) -> Span | Choices:
    """The range with whole numbers made fractions where the key takes fractions: `low: 1` of a weight."""
    span = space.ranges[key]
    if isinstance(span, Choices) or {type(span.low), type(span.high), type(span.step or 1)} != {int}:
        return span
    firsts = {name: ends(other)[0] for name, other in space.ranges.items()}
    try:
        space.config({**firsts, key: span.low + 0.5})
    except UserError:
        return span
    return span.model_copy(update={"low": float(span.low), "high": float(span.high)})


def _refuse_what_cannot_compare(config: TrainConfig, search: TuneConfig) -> None:
    """Trials are compared on the same faces by the same figure."""
    if config.trainer.monitor != search.trainer.monitor:
        raise UserError("trainer.monitor is the figure that trials are compared by: it cannot vary")
    for name in _FACES:
        one, other = (getattr(each, name).to_dict() for each in (config, search))
        differs = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)} - _HARMLESS
        if differs:
            raise UserError(f"{name}.{min(differs)} cannot vary: trials are compared on the same faces")
    if config.trainer.devices > 1 and search.pruner != "none":
        raise UserError(
            f"pruner={search.pruner} with trainer.devices={config.trainer.devices}: nobody watches a run in "
            "several processes; say pruner=none"
        )

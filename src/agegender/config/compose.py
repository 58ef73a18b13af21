"""From overrides to checked settings: the only place where a DictConfig becomes a typed object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

import agegender
from agegender.config.messages import explain_hydra, explain_validation
from agegender.config.options import Options
from agegender.core.errors import UserError, unknown
from agegender.core.files import read_yaml
from agegender.core.nested import leaves

S = TypeVar("S", bound=Options)

_OF_THE_COMMAND = ("experiment", "resume", "sweep")
"""Keys that say how jobs are made, not what one job is."""


def conf_dir() -> Path:
    """The YAML groups: inside the installed package, or at the top of a checkout."""
    package = Path(agegender.__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


class Composer:
    """Composes one entry's configuration; made by `composing`, which starts and ends Hydra around it."""

    def __init__(self, config_name: str, extra: Sequence[str]) -> None:
        self.config_name = config_name
        self._extra = list(extra)

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """Overrides in Hydra's grammar; `UserError` for what it cannot read."""
        loader = GlobalHydra.instance().config_loader()
        with self._explained(overrides):
            parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        known = groups(self.config_name)
        for override in parsed:
            if override.is_delete() or override.key_or_group not in known:
                continue
            if isinstance(override.value(), int | float | bool | None):
                name, value = override.key_or_group, override.get_value_element_as_str()
                keys = ", ".join(key for key in self.known_keys() if key.startswith(name + "."))
                raise UserError(f"{unknown(f'{name} option', value, known[name])}; its keys: {keys}")
        return parsed

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The composed configuration, Hydra's own part included."""
        with self._explained(overrides):
            return hydra.compose(self.config_name, [*self._extra, *overrides], return_hydra_config=True)

    def known_keys(self, overrides: Sequence[str] = ()) -> list[str]:
        """Every key and group of the entry, with the groups' options that the overrides choose."""
        known = groups(self.config_name)
        chosen = [line for line in overrides if line.partition("=")[0] in known]
        for lines in (chosen, []):  # a choice may itself be the mistake
            try:
                config = hydra.compose(self.config_name, [*self._extra, *lines])
            except (HydraException, OmegaConfBaseException):
                continue
            return sorted({*flatten(OmegaConf.to_container(config)), *known})
        return sorted({*flatten(primary(self.config_name)), *known})

    def _options_with(self, key: str) -> list[str]:
        """Options ("split=dedup5") whose YAML has this key."""
        group, _, rest = key.partition(".")
        files = {
            option: conf_dir() / group / f"{option}.yaml"
            for option in groups(self.config_name).get(group, [])
        }
        return [f"{group}={option}" for option, file in files.items() if rest in leaf_keys(read_yaml(file))]

    @contextmanager
    def _explained(self, overrides: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise UserError(
                explain_hydra(error, self.known_keys(overrides), groups(self.config_name), self._options_with)
            ) from error


@contextmanager
def composing(config_name: str, config_dir: str | None = None) -> Iterator[Composer]:
    """Hydra's compose API over our YAML, and over the user's own folder with `--config-dir`."""
    extra = []
    if config_dir is not None:
        folder = Path(config_dir).expanduser().absolute()
        if not folder.is_dir():
            raise UserError(f"--config-dir={config_dir}: no such folder")
        extra = [f"hydra.searchpath=['file://{folder}']"]
    with hydra.initialize_config_dir(str(conf_dir()), job_name=config_name, version_base="1.3"):
        yield Composer(config_name, extra)


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Plain data without Hydra's part and without interpolations; `UserError` names a missing value."""
    task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        plain = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(" ".join(str(error).split())) from error
    assert isinstance(plain, dict)
    for name in _OF_THE_COMMAND:
        plain.pop(name, None)
    for name, value in leaves(plain):
        if value == "???":
            raise UserError(f"{name} is required: {name}=VALUE")
    return {str(key): value for key, value in plain.items()}


def validate(schema: type[S], plain: dict[str, Any]) -> S:
    """The typed settings; `UserError` names the first wrong key."""
    try:
        return schema.model_validate(plain)
    except ValidationError as error:
        raise UserError(explain_validation(error)) from error


def primary(config_name: str) -> dict[str, Any]:
    """An entry's own YAML, with that of the entry that it builds upon."""
    found: dict[str, Any] = {"defaults": []}
    own = read_yaml(conf_dir() / f"{config_name}.yaml")
    for item in own.get("defaults", []):
        if isinstance(item, dict):
            found["defaults"].append(item)
        elif item != "_self_":
            below = primary(item)
            found = {**below, "defaults": [*found["defaults"], *below["defaults"]]}
    return {**found, **own, "defaults": found["defaults"]}


def groups(config_name: str) -> dict[str, list[str]]:
    """The groups that an entry composes, each with its options, from the YAML folder."""
    found = {}
    for name in [key for item in primary(config_name)["defaults"] for key in item]:
        folder = conf_dir() / name
        if folder.is_dir():
            files = folder.rglob("*.yaml")
            found[name] = sorted(str(file.relative_to(folder).with_suffix("")) for file in files)
    return found


def flatten(value: Any) -> list[str]:
    """Dotted names of every key, inner ones included."""
    return [key for key, _ in leaves(value, inner=True)]


def leaf_keys(value: Any) -> list[str]:
    """Dotted names of the keys that hold values."""
    return [key for key, _ in leaves(value)]

"""Every field of every schema refuses a wrong type and what lies outside its bounds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import annotated_types
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agegender.config.compose import composing, to_plain, validate
from agegender.config.inference import EvaluateConfig, PredictConfig
from agegender.config.models import ModelsConfig
from agegender.config.options import Options
from agegender.config.report import ReportConfig
from agegender.config.schema import TrainConfig
from agegender.config.search import OF_THE_SEARCH, TuneConfig
from agegender.core import registry
from agegender.core.errors import UserError

SCHEMAS: dict[str, type[Options]] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "report": ReportConfig,
    "models": ModelsConfig,
    "tune": TuneConfig,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """One valid plain configuration an entry."""
    folder = tmp_path_factory.mktemp("schema")
    overrides = {
        "train": ["model=scratch_cnn_v2"],
        "evaluate": ["data=synthetic", f"run='{folder}'"],
        "predict": [f"run='{folder}'", f"input='{folder}'", f"output='{folder}/out.csv'"],
        "report": [f"runs=['{folder}']"],
        "models": [],
        "tune": ["search=rates"],
    }
    found = {}
    for name, lines in overrides.items():
        with composing(name) as composer:
            found[name] = to_plain(composer.compose(lines))
        validate(SCHEMAS[name], found[name])
    return found


@dataclass(frozen=True)
class Field:
    """A leaf of a schema: where it is, and what is known of it."""

    entry: str
    path: tuple[str, ...]
    info: FieldInfo

    def __str__(self) -> str:
        return f"{self.entry}:{'.'.join(self.path)}"


def _leaves(entry: str, schema: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Field]:
    for name, info in schema.model_fields.items():
        here = (*path, info.alias or name)
        inner = [t for t in _types(info.annotation) if isinstance(t, type) and issubclass(t, BaseModel)]
        has_names = str(info.annotation).startswith("dict")
        if name == "phases":
            yield from _leaves(entry, inner[0], (*here, "all"))
        elif name in registry.PACKAGES:
            continue  # each component is walked by its own Options
        elif inner and not has_names:
            yield from _leaves(entry, inner[0], here)
        else:
            yield Field(entry, here, info)


def _types(annotation: Any) -> list[Any]:
    return [annotation, *[t for arg in getattr(annotation, "__args__", ()) for t in _types(arg)]]


FIELDS = [
    field
    for entry, schema in SCHEMAS.items()
    for field in _leaves(entry, schema)
    if entry != "tune" or field.path[0] in OF_THE_SEARCH  # its other keys are those of train
]
OWN = {"timm": ["model.backbone=resnet18"], "dinov2_s": ["data.image_size=56"]}
"""What some cannot be without."""
COMPONENTS = [(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)]


def _with(plain: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(plain)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def _bounds(info: FieldInfo) -> Iterator[Any]:
    """Values just outside the declared bounds."""
    metadata = list(info.metadata)
    for annotation in _types(info.annotation):
        metadata += getattr(annotation, "__metadata__", ())
    for bound in metadata:
        for constraint in getattr(bound, "metadata", [bound]):
            if isinstance(constraint, annotated_types.Ge):
                yield constraint.ge - 1  # type: ignore[operator]
            if isinstance(constraint, annotated_types.Gt):
                yield constraint.gt
            if isinstance(constraint, annotated_types.Le):
                yield constraint.le + 1  # type: ignore[operator]


def _is_number(info: FieldInfo) -> bool:
    return any(t in (int, float) for t in _types(info.annotation)) and "dict" not in str(info.annotation)


def test_the_walk_finds_the_fields() -> None:
    assert len(FIELDS) == 91
    assert len(COMPONENTS) == 57


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_wrong_type_is_refused_and_named(field: Field, plain: dict[str, dict[str, Any]]) -> None:
    for wrong in ({"a": "mapping"}, ["list", 3]):
        with pytest.raises(UserError, match=field.path[-1]):
            validate(SCHEMAS[field.entry], _with(plain[field.entry], field.path, wrong))


@pytest.mark.parametrize("field", [f for f in FIELDS if _is_number(f.info)], ids=str)
def test_both_bounds_are_declared_and_hold(field: Field, plain: dict[str, dict[str, Any]]) -> None:
    outside = list(_bounds(field.info))
    unbounded_above = {"lambda", "max_steps", "limit"}
    if "precision" not in field.path:
        assert len(outside) == (1 if field.path[-1] in unbounded_above else 2)
    for value in [*outside, "3", float("nan"), float("inf"), True]:
        with pytest.raises(UserError, match=field.path[-1]):
            validate(SCHEMAS[field.entry], _with(plain[field.entry], field.path, value))


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_option_of_every_component(kind: str, name: str, tmp_path: Any) -> None:
    options: type[Options] = registry.find(kind, name).Options
    file = tmp_path / "file.csv"
    file.touch()
    lines = {"root": str(tmp_path), "csv": str(file)}
    with composing("train") as composer:
        yaml = "kaggle_nppe1" if name == "csv" else name
        overrides = [f"{kind}={yaml}"]
        overrides += [
            f"data.{k}='{v}'" for k, v in lines.items() if kind == "data" and k in options.model_fields
        ]
        if name == "mixed":
            overrides += [f"data.sources.{label}.root='{tmp_path}'" for label in ("utkface", "fairface")]
        overrides += OWN.get(name, [])
        plain = to_plain(composer.compose(overrides))
    validate(TrainConfig, {**plain, "model": {**plain["model"], "weights": None}})
    for field in _leaves("train", options, (kind,)):
        for wrong in (
            {"unknown": "mapping"},
            ["list", 3],
            *(_bounds(field.info) if _is_number(field.info) else ()),
        ):
            with pytest.raises(UserError, match=rf"^{kind}[.:]"):
                validate(TrainConfig, _with(plain, field.path, wrong))


@pytest.mark.parametrize("entry", SCHEMAS)
def test_an_unknown_key_is_refused(entry: str, plain: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(UserError, match="surprise"):
        validate(SCHEMAS[entry], {**plain[entry], "surprise": 1})


@pytest.mark.parametrize("entry", SCHEMAS)
def test_a_missing_key_is_named(entry: str, plain: dict[str, dict[str, Any]]) -> None:
    for key in plain[entry]:
        with pytest.raises(UserError, match=key):
            validate(SCHEMAS[entry], {k: v for k, v in plain[entry].items() if k != key})

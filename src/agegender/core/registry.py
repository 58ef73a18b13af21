"""Components found by their folder: a new file with `@register` is all that a new component needs.

A component is a class with a nested `Options` (its typed, bounded settings). Its kind is the Hydra
group that chooses it, its name the YAML file in that group.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from agegender.core.errors import UserError, unknown

PACKAGES = {
    "data": "agegender.data.sources",
    "split": "agegender.data.splits",
    "model": "agegender.models.backbones",
    "attention": "agegender.models.attention",
    "age_head": "agegender.models.heads",
    "balancer": "agegender.balancing",
    "uncertainty": "agegender.models.uncertainty",
}

_components: dict[str, dict[str, type[Any]]] = {kind: {} for kind in PACKAGES}

C = TypeVar("C")


def register(kind: str, name: str) -> Callable[[type[C]], type[C]]:
    """Class decorator: make the class known as `kind` = `name`; the class carries its `Options`."""

    def decorate(component: type[C]) -> type[C]:
        known = _components[kind].get(name)
        if known is not None and known.__qualname__ != component.__qualname__:
            raise ValueError(f"{kind} {name!r} is registered twice: {known} and {component}")
        if not hasattr(component, "Options"):
            raise TypeError(f"{component.__qualname__} is registered as {kind} but has no Options")
        _components[kind][name] = component
        return component

    return decorate


@cache
def _import_all(kind: str) -> None:
    package = importlib.import_module(PACKAGES[kind])
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def names(kind: str) -> list[str]:
    """All registered names of a kind, sorted."""
    _import_all(kind)
    return sorted(_components[kind])


def find(kind: str, name: str) -> type[Any]:
    """The component class; `UserError` names the nearest known one when there is none."""
    _import_all(kind)
    try:
        return _components[kind][name]
    except KeyError:
        raise UserError(unknown(f"{kind}.name", name, _components[kind])) from None


def build(kind: str, options: Any, *args: Any, **kwargs: Any) -> Any:
    """An instance of the component that `options.name` names: `Component(options, ...)`."""
    return find(kind, options.name)(options, *args, **kwargs)

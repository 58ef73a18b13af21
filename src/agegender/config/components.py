"""Groups of the configuration whose settings are those of the component that they name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from agegender.config.options import (
    AgeHeadOptions,
    AttentionOptions,
    BalancerOptions,
    Component,
    DataOptions,
    ModelOptions,
    SplitOptions,
    UncertaintyOptions,
)
from agegender.core import registry
from agegender.core.errors import unknown


def _component(kind: str) -> BeforeValidator:
    """Validate a group's mapping with the Options of the component that its `name` names."""

    def parse(value: Any) -> Any:
        if isinstance(value, Component):
            return value
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise ValueError(f"must be a mapping with a name, one of {', '.join(registry.names(kind))}")
        if value["name"] not in registry.names(kind):
            raise ValueError(unknown("name", value["name"], registry.names(kind)))
        return registry.find(kind, value["name"]).Options.model_validate(value)

    return BeforeValidator(parse)


AnyData = Annotated[SerializeAsAny[DataOptions], _component("data")]
AnySplit = Annotated[SerializeAsAny[SplitOptions], _component("split")]
AnyModel = Annotated[SerializeAsAny[ModelOptions], _component("model")]
AnyAttention = Annotated[SerializeAsAny[AttentionOptions], _component("attention")]
AnyAgeHead = Annotated[SerializeAsAny[AgeHeadOptions], _component("age_head")]
AnyBalancer = Annotated[SerializeAsAny[BalancerOptions], _component("balancer")]
AnyUncertainty = Annotated[SerializeAsAny[UncertaintyOptions], _component("uncertainty")]

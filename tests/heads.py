"""Age heads with their defaults, for labels that spread by 20 years."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch

from agegender.config.compose import conf_dir, validate
from agegender.config.inference import AgeHeadConfig
from agegender.core import registry
from agegender.core.files import read_yaml
from agegender.core.types import LabelSpec
from agegender.models.grid_head import GridHead
from agegender.models.head import AgeHead

QUANTILES = 45.0 + 20.0 * torch.special.ndtri(torch.linspace(0.005, 0.995, 101, dtype=torch.float64))
"""Normal, about 45 and 20 years wide, cut at 0."""

LABELS = LabelSpec(
    age_min=0,
    age_max=120,
    age_mean=45.0,
    age_std=20.0,
    age_quantiles=tuple(QUANTILES.clamp(min=0).tolist()),
)

SMALL = LabelSpec(age_min=0, age_max=4, age_mean=2, age_std=1)
"""Five whole years: sums that can be done by hand."""


def make_head(name: str, num_features: int = 4, labels: LabelSpec = LABELS, **options: Any) -> AgeHead:
    """The head of that name as its YAML has it, but for `options`."""
    plain = {**_defaults(name), **options}
    parsed = validate(AgeHeadConfig, {"age_head": plain}).age_head
    torch.manual_seed(0)
    head: AgeHead = registry.build("age_head", parsed, num_features, labels)
    return head


@cache
def _defaults(name: str) -> dict[str, Any]:
    defaults: dict[str, Any] = read_yaml(conf_dir() / "age_head" / f"{name}.yaml")
    return defaults


def exactly(*years: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Exact labels as intervals (B, 2)."""
    return torch.tensor(years, dtype=dtype)[:, None].expand(-1, 2)


def grid_head(name: str, labels: LabelSpec = SMALL, **options: Any) -> GridHead:
    """A head with a posterior over whole years."""
    return cast("GridHead", make_head(name, labels=labels, **options))


def raw_of(head: AgeHead, rows: int = 6, scale: float = 2.0) -> torch.Tensor:
    """What a head says to some features."""
    features = scale * torch.randn(rows, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return head(features)  # type: ignore[no-any-return]

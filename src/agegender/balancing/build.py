"""The balancer that a configuration names."""

from __future__ import annotations

from agegender.balancing.balancer import Balancer
from agegender.config.options import BalancerOptions
from agegender.core import registry
from agegender.core.errors import UserError


def build_balancer(options: BalancerOptions, seed: int) -> Balancer:
    """What is drawn comes from the seed. Raises UserError where a library that it needs is missing."""
    try:
        balancer: Balancer = registry.build("balancer", options, seed)
    except ImportError as error:
        raise UserError(
            f"balancer={options.name} needs a library that is not installed ({error}): "
            "pip install 'agegender[balancers]'"
        ) from error
    return balancer

"""Age as a normal distribution: a mean and a variance a face."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Normal

from agegender.config.options import AgeHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.head import AgeEstimate, AgeHead


@register("age_head", "gaussian")
class GaussianHead(AgeHead):
    """Negative log-likelihood of a normal distribution; with `beta`, each face's by its variance^beta.

    Nix and Weigend, ICNN 1994; beta-NLL: Seitzer, Tavakoli, Antic and Martius, "On the pitfalls of
    heteroscedastic uncertainty estimation with probabilistic neural networks", ICLR 2022 (0.5 there; 1 has
    the mean learn as from squared errors). The loss counts years^(2 beta). An interval has the log of its
    mass, from low - 0.5 to high + 0.5. Mean and standard deviation start from the training labels'; no
    standard deviation is below `min_std`, as a label is no finer than the year it is rounded to.
    """

    class Options(AgeHeadOptions):
        """Settings of the Gaussian head."""

        beta: float = Field(ge=0, le=1, description="0: the likelihood; 1: errors count as squared ones do")
        min_std: float = Field(gt=0, le=20, description="years; the smallest standard deviation")

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(label_spec)
        self.linear = nn.Linear(num_features, 2)
        self.years_power = 2 * options.beta
        self._beta, self._min_std = options.beta, options.min_std

    def forward(self, features_BF: Tensor) -> Tensor:
        """Mean and log-variance (B, 2), in standard deviations of the training labels about their mean."""
        raw_B2: Tensor = self.linear(features_BF)
        return raw_B2

    def _normal(self, raw_B2: Tensor) -> Normal:
        mean_B, log_variance_B = raw_B2.unbind(1)
        spec = self.label_spec
        # no variance is infinite: e^10 is 150 standard deviations
        variance_B = log_variance_B.clamp(max=10).exp() * spec.age_std**2 + self._min_std**2
        return Normal(mean_B * spec.age_std + spec.age_mean, variance_B.sqrt(), validate_args=False)

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        normal = self._normal(raw_BK)
        low_B, high_B = age_B2.unbind(1)
        log_likelihood_B = torch.where(
            low_B == high_B, normal.log_prob(low_B), log_mass(normal, low_B - 0.5, high_B + 0.5)
        )
        return -(normal.variance.detach() ** self._beta * log_likelihood_B)

    def decode(self, raw_BK: Tensor) -> AgeEstimate:
        normal = self._normal(raw_BK)
        return AgeEstimate(self.in_label_range(normal.mean), normal.stddev)


def log_mass(normal: Normal, start_B: Tensor, end_B: Tensor) -> Tensor:
    """Log of the mass between start and end, finite and with a gradient in either tail."""
    left_B, right_B = ((end_B - normal.mean) / normal.stddev for end_B in (start_B, end_B))
    # right of the mean the mirror image, since 1 - tiny is 1
    is_right_B = left_B + right_B > 0
    left_B, right_B = torch.where(is_right_B, -right_B, left_B), torch.where(is_right_B, -left_B, right_B)
    log_below_B, log_up_to_B = torch.special.log_ndtr(left_B), torch.special.log_ndtr(right_B)
    log_mass_B: Tensor = log_up_to_B + torch.log(-torch.expm1(log_below_B - log_up_to_B))
    return log_mass_B

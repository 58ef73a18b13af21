"""What is said of faces: by one pass of a network, by several, or by an ensemble of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.evaluation.posterior import Posterior
from agegender.evaluation.table import SEVERAL

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """An answer a face; ages and standard deviations in years."""

    age_N: Floats
    aleatoric_N: Floats
    """Standard deviation that the network itself states; NaN where its age head states none."""
    female_N: Floats
    """P(female)."""
    posterior: Posterior | None = None
    """None where the age head has none."""
    epistemic_N: Floats | None = None
    """Standard deviation between the passes or members; None for a single pass."""
    information_N: Floats | None = None
    """Mutual information between gender and the pass or member, nats; None for a single pass."""

    @classmethod
    def join(cls, parts: Sequence[Predicted]) -> Predicted:
        """The faces of all parts, of one network, in their order."""

        def joined(name: str) -> Floats:
            return np.concatenate([getattr(part, name) for part in parts])

        first = parts[0]
        is_several = first.epistemic_N is not None
        posteriors = [part.posterior for part in parts if part.posterior is not None]
        masses = [posterior.posterior_NA for posterior in posteriors]
        return cls(
            joined("age_N"),
            joined("aleatoric_N"),
            joined("female_N"),
            Posterior(posteriors[0].ages_A, np.concatenate(masses)) if posteriors else None,
            joined("epistemic_N") if is_several else None,
            joined("information_N") if is_several else None,
        )

    @classmethod
    def of_table(cls, table: pd.DataFrame, posterior: Posterior | None) -> Predicted:
        """What a predictions table and the posterior of its rows, if any, say."""

        def column(name: str) -> Floats:
            return table[name].to_numpy(np.float64)

        is_several = all(name in table for name in SEVERAL)
        aleatoric, epistemic, information = SEVERAL
        return cls(
            column("age_pred"),
            column(aleatoric if is_several else "age_std"),
            column("gender_prob"),
            posterior,
            column(epistemic) if is_several else None,
            column(information) if is_several else None,
        )

    @property
    def columns(self) -> pd.DataFrame:
        """The columns of a predictions table that hold it; SEVERAL only where there were several passes.

        `age_std` is the total: the law of total variance adds the squares of the two.
        """
        total_N, several = self.aleatoric_N, {}
        if self.epistemic_N is not None:
            total_N = np.hypot(np.nan_to_num(self.aleatoric_N), self.epistemic_N)
            several = dict(
                zip(SEVERAL, (self.aleatoric_N, self.epistemic_N, self.information_N), strict=True)
            )
        return pd.DataFrame(
            {
                "age_pred": self.age_N,
                "age_std": total_N,
                "gender_pred": np.where(self.female_N >= 0.5, "female", "male"),
                "gender_prob": self.female_N,
                **several,
            }
        )

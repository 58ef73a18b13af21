"""What the two losses are and weigh, in front of the balancer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from agegender.config.options import Options


def _class_weights(value: Any, parse: ValidatorFunctionWrapHandler) -> Any:
    """One message for all that is none of the allowed shapes."""
    try:
        return parse(value)
    except ValidationError as error:
        raise ValueError("must be null, balanced, or [female, male], each above 0, at most 1000") from error


ClassWeights = Annotated[
    Literal["balanced"]
    | Annotated[list[Annotated[float, Field(gt=0, le=1000)]], Field(min_length=2, max_length=2)]
    | None,
    WrapValidator(_class_weights),
]


class LossOptions(Options):
    """The published loss: age loss (years squared for the regression head) + lambda * cross entropy.

    What is set of the gender loss holds in validation, too.
    """

    lambda_: float = Field(alias="lambda", ge=0, description="weight of the gender loss against the age loss")
    age_unit: Literal["years", "std"] = Field(
        description="what the age loss counts when it is weighed: years, or standard deviations of the "
        "training faces' ages; lambda=50 of years squared is 50/std^2 of std (0.13 where std is 19.9 years)"
    )
    label_smoothing: float = Field(
        ge=0, le=0.5, description="share of each gender label that is given to both genders alike"
    )
    class_weights: ClassWeights = Field(
        description="what faces of each gender weigh: [female, male], or balanced: the inverse of how many "
        "are in train; null: 1"
    )
    focal_gamma: float = Field(
        ge=0, le=20, description="focal loss: times (1 - p)^gamma, so that sure answers count less; 0: off"
    )

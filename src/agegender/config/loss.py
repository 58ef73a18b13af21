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

    What is set of the gender loss holds in validation, too; what faces weigh is training's alone.
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
    age_weights: Literal["inverse", "sqrt_inverse"] | None = Field(
        description="what the age loss of a training face weighs: the inverse of how common its age is in "
        "train, or the root of that; null: 1"
    )
    lds_sigma: float = Field(
        ge=0,
        le=50,
        description="years; how common an age is counts its neighbours, by a Gaussian; 0: not",
    )
    group_weights: Literal["balanced"] | None = Field(
        description="what both losses of a training face weigh: the inverse of how many are of its group in "
        "train; null: 1"
    )
    group_dro: float | None = Field(
        gt=0,
        le=10,
        description="group-DRO: the cells of group and gender with the largest loss weigh more and more, by "
        "this step size (0.01 in the paper); null: off",
    )


def check_balanced_once(loss: LossOptions, sampling: str) -> None:
    """Raises ValueError where two settings would undo one imbalance."""
    for one, other, has_both in (
        ("trainer.sampling=age", "loss.age_weights", sampling == "age" and loss.age_weights),
        ("trainer.sampling=group", "loss.group_weights", sampling == "group" and loss.group_weights),
        ("loss.group_dro", "loss.group_weights", loss.group_dro and loss.group_weights),
    ):
        if has_both:
            raise ValueError(f"{one} and {other} would balance the same twice; choose one of them")

"""The whole configuration as typed, bounded objects: what Hydra composed, checked once, then frozen."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from agegender.config.every import Every
from agegender.config.maps import check_map
from agegender.config.options import (
    AgeHeadOptions,
    AnyPath,
    AttentionOptions,
    BalancerOptions,
    Component,
    DataOptions,
    ExistingPath,
    Fraction,
    ModelOptions,
    Options,
    SplitOptions,
)
from agegender.config.schedule import ScheduleOptions
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


class AugmentOptions(Options):
    """Random changes of a training image, drawn anew for every sample and epoch."""

    flip: Fraction = Field(description="probability of a mirror image")
    rotate: float = Field(ge=0, le=180, description="degrees to either side, uniform")
    zoom: float = Field(ge=0, le=0.9, description="scale drawn from 1 - x to 1 + x")
    shift: float = Field(ge=0, le=0.5, description="share of the side, to either side, on each axis, uniform")
    brightness: Fraction = Field(description="factor drawn from 1 - x to 1 + x")
    contrast: Fraction = Field(description="factor drawn from 1 - x to 1 + x")
    saturation: Fraction = Field(description="factor drawn from 1 - x to 1 + x")
    grayscale: Fraction = Field(description="probability of an image without colour")
    erase: Fraction = Field(
        description="probability that a rectangle, 2 to 20 % of the image, takes the image's mean colour"
    )
    mixup: Fraction = Field(
        description="probability that a face is mixed with one of a similar age, and its labels with it"
    )
    mixup_alpha: float = Field(
        gt=0, le=100, description="the face's own weight is Beta(x, x); small: mostly near 0 or 1"
    )
    mixup_bandwidth: float = Field(
        gt=0, le=100, description="years; standard deviation of the distance in age to the other face"
    )

    @property
    def changes_images(self) -> bool:
        """Whether anything is done to an image on its own."""
        return any(
            (
                self.flip, self.rotate, self.zoom, self.shift, self.brightness, self.contrast,
                self.saturation, self.grayscale, self.erase,
            )
        )  # fmt: skip

    @property
    def is_off(self) -> bool:
        return not (self.changes_images or self.mixup)


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


class TrainerOptions(Options):
    """Where and how the steps run."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field(
        description="auto takes an accelerator where there is one"
    )
    devices: int = Field(
        ge=1,
        le=1024,
        description="processes of each machine that train together: one a GPU, or CPU processes",
    )
    num_nodes: int = Field(
        ge=1, le=4096, description="machines; with more than one, torchrun or srun starts the processes"
    )
    precision: Literal["auto", 32, "bf16", 16] = Field(
        description="32, or autocast to bf16 or (on cuda alone) 16; auto: bf16 where the hardware "
        "has it and gains by it"
    )
    compile: bool = Field(description="torch.compile the backbone: the first steps then take a while")
    batch_size: int = Field(
        ge=1,
        le=65_536,
        description="faces a step, on all devices together; an epoch is shared out evenly",
    )
    accumulate: int = Field(
        ge=1, le=65_536, description="a step's faces go through the network in so many parts, to save memory"
    )
    max_steps: int | None = Field(
        ge=1, description="end training after this many optimizer steps, for a quick look"
    )
    checkpoint_every: Every = Field(
        description="write last.ckpt after so many optimizer steps or after a time such as 30s, 5min or 1h, "
        "too; null: at each epoch's end alone"
    )
    monitor: Literal["harmonic_mean", "age_rmse", "gender_f1"] = Field(
        description="validation figure that picks the best epoch and stops early"
    )
    on_nonfinite: Literal["stop", "skip"] = Field(
        description="a step whose loss or gradient is NaN or infinite ends the run, or changes nothing; its "
        "faces are listed in nonfinite.csv"
    )
    profile: bool = Field(description="write where the time went: profile.json, and a table in the report")


class EvaluationOptions(Options):
    """How figures are made from predictions."""

    rmse_cap: float = Field(gt=0, le=1000, description="years; age_score = 1 - min(RMSE, cap) / cap")
    bootstrap: int = Field(
        ge=0, le=100_000, description="resamples behind each 95 % interval; 0: no intervals"
    )


class ReportOptions(Options):
    """What a report shows."""

    images: bool = Field(
        description="show a few faces and where the network looks in them; drawn faces are always shown"
    )


class SweepOptions(Options):
    """What a sweep's command is told beside its jobs; no run holds it."""

    resume: AnyPath | None = Field(
        description="directory of a sweep: run again what is missing, failed, killed or interrupted in it"
    )


class ResumeOptions(Options):
    """What `agegender-train` is told to go on with; no run holds it."""

    resume: AnyPath | None = Field(
        description="directory of a run that goes on where its last checkpoint is, with its own settings; "
        "beside it only trainer.max_steps and trainer.accelerator"
    )


class TrainConfig(Options):
    """Everything `agegender-train` needs."""

    seed: int = Field(
        ge=0, le=2**32 - 1, description="initialisation, order, augmentation, dropout; not the split"
    )
    data: AnyData
    split: AnySplit
    augment: AugmentOptions
    model: AnyModel
    attention: AnyAttention
    age_head: AnyAgeHead
    loss: LossOptions
    balancer: AnyBalancer
    schedule: ScheduleOptions
    trainer: TrainerOptions
    evaluation: EvaluationOptions
    report: ReportOptions

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        _check_age_range(self.data)
        check_map(registry.find("model", self.model.name).has_map, self.model, self.attention)
        if self.trainer.accumulate > self.trainer.batch_size:
            raise ValueError(
                f"trainer.accumulate={self.trainer.accumulate} parts cannot be made of "
                f"trainer.batch_size={self.trainer.batch_size} faces"
            )
        if self.loss.lambda_ == 0 and "gender" in registry.find("balancer", self.balancer.name).trained:
            raise ValueError(
                f"loss.lambda=0 leaves balancer={self.balancer.name} no gender loss to work with; allowed: "
                "a lambda above 0, or balancer=fixed or age_only"
            )
        smallest = self.model.min_image_size
        if self.data.image_size is not None and self.data.image_size < smallest:
            raise ValueError(
                f"data.image_size={self.data.image_size} is too small for model={self.model.name}, "
                f"which needs at least {smallest}"
            )
        patch = self.model.patch_size
        if self.data.image_size is not None and self.data.image_size % patch:
            below = self.data.image_size // patch * patch
            raise ValueError(
                f"data.image_size={self.data.image_size} is no multiple of {patch}, the patches of "
                f"model={self.model.name}; the nearest are {below} and {below + patch}"
            )
        return self


def _check_age_range(data: DataOptions) -> None:
    if data.age_min >= data.age_max:
        raise ValueError(f"data.age_min={data.age_min:g} must be below data.age_max={data.age_max:g}")


class ComputeOptions(Options):
    """Where a trained network runs."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field(
        description="auto takes an accelerator where there is one"
    )
    batch_size: int = Field(ge=1, le=65_536, description="faces at once")


class EvaluateConfig(Options):
    """Everything `agegender-evaluate` needs."""

    run: ExistingPath = Field(description="a run directory, or a .safetensors file of one")
    data: AnyData
    faces: Literal["all", "unseen"] = Field(
        description="unseen leaves out files, and copies of files, that the run was trained or tuned on"
    )
    seed: int = Field(ge=0, le=2**32 - 1, description="draws data.limit")
    trainer: ComputeOptions
    evaluation: EvaluationOptions
    report: ReportOptions

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        _check_age_range(self.data)
        return self


class PredictConfig(Options):
    """Everything `agegender-predict` needs."""

    run: ExistingPath = Field(description="a run directory, or a .safetensors file of one")
    input: ExistingPath = Field(description="an image, a folder of images, or a CSV that lists them")
    output: AnyPath = Field(description="the CSV to write")
    root: ExistingPath | None = Field(description="folder that a CSV's paths start from; null: the CSV's own")
    path_column: str | None = Field(
        description="column of a CSV that holds the paths; null: path, full_path or file"
    )
    format: Literal["table", "submission"] = Field(
        description="table: all columns; submission: id,gender,age"
    )
    gender_codes: dict[Literal["female", "male"], int] = Field(
        description="codes that format=submission writes"
    )
    trainer: ComputeOptions

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if set(self.gender_codes) != {"female", "male"} or len(set(self.gender_codes.values())) != 2:
            raise ValueError(
                f"gender_codes must give female and male two different codes, not {self.gender_codes}"
            )
        if self.output.suffix.lower() != ".csv":
            raise ValueError(f"output must end in .csv, not {self.output.name!r}")
        if self.output.is_dir():
            raise ValueError(f"output={self.output} is a folder")
        if not self.output.parent.is_dir():
            raise ValueError(f"output: no such folder {self.output.parent}")
        return self


class ModelConfig(Options):
    """The backbone's part of a configuration, as a checkpoint holds it."""

    model: AnyModel


class AttentionConfig(Options):
    """The attention's part of a configuration, as a checkpoint holds it."""

    attention: AnyAttention


class AgeHeadConfig(Options):
    """The age head's part of a configuration, as a checkpoint holds it."""

    age_head: AnyAgeHead

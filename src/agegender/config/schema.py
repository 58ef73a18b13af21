"""The whole configuration as typed, bounded objects: what Hydra composed, checked once, then frozen."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agegender.config.components import (
    AnyAgeHead,
    AnyAttention,
    AnyBalancer,
    AnyData,
    AnyModel,
    AnySplit,
    AnyUncertainty,
)
from agegender.config.every import Every
from agegender.config.judging import EvaluationOptions, ReportOptions
from agegender.config.loss import LossOptions, check_balanced_once
from agegender.config.maps import check_map
from agegender.config.options import AnyPath, Fraction, Options
from agegender.config.schedule import ScheduleOptions
from agegender.config.tracking import TrackingOptions
from agegender.core import registry


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
    sampling: Literal["uniform", "age", "group"] = Field(
        description="uniform: an epoch holds every training face once; age, group: as many draws with "
        "replacement, in which all ages (smoothed by loss.lds_sigma) or all groups are as common"
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
    uncertainty: AnyUncertainty
    evaluation: EvaluationOptions
    report: ReportOptions
    tracking: TrackingOptions

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
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
        check_balanced_once(self.loss, self.trainer.sampling)
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

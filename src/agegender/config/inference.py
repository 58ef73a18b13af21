"""What a trained network is asked for: agegender-evaluate, agegender-predict."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agegender.config.components import AnyAgeHead, AnyAttention, AnyData, AnyModel
from agegender.config.judging import EvaluationOptions, ReportOptions
from agegender.config.options import AnyPath, ExistingPath, Options


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

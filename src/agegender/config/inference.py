"""What a trained network is asked for: agegender-evaluate, agegender-predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from agegender.config.components import AnyAgeHead, AnyAttention, AnyData, AnyModel, AnyUncertainty
from agegender.config.judging import EvaluationOptions, ReportOptions
from agegender.config.options import AnyPath, ExistingFile, ExistingPath, Options


class ComputeOptions(Options):
    """Where a trained network runs."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field(
        description="auto takes an accelerator where there is one"
    )
    batch_size: int = Field(ge=1, le=65_536, description="faces at once")


def _chosen(data: Any) -> Any:
    """None where no source was chosen: the entry's own YAML holds `image_size: null` for all of them."""
    return None if data == {"image_size": None} else data


class EvaluateConfig(Options):
    """Everything `agegender-evaluate` needs."""

    run: ExistingPath | None = Field(description="a run directory, or with data= a .safetensors file of one")
    ensemble: list[ExistingPath] | None = Field(
        description="[RUN,RUN,...]: run directories of one split, whose answers are averaged"
    )
    predictions: ExistingFile | None = Field(
        description="a CSV of any program: id, age_pred, gender_pred, gender_prob, and the labels"
    )
    data: Annotated[AnyData | None, BeforeValidator(_chosen)] = Field(
        description="faces to judge on; null: those that the run or the table has of its own"
    )
    uncertainty: AnyUncertainty | None = Field(description="how the run is asked; null: its own mode")
    faces: Literal["all", "unseen"] = Field(
        description="unseen leaves out files, and copies of files, that the run was trained or tuned on"
    )
    seed: int = Field(ge=0, le=2**32 - 1, description="draws data.limit")
    trainer: ComputeOptions
    evaluation: EvaluationOptions
    report: ReportOptions

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        judged = [name for name in ("run", "ensemble", "predictions") if getattr(self, name) is not None]
        if len(judged) != 1:
            raise ValueError(
                "exactly one of run=DIR, ensemble=[RUN,RUN] and predictions=FILE.csv is needed, not "
                f"{' and '.join(judged) or 'none'}"
            )
        if self.ensemble is not None:
            self._check_ensemble(self.ensemble)
        if self.predictions is not None and self.data is not None:
            raise ValueError("predictions are judged as they are, without a network: leave out data=")
        if self.predictions is not None and self.uncertainty is not None and self.uncertainty.name != "none":
            raise ValueError(
                f"uncertainty={self.uncertainty.name}: predictions=FILE.csv has no network to ask; allowed: "
                "uncertainty=none, for its intervals and level"
            )
        if self.data is None and self.faces == "unseen":
            raise ValueError("faces=unseen is for other faces: choose them with data=")
        if self.data is None and self.run is not None and not self.run.is_dir():
            raise ValueError(f"run={self.run} is a file: give the run's directory, or other faces with data=")
        return self

    def _check_ensemble(self, runs: list[Path]) -> None:
        named = [path.resolve() for path in runs]
        for path in named:
            if named.count(path) > 1:
                raise ValueError(f"ensemble names one run twice: {path}")
            if not path.is_dir():
                raise ValueError(f"ensemble: {path} is a file, not a run directory")
        if len(named) < 2:
            raise ValueError(f"ensemble=[RUN,RUN,...] takes two runs or more, not {len(named)}")
        if self.uncertainty is not None:
            raise ValueError("each run of an ensemble answers in its own way: leave out uncertainty=")


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
    uncertainty: AnyUncertainty | None = Field(description="how the run is asked; null: its own mode")
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


class UncertaintyConfig(Options):
    """How a run predicts, as a checkpoint holds it."""

    uncertainty: AnyUncertainty


class DataConfig(Options):
    """The faces' part of a configuration, as a checkpoint holds it."""

    data: AnyData

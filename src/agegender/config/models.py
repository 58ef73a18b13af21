"""What `agegender-models` is told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agegender.config.components import AnyModel
from agegender.config.options import Options


class ModelsConfig(Options):
    """Everything `agegender-models` needs."""

    model: AnyModel | None = Field(description="one backbone alone; null: all of them")
    timm: Annotated[str, Field(min_length=1)] | None = Field(
        description="names of timm in place of ours, with * for any characters"
    )
    format: Literal["table", "csv", "json"] = Field(description="how the list is printed")

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.model is not None and self.timm is not None:
            raise ValueError("either model=NAME or timm=PATTERN, not both")
        return self

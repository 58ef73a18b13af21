"""Any network of timm, by its name there."""

from __future__ import annotations

from pydantic import Field, field_validator

from agegender.config.options import ModelOptions
from agegender.core.errors import unknown
from agegender.core.registry import register
from agegender.models.hub import import_timm
from agegender.models.timm_net import TimmNet, published_words


@register("model", "timm")
class Timm(TimmNet):
    """`timm.create_model(model.backbone)` up to its features."""

    class Options(ModelOptions):
        """`weights`: imagenet (those that timm means by the name), null, hf-hub:, or a file."""

        backbone: str = Field(description="timm's name, e.g. resnet18 or resnet18.a1_in1k")

        @field_validator("backbone")
        @classmethod
        def _is_known(cls, value: str) -> str:
            timm = import_timm()
            if not timm.is_model(value):
                raise ValueError(unknown("name", value, timm.list_models()))
            try:
                published_words(value)
            except RuntimeError as error:
                name = value.partition(".")[0]
                raise ValueError(
                    f"{error} (known: {', '.join(timm.list_pretrained(f'{name}.*'))})"
                ) from error
            return value

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__(options.backbone, options.weights, image_size)

"""A trained network, ready to use: everything it needs comes from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.config.compose import conf_dir, validate
from agegender.config.inference import AgeHeadConfig, AttentionConfig, ModelConfig, UncertaintyConfig
from agegender.config.options import UncertaintyOptions
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_yaml
from agegender.core.types import InputSpec
from agegender.data.batches import Batches
from agegender.data.samples.load import Samples
from agegender.engine.checkpoint import Checkpoint, load_best
from agegender.engine.device import make_fabric
from agegender.engine.explanation import write_explanation
from agegender.engine.predict import predict
from agegender.evaluation.predicted import Predicted
from agegender.models.network import AgeGenderNet, build_backbone, build_network
from agegender.models.uncertainty.uncertainty import Uncertainty


class Predictor:
    """Predicts age and gender with a run's best network, in the run's own mode where none is given.

    Raises UserError when `run` holds no checkpoint, one whose tensors do not fit its configuration, or one
    that cannot answer in this mode.
    """

    def __init__(
        self,
        run: Path,
        accelerator: str = "auto",
        batch_size: int = 64,
        uncertainty: UncertaintyOptions | None = None,
    ) -> None:
        self.run, self.checkpoint = run, load_best(run)
        self.own_mode = own_mode(self.checkpoint.config)
        self.mode = uncertainty or self.own_mode
        self._uncertainty: Uncertainty = registry.build("uncertainty", self.mode)
        self._fabric = make_fabric(accelerator)
        self._network = _rebuild(self.checkpoint, run).to(self._fabric.device)
        self._uncertainty.check(self._network.backbone)
        self._batch_size = batch_size

    @property
    def input_spec(self) -> InputSpec:
        return self.checkpoint.input_spec

    def predict(self, faces: pd.DataFrame, samples: Samples | np.ndarray) -> Predicted:
        """What the network says of uint8 RGB images (N, size, size, 3); `faces` has a manifest's columns."""
        batches = Batches(faces, samples, self.input_spec, self._batch_size, self._fabric.device)
        in_order = batches.in_order(np.arange(len(samples)))
        return predict(self._network, in_order, self._fabric.autocast(), self._uncertainty)

    def explain(self, directory: Path, faces: pd.DataFrame, samples: Samples) -> None:
        """Write where the network looks in a few of the faces."""
        write_explanation(directory, self._network, faces, samples)


def own_mode(config: dict[str, Any]) -> UncertaintyOptions:
    """How a run of this configuration predicts; one of before there were modes takes a single pass."""
    stored = _with_new_keys("uncertainty", config.get("uncertainty", {"name": "none"}))
    return validate(UncertaintyConfig, {"uncertainty": stored}).uncertainty


def _rebuild(checkpoint: Checkpoint, run: Path) -> AgeGenderNet:
    """The network of a checkpoint, from its own configuration; initial weights are not fetched again."""
    stored = {"attention": {"name": "none"}, **checkpoint.config}  # of before attention and sharing
    plain = {"sharing": "hard", **stored["model"], "weights": None}
    model = validate(ModelConfig, {"model": plain}).model
    attention = validate(AttentionConfig, {"attention": stored["attention"]}).attention
    age_head = validate(AgeHeadConfig, {"age_head": _with_new_keys("age_head", stored["age_head"])}).age_head
    backbone = build_backbone(model, checkpoint.input_spec.size, attention)
    backbone.input_spec = checkpoint.input_spec
    network = build_network(backbone, age_head, checkpoint.label_spec, model.sharing)
    try:
        network.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        raise UserError(
            f"run={run}: the checkpoint's tensors do not fit its model {model.name!r} "
            f"({' '.join(str(error).split())[:160]})"
        ) from error
    return network


def _with_new_keys(kind: str, stored: dict[str, Any]) -> dict[str, Any]:
    """A component's settings; keys that an earlier version did not know have the defaults of today."""
    defaults = conf_dir() / kind / f"{stored['name']}.yaml"
    return {**(read_yaml(defaults) if defaults.is_file() else {}), **stored}

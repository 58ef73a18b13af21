"""A trained network, ready to use: everything it needs comes from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.config.compose import conf_dir, validate
from agegender.config.inference import AgeHeadConfig, AttentionConfig, ModelConfig
from agegender.core.errors import UserError
from agegender.core.files import read_yaml
from agegender.core.types import InputSpec
from agegender.data.batches import Batches
from agegender.data.dataset import Dataset
from agegender.data.samples.load import Samples
from agegender.engine.checkpoint import Checkpoint, load_best
from agegender.engine.device import make_fabric
from agegender.engine.explanation import write_explanation
from agegender.engine.predict import Predicted, predict
from agegender.models.network import AgeGenderNet, build_backbone, build_network


class Predictor:
    """Predicts age and gender with a run's best network.

    Raises UserError when `run` holds no checkpoint, or one whose tensors do not fit its configuration.
    """

    def __init__(self, run: Path, accelerator: str = "auto", batch_size: int = 64) -> None:
        self.checkpoint = load_best(run)
        self._fabric = make_fabric(accelerator)
        self._network = _rebuild(self.checkpoint, run).to(self._fabric.device)
        self._batch_size = batch_size

    @property
    def input_spec(self) -> InputSpec:
        return self.checkpoint.input_spec

    def predict(self, faces: pd.DataFrame, samples: Samples | np.ndarray) -> Predicted:
        """What the network says of uint8 RGB images (N, size, size, 3); `faces` has a manifest's columns."""
        batches = Batches(faces, samples, self.input_spec, self._batch_size, self._fabric.device)
        return predict(self._network, batches.in_order(np.arange(len(samples))), self._fabric.autocast())

    def explain(self, directory: Path, dataset: Dataset) -> None:
        """Write where the network looks in a few of the faces."""
        write_explanation(directory, self._network, dataset)


def _rebuild(checkpoint: Checkpoint, run: Path) -> AgeGenderNet:
    """The network of a checkpoint, from its own configuration; initial weights are not fetched again."""
    stored = {"attention": {"name": "none"}, **checkpoint.config}  # of before attention and sharing
    plain = {"sharing": "hard", **stored["model"], "weights": None}
    model = validate(ModelConfig, {"model": plain}).model
    attention = validate(AttentionConfig, {"attention": stored["attention"]}).attention
    age_head = validate(AgeHeadConfig, {"age_head": _with_new_keys(stored["age_head"])}).age_head
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


def _with_new_keys(age_head: dict[str, Any]) -> dict[str, Any]:
    """An age head's settings; keys that an earlier version did not know have the defaults of today."""
    defaults = conf_dir() / "age_head" / f"{age_head['name']}.yaml"
    return {**(read_yaml(defaults) if defaults.is_file() else {}), **age_head}

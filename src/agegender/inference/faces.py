"""The faces of a labelled source, as a trained network wants them."""

from __future__ import annotations

from agegender.config.inference import EvaluateConfig
from agegender.core.errors import UserError
from agegender.data.dataset import Dataset
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.engine.run_directory import RunDirectory
from agegender.inference.predictor import Predictor
from agegender.inference.seen import told_apart


def read_for(predictor: Predictor, config: EvaluateConfig, run: RunDirectory, display: Display) -> Dataset:
    """Every face of `data` as part test, without those that `faces=unseen` leaves out.

    Raises UserError for another image size than the network's, and when nothing is left to judge.
    """
    assert config.data is not None
    size = predictor.input_spec.size
    if config.data.image_size not in (None, size):
        raise UserError(
            f"data.image_size={config.data.image_size}: the network was trained at {size} px; use null"
        )
    dataset = read_faces(config.data, None, predictor.input_spec, run, display, seed=config.seed)
    return told_apart(dataset, predictor.run, config.faces, display)

"""Judging what agegender-evaluate was told to: a run, an ensemble of runs, or a table of predictions."""

from __future__ import annotations

import numpy as np

from agegender.config.inference import EvaluateConfig
from agegender.engine.explanation import may_show
from agegender.engine.predict import predictions_table, write_predicted
from agegender.engine.progress import Display
from agegender.engine.run_directory import RunDirectory
from agegender.engine.worst import write_worst
from agegender.inference.calibrated import calibration_of
from agegender.inference.ensemble import judge_ensemble
from agegender.inference.faces import read_for
from agegender.inference.own_faces import judge_own_faces
from agegender.inference.predictions import judge_predictions
from agegender.inference.predictor import Predictor
from agegender.inference.settings import settings_of


def evaluate(config: EvaluateConfig, run: RunDirectory, display: Display) -> None:
    """Write the files of a run directory, the report apart. Raises UserError where nothing can be judged."""
    run.write_config(settings_of(config))
    if config.predictions is not None:
        judge_predictions(config, run, display)
    elif config.ensemble is not None:
        judge_ensemble(config, run, display)
    elif config.data is None:
        judge_own_faces(config, run, display)
    else:
        _judge_other_faces(config, run, display)


def _judge_other_faces(config: EvaluateConfig, run: RunDirectory, display: Display) -> None:
    """Predict every face of the source as part `test`."""
    assert config.run is not None
    assert config.data is not None
    trainer = config.trainer
    predictor = Predictor(config.run, trainer.accelerator, trainer.batch_size, config.uncertainty)
    run.write_config(settings_of(config, predictor))
    dataset = read_for(predictor, config, run, display)
    dataset.write(run.path)
    predicted = predictor.predict(dataset.faces, dataset.samples)
    calibration = calibration_of(predictor, display)
    table = predictions_table(dataset.faces, predicted)
    write_predicted(run.path, table, predicted.posterior, calibration)
    if may_show(config.data.name, config.report):
        predictor.explain(run.path, dataset.faces, dataset.samples)
        write_worst(run.path, dataset.samples, np.arange(len(table)), table)

"""The calibration that belongs to how a run answers now."""

from __future__ import annotations

from agegender.core.errors import UserError
from agegender.engine.predict import predictions_table
from agegender.engine.progress import Display
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.table import read_predictions
from agegender.inference.own_faces import own_faces
from agegender.inference.predictor import Predictor
from agegender.models.uncertainty.uncertainty import same_passes


def calibration_of(predictor: Predictor, display: Display) -> Calibration | None:
    """The run's own where it was made in this mode; else a new one of its cal part.

    That is predicted again where other passes are asked for. Where it cannot be, there is none, and a
    warning says why.
    """
    run, mode = predictor.run, predictor.mode
    if not run.is_dir():
        display.warn(f"no calibration: run={run} is a file, not the directory that holds it")
        return None
    if mode == predictor.own_mode:
        return Calibration.read(run)
    try:
        if same_passes(mode, predictor.own_mode):
            table = read_predictions(run / "predictions.csv")
            return Calibration.fit(table[table["split"] == "cal"], mode)
        cal = own_faces(predictor, ["cal"], display)
    except UserError as error:
        display.warn(f"no calibration for uncertainty={mode.name}: {error}")
        return None
    return Calibration.fit(predictions_table(cal.faces, predictor.predict(cal.faces, cal.samples)), mode)

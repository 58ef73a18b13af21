"""`agegender-predict`: ages and genders for files, a folder or a CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import pandas as pd

from agegender.config.entry import Entry, run_entry
from agegender.config.inference import PredictConfig
from agegender.config.preflight import Plan
from agegender.core.errors import RunError, UserError
from agegender.core.files import write_csv

if TYPE_CHECKING:  # `--help` must not wait for torch
    from agegender.evaluation.calibration import Calibration
    from agegender.inference.predictor import Predictor


def check(config: PredictConfig) -> None:
    """What only this machine can tell, before anything is read."""
    from agegender.engine.device import check_accelerator

    check_accelerator(config.trainer.accelerator)
    for written in (config.output, _rejected_path(config.output)):
        if written.exists() and written.samefile(config.input):
            raise UserError(f"output={config.output} would overwrite the input {config.input}")
    try:
        with TemporaryFile(dir=config.output.parent):
            pass
    except OSError as error:
        raise UserError(f"output={config.output}: its folder cannot be written ({error.strerror})") from error


def execute(plan: Plan[PredictConfig]) -> int:
    """Write the predictions; exit code 1 when some photos could not be read."""
    from agegender.engine.predict import with_columns
    from agegender.evaluation.table import COLUMNS, write_predictions
    from agegender.inference.photos import list_photos, read_chunks
    from agegender.inference.predictor import Predictor

    config = plan.jobs[0].config
    photos = list_photos(config.input, config.root, config.path_column)
    trainer = config.trainer
    predictor = Predictor(config.run, trainer.accelerator, trainer.batch_size, config.uncertainty)
    calibration = _calibration(predictor)
    tables, rejections = [], []
    for chunk, images_NHWC, rejected in read_chunks(photos, predictor.input_spec):
        faces = chunk.reset_index(drop=True).reindex(columns=list(COLUMNS))
        tables.append(with_columns(faces, predictor.predict(faces, images_NHWC)))
        rejections.append(rejected)
    table, rejected = pd.concat(tables, ignore_index=True), pd.concat(rejections, ignore_index=True)
    if calibration is not None:
        table = calibration.apply(table)
    rejected_path = _rejected_path(config.output)
    _write_rejected(rejected, rejected_path)
    if config.format == "submission":
        if len(rejected):
            raise RunError(
                f"format=submission needs every row; {len(rejected)} of {len(photos)} cannot be predicted, "
                f"the first: {rejected['path'][0]}: {rejected['reason'][0]} (all in {rejected_path})"
            )
        _write_submission(table, config)
    else:
        write_predictions(table, config.output)
    print(f"{len(table)} of {len(photos)} predicted: {config.output}")
    if len(rejected):
        print(f"{len(rejected)} could not be read: {rejected_path}", file=sys.stderr)
    return 1 if len(rejected) else 0


def _calibration(predictor: Predictor) -> Calibration | None:
    """That of the run, unless other passes are asked for than those that it was made with."""
    from agegender.engine.progress import Display
    from agegender.inference.calibrated import calibration_of
    from agegender.models.uncertainty.uncertainty import same_passes

    if same_passes(predictor.mode, predictor.own_mode):
        return calibration_of(predictor, Display())
    print(
        f"no age_low and age_high: the run was calibrated with uncertainty={predictor.own_mode.name}, "
        f"not with these passes of {predictor.mode.name}",
        file=sys.stderr,
    )
    return None


def _rejected_path(output: Path) -> Path:
    return output.with_name(output.name + ".rejected.csv")


def _write_rejected(rejected: pd.DataFrame, path: Path) -> None:
    """The list of unreadable photos, or no file (also no older one) when there are none."""
    path.unlink(missing_ok=True)
    if len(rejected):
        write_csv(rejected, path)


def _write_submission(table: pd.DataFrame, config: PredictConfig) -> None:
    codes = {str(name): code for name, code in config.gender_codes.items()}
    submission = pd.DataFrame(
        {"id": table["id"], "gender": table["gender_pred"].map(codes), "age": table["age_pred"]}
    )
    write_csv(submission, config.output, "%.4f")


ENTRY = Entry(
    config_name="predict",
    schema=PredictConfig,
    execute=execute,
    examples=(
        "agegender-predict run=outputs/2026-01-31/12-00-00-000000 input=photos/ output=ages.csv",
        "agegender-predict run=DIR input=test.csv output=submission.csv format=submission",
    ),
    check=check,
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()

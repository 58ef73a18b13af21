"""Where else a run's figures go while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from agegender.config.options import Options


def _store(value: Any) -> str | None:
    """A URI as it is, a folder as an absolute path."""
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ValueError("must be a folder or the URI of a server or database")
    if "://" not in value:
        return str(Path(value).expanduser().absolute())
    uri = urlsplit(value)
    if uri.scheme == "file":
        raise ValueError("MLflow writes to no file: any more; name the folder alone, which gets a database")
    if uri.password is not None:
        raise ValueError(
            "holds a password, which config.yaml and every report would show; give it to MLflow by its "
            "environment variables"
        )
    return value


class TrackingOptions(Options):
    """Trackers that follow a run; the files of its directory stay the source of truth."""

    tensorboard: bool = Field(description="write event files for TensorBoard into the run's directory")
    mlflow: Annotated[str | None, BeforeValidator(_store)] = Field(
        description="MLflow's store: the URI of a server or a database, or a folder, which gets a database; "
        "null: none"
    )
    experiment: str = Field(min_length=1, description="the experiment of MLflow that holds the run")

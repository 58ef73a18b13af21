"""Where else a run's figures go while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainSerializer

from agegender.config.options import Options


def _store(value: Any) -> str | Path | None:
    """A URI as it is, a folder as an absolute path."""
    if value is None:
        return None
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("must be a folder or the URI of a server or database")
    if isinstance(value, Path) or "://" not in value:
        return Path(value).expanduser().absolute()
    uri = urlsplit(value)
    if uri.scheme == "file":
        raise ValueError("MLflow no longer writes to file:; name the folder alone, which gets a database")
    if uri.password is not None:
        raise ValueError(
            "holds a password, which config.yaml and every report would show; give it to MLflow by its "
            "environment variables"
        )
    return value


Store = Annotated[
    str | Path | None,
    BeforeValidator(_store),
    PlainSerializer(lambda value: None if value is None else str(value)),
]


class TrackingOptions(Options):
    """Trackers that follow a run; the files of its directory stay the source of truth."""

    tensorboard: bool = Field(description="write event files for TensorBoard into the run's directory")
    mlflow: Store = Field(
        description="MLflow's store: the URI of a server or a database, or a folder, which gets a database; "
        "null: none"
    )
    experiment: str = Field(min_length=1, description="the experiment of MLflow that holds the run")

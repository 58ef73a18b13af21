"""A run's files as the report reads them; a damaged one is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from agegender.core.errors import UserError
from agegender.core.files import read_json, read_yaml


def read_mapping(path: Path) -> dict[str, Any]:
    """A JSON or YAML file that holds a mapping; empty where there is no file. Raises UserError."""
    if not path.exists():
        return {}
    try:
        content = read_json(path) if path.suffix == ".json" else read_yaml(path) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it holds no mapping")
    return content


def read_columns(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV file that has these columns, and maybe others. Raises UserError."""
    try:
        table = pd.read_csv(path)
    except ValueError as error:  # pandas' own errors and UnicodeDecodeError are ValueErrors
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    for name in columns:
        if name not in table:
            raise UserError(f"{path} is damaged: it has no column {name}")
    return table

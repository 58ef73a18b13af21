"""Several sources as one set: each has its own settings, and a label in front of its ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, ValidationInfo, field_serializer, field_validator

from agegender.config.components import AnyData
from agegender.config.compose import conf_dir
from agegender.config.options import DataOptions
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_yaml
from agegender.core.registry import register
from agegender.data.interfaces import Source
from agegender.data.limit import limited
from agegender.data.manifest import Manifest, join_rejected, said_reasons

_OF_THE_SET = tuple(key for key in DataOptions.model_fields if key not in ("name", "limit"))
"""Settings of the set as a whole, hence the same in every source."""


@register("data", "mixed")
class Mixed(Source):
    """The rows of each source in turn; an id, and an identity, begins with the source's label and a slash."""

    class Options(DataOptions):
        sources: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], AnyData]

        @field_validator("sources", mode="before")
        @classmethod
        def _complete(cls, sources: Any, info: ValidationInfo) -> Any:
            if not isinstance(sources, dict) or not sources:
                raise ValueError("needs a source or more: data.sources.LABEL.name=..., with its settings")
            if not info.data.keys() >= set(_OF_THE_SET):
                return {}  # one of these is refused already
            of_the_set = {key: info.data[key] for key in _OF_THE_SET}
            return {label: _completed(label, source, of_the_set) for label, source in sources.items()}

        @field_serializer("sources")
        def _own_settings(self, sources: dict[str, DataOptions]) -> dict[str, Any]:
            plain = {label: source.to_dict() for label, source in sources.items()}
            return {
                label: {key: value for key, value in settings.items() if key not in _OF_THE_SET}
                for label, settings in plain.items()
            }

    def __init__(self, options: Options) -> None:
        self.options = options
        self._sources: dict[str, Source] = {
            label: registry.build("data", settings) for label, settings in options.sources.items()
        }

    def read(self) -> Manifest:
        """Raises UserError, which names the source, for one that cannot be read or has no usable face."""
        manifests = {label: _read(label, source) for label, source in self._sources.items()}
        return Manifest(
            faces=pd.concat(
                [_labelled(label, each.faces) for label, each in manifests.items()], ignore_index=True
            ),
            rejected=join_rejected([_labelled(label, each.rejected) for label, each in manifests.items()]),
            terms="; ".join(f"{label}: {each.terms}" for label, each in manifests.items()),
            notes=tuple(f"{label}: {note}" for label, each in manifests.items() for note in each.notes),
        )

    def limited(self, faces: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Each source's rows under its own limit."""
        kept = [
            limited(rows, self.options.sources[label].limit, seed)
            for label, _, rows in self._by_source(faces)
        ]
        return pd.concat(kept, ignore_index=True)

    def prepare_files(self, faces: pd.DataFrame) -> None:
        for _, source, rows in self._by_source(faces):
            source.prepare_files(rows)

    def _by_source(self, faces: pd.DataFrame) -> Iterator[tuple[str, Source, pd.DataFrame]]:
        labels = faces["id"].str.partition("/")[0]
        for label, source in self._sources.items():
            yield label, source, faces[labels == label]


def _completed(label: str, source: Any, of_the_set: dict[str, Any]) -> Any:
    """A source's settings with those of the set.

    Its own value of one of these must be the default, which composing it from its YAML brings along.
    """
    if not isinstance(source, dict) or source.get("name") not in registry.names("data"):
        return source  # refused by its name
    if source["name"] == "mixed":
        raise ValueError(f"{label}: a mixed set cannot be a source of another")
    defaults = read_yaml(conf_dir() / "data" / f"{source['name']}.yaml")
    for key, value in of_the_set.items():
        if source.get(key, value) not in (value, defaults[key]):
            raise ValueError(f"{label}.{key}={source[key]} is set for all sources together, as data.{key}")
    return {"limit": None, **source, **of_the_set}


def _read(label: str, source: Source) -> Manifest:
    try:
        manifest = source.read()
    except UserError as error:
        raise UserError(f"data.sources.{label}: {error}") from error
    if manifest.faces.empty:
        found = said_reasons(manifest.rejected)
        raise UserError(f"data.sources.{label}: no usable face in {len(manifest.rejected)} rows{found}")
    return manifest


def _labelled(label: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Names that two sources may share, made different."""
    rows = rows.copy()
    for name in {"id", "identity"} & set(rows):
        given = rows[name].notna()
        rows[name] = (f"{label}/" + rows[name].astype(str)).astype(object).where(given, None)
    return rows

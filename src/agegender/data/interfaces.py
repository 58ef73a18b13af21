"""What a data source and a split must offer; both are found through the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import pandas as pd

from agegender.data.manifest import Manifest


class Source(ABC):
    """A set of labelled faces. Registered as `data`; its `Options` extend `DataOptions`."""

    @abstractmethod
    def read(self) -> Manifest:
        """Every row with its labels, in a fixed order; opens no image and ignores every limit."""

    def limited(self, faces: pd.DataFrame, seed: int) -> pd.DataFrame:  # noqa: ARG002 - most have none
        """The rows that limits inside the source keep; `options.limit` then draws from them."""
        return faces

    def prepare_files(self, faces: pd.DataFrame) -> None:  # noqa: B027 - most sources have nothing to do
        """Make the files of these rows exist; called after `options.limit`, before any image is opened."""


class Split(ABC):
    """Shares faces out to parts. Registered as `split`; its `Options` extend `SplitOptions`."""

    notes: ClassVar[tuple[str, ...]] = ()
    """What a reader of the figures must know about this split."""

    @property
    @abstractmethod
    def how(self) -> str:
        """How the parts are made, in a few words for the report."""

    @abstractmethod
    def assign(self, faces: pd.DataFrame) -> pd.Series[str]:
        """The part of every face, one of core.types.PARTS, under the index of `faces`.

        `faces` has the manifest's columns, `sha256` (of the file), `photo` and `cluster` (int; files of one
        photo share both, faces of one identity share the cluster).
        """

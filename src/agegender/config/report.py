"""What `agegender-report` is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from agegender.config.options import AnyPath, ExistingPath, Options


class ReportConfig(Options):
    """Everything `agegender-report` needs."""

    runs: Annotated[list[ExistingPath], Field(min_length=1)] | None = Field(
        description="directories of runs and sweeps whose reports are rebuilt; of two or more there is one "
        "page over all their jobs as well"
    )
    compare: list[ExistingPath] | None = Field(
        description="two runs, A and B: B - A on the same faces, with intervals"
    )
    output: AnyPath | None = Field(
        description="folder of the page over several directories, or of the comparison; null: "
        "outputs/report/DATE/TIME"
    )

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if (self.runs is None) == (self.compare is None):
            found = "neither" if self.runs is None else "both"
            raise ValueError(f"either runs=[DIR,DIR] or compare=[RUN_A,RUN_B] is needed, not {found}")
        named = [path.resolve() for path in self.compare or self.runs or ()]
        if self.compare is not None and len(named) != 2:
            raise ValueError(f"compare=[RUN_A,RUN_B] takes two runs, not {len(named)}")
        if self.compare is not None and named[0] == named[1]:
            raise ValueError(f"compare names one run twice: {named[0]}")
        if self.output is not None:
            self._check_output(self.output, len(set(named)))
        return self

    def _check_output(self, output: Path, named: int) -> None:
        if named < 2:
            raise ValueError("output is for several directories; the report of one is written into it")
        if output.exists() and not output.is_dir():
            raise ValueError(f"output={output} is a file, not a folder")
        for name in ("status.json", "sweep.json"):
            if (output / name).exists():
                raise ValueError(f"output={output} holds a run or a sweep ({name}): choose another folder")

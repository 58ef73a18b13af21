"""`agegender-models`: the backbones, what they cost, and whether their weights are on this machine."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from typing import Any

from agegender.config.compose import conf_dir
from agegender.config.entry import Entry, run_entry
from agegender.config.models import ModelsConfig
from agegender.config.options import ModelOptions
from agegender.config.preflight import Plan
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_yaml

_MOST = 100
"""Names of timm in a list: each is built, which takes a second."""


def execute(plan: Plan[ModelsConfig]) -> int:
    """Print the list."""
    config = plan.jobs[0].config
    if config.timm is not None:
        models = _of_timm(config.timm)
    elif config.model is not None:
        models = [config.model]
    else:
        models = [_options(name) for name in registry.names("model") if name != "timm"]
    rows = [_row(model) for model in models]
    {"table": _print_table, "csv": _print_csv, "json": _print_json}[config.format](rows)
    return 0


def _of_timm(pattern: str) -> list[ModelOptions]:
    from agegender.models.hub import import_timm

    names = import_timm().list_models(pattern)
    if not names:
        raise UserError(f"timm={pattern}: timm has no such name; * stands for any characters")
    if len(names) > _MOST:
        raise UserError(
            f"timm={pattern}: {len(names)} names match, at most {_MOST} are listed: narrow it down"
        )
    return [_options("timm", backbone=name) for name in names]


def _options(name: str, **values: str) -> ModelOptions:
    """The settings of a backbone as its YAML has them."""
    plain = {**read_yaml(conf_dir() / "model" / f"{name}.yaml"), **values}
    options: ModelOptions = registry.find("model", name).Options.model_validate(plain)
    return options


def _row(model: ModelOptions) -> dict[str, Any]:
    """What is not known is None: the library is not installed."""
    from agegender.models.catalogue import Facts, describe

    facts = describe(model)
    known = {field.name: None for field in fields(Facts)} if facts is None else asdict(facts)
    return {"name": getattr(model, "backbone", model.name), **known}


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    headers = ("name", "parameters", "MACs", "input", "features", "imagenet", "library")
    table = Table(*headers, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:5]:
        column.justify = "right"
    for row in rows:
        if row["library"] is None:
            table.add_row(row["name"], *[""] * 5, "no timm")
            continue
        table.add_row(
            row["name"],
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['macs'] / 1e9:.2f} G",
            f"{row['input_size']} px",
            str(row["features"]),
            row["imagenet"],
            row["library"],
        )
    Console(highlight=False, markup=False).print(table)


def _print_csv(rows: list[dict[str, Any]]) -> None:
    import csv

    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _print_json(rows: list[dict[str, Any]]) -> None:
    import json

    print(json.dumps(rows, indent=2))


ENTRY = Entry(
    config_name="models",
    schema=ModelsConfig,
    execute=execute,
    examples=(
        "agegender-models",
        "agegender-models model=resnet34 format=json",
        "agegender-models timm='*convnext_tiny*'      # names for model=timm model.backbone=NAME",
    ),
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()

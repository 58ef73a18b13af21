"""A sweep's table: one row a job, rebuilt from what is on disk at every call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.core.files import atomic, read_json, write_text
from agegender.report.page import Code, Links, Page, Table, Text
from agegender.report.run import judged_part
from agegender.report.status import read_status

_FIGURES = ("age_rmse", "age_mae", "gender_f1", "harmonic_mean")


def write_sweep(sweep_dir: Path) -> pd.DataFrame:
    """Write sweep.csv and sweep.md from `sweep.json` and the jobs' directories; returns the table.

    A job that has no directory is `missing`, one whose process is gone is `killed`.
    """
    plan = read_json(sweep_dir / "sweep.json")
    table = pd.DataFrame([_row(sweep_dir, job) for job in plan["jobs"]])
    with atomic(sweep_dir / "sweep.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")
    write_text(sweep_dir / "sweep.md", _page(sweep_dir, table, plan).to_markdown(sweep_dir))
    return table


def _row(sweep_dir: Path, job: dict[str, Any]) -> dict[str, Any]:
    directory = sweep_dir / job["dir"]
    status = read_status(directory)
    row: dict[str, Any] = {"job": job["number"], "status": status["status"]}
    for override in job["overrides"]:
        key, _, value = override.partition("=")
        row[key.lstrip("+~")] = value
    try:
        figures = read_json(directory / "metrics.json")
    except (OSError, json.JSONDecodeError):
        figures = {}
    for part in ("val", "test"):
        for name in _FIGURES:
            row[f"{part}_{name}"] = (figures.get(part) or {}).get(name)
    judged = judged_part(figures)
    for name in _FIGURES:
        for bound in ("low", "high"):
            row[f"{judged}_{name}_{bound}"] = (figures.get(judged) or {}).get(f"{name}_{bound}")
    return row | {"seconds": status["seconds"], "error": status["error"], "dir": job["dir"]}


def _page(sweep_dir: Path, table: pd.DataFrame, plan: dict[str, Any]) -> Page:
    page = Page(f"agegender sweep {sweep_dir.resolve().name}")
    part = "test" if table["test_age_rmse"].notna().any() or table["test_gender_f1"].notna().any() else "val"
    counts = ", ".join(f"{n} {status}" for status, n in table["status"].value_counts().items())
    summary = [Text(f"{len(table)} jobs: {counts}. Figures are of the {part} part.")]
    scores = table[f"{part}_harmonic_mean"].astype(float)
    if scores.notna().any():
        best = table.iloc[int(scores.argmax())]
        summary.append(
            Text(
                f"Best harmonic mean: job {best['job']}, {best[f'{part}_harmonic_mean']:.3f} "
                f"(chosen on {part}: with many jobs the best of them is flattered)."
            )
        )
    keys = _varied(table)
    headers = ["job", "status", *keys, "age RMSE", "gender macro F1", "harmonic mean", "seconds"]
    names = (("age_rmse", 2), ("gender_f1", 4), ("harmonic_mean", 3))
    rows = [
        [
            str(row["job"]),
            row["status"],
            *("" if pd.isna(row[key]) else str(row[key]) for key in keys),
            *(_cell(row, f"{part}_{name}", digits) for name, digits in names),
            "–" if pd.isna(row["seconds"]) else f"{row['seconds']:.0f}",
        ]
        for _, row in table.iterrows()
    ]
    page.section("Jobs", *summary, Table(headers, rows, "In brackets 95 % bootstrap intervals."))
    failed = table[table["error"].notna()]
    if len(failed):
        page.section("Errors", *(Text(f"job {row['job']}: {row['error']}") for _, row in failed.iterrows()))
    finished = [directory for directory in table["dir"] if (sweep_dir / directory / "report.html").exists()]
    page.section("Reports", Links([(f"job {name}", f"{name}/report.html") for name in finished]))
    page.section("Command", Code(plan["command"]))
    return page


def _varied(table: pd.DataFrame) -> list[str]:
    """The swept keys; all keys where there is one job."""
    columns = list(table.columns)
    keys = columns[columns.index("status") + 1 : columns.index("val_age_rmse")]
    varied = [key for key in keys if len(set(table[key])) > 1]
    return varied or keys


def _cell(row: pd.Series[Any], name: str, digits: int) -> str:
    if pd.isna(row[name]):
        return "–"
    text = f"{row[name]:.{digits}f}"
    low = row.get(f"{name}_low")
    if low is None or pd.isna(low):
        return text
    return f"{text} [{low:.{digits}f}, {row[f'{name}_high']:.{digits}f}]"

"""What the settings of a sweep trade, age for gender, as a picture and as one figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agegender.evaluation.pareto import Point, hypervolume, pareto_front
from agegender.report.jobs import Jobs
from agegender.report.leaderboard import SINGLE_TASK, Setting
from agegender.report.page import Block, Table, Text
from agegender.report.pareto import pareto_figure
from agegender.report.scatter import LAMBDA, Place, group_of


def tradeoff_blocks(folder: Path, jobs: Jobs, settings: Sequence[Setting]) -> list[Block]:
    """The Pareto front, drawn into `folder`, and its hypervolume; nothing before two settings are done."""
    places, single_task = places_of(settings), single_task_bounds(settings)
    if not places or len(places) + len(single_task) < 2:
        return []
    figure = pareto_figure(folder / "pareto.png", jobs, places, single_task)
    return [figure, *_hypervolumes(jobs, settings, single_task)]


def places_of(settings: Sequence[Setting]) -> list[Place]:
    """Age score and gender F1 of the settings that train both tasks."""
    return [
        Place(each, each.figures["age_score"], each.figures["gender_f1"])
        for each in settings
        if each.balancer not in SINGLE_TASK and each.figures.keys() >= {"age_score", "gender_f1"}
    ]


def single_task_bounds(settings: Sequence[Setting]) -> dict[str, float]:
    """What a task reaches alone, by figure: the best setting that trains it so."""
    found: dict[str, float] = {}
    for each in settings:
        name = SINGLE_TASK.get(each.balancer or "")
        if name is not None and name in each.figures:
            found[name] = max(each.figures[name].mean, found.get(name, 0.0))
    return found


def hypervolume_of(jobs: Jobs, settings: Sequence[Setting]) -> float | None:
    """Measured from the constant predictor; None where the jobs do not share one."""
    reference = _reference(jobs)
    return None if reference is None else hypervolume(_points(settings), reference)


def _reference(jobs: Jobs) -> Point | None:
    age, gender = jobs.constants.get("age_score"), jobs.constants.get("gender_f1")
    return None if age is None or gender is None else (age, gender)


def _points(settings: Sequence[Setting]) -> list[Point]:
    return [(place.x.mean, place.y.mean) for place in places_of(settings)]


def _hypervolumes(jobs: Jobs, settings: Sequence[Setting], single_task: dict[str, float]) -> list[Block]:
    """Of all settings, and of those that differ in lambda alone."""
    reference = _reference(jobs)
    if reference is None:
        return [Text("No hypervolume: the jobs share no constant predictor to measure it from.")]
    whole = hypervolume(_points(settings), reference)
    text = (
        f"Hypervolume of all settings: {whole:.4f}, the area between the constant predictor (age score "
        f"{reference[0]:.3f}, gender macro F1 {reference[1]:.3f}) and the front."
    )
    if len(single_task) == len(SINGLE_TASK):
        corner = (single_task["age_score"], single_task["gender_f1"])
        alone = hypervolume([corner], reference)
        text += f" The rectangle up to what each task reaches alone has {alone:.4f}"
        text += f": the settings fill {whole / alone:.1%} of it." if alone else "."
    return [Text(text), *_groups(jobs, settings, reference)]


def _groups(jobs: Jobs, settings: Sequence[Setting], reference: Point) -> list[Block]:
    groups: dict[tuple[str | None, ...], list[Setting]] = {}
    for each in settings:
        if each.balancer not in SINGLE_TASK:
            groups.setdefault(group_of(each), []).append(each)
    if len(groups) < 2 or not {LAMBDA, "balancer"} & set(jobs.settings):
        return []
    front = set(pareto_front(_points(settings)))
    found = []
    for chosen, members in groups.items():
        points = _points(members)
        names = ["–" if value is None else value for value in chosen]
        ahead = sum(point in front for point in points)
        found.append((hypervolume(points, reference), [*names, str(len(points)), str(ahead)]))
    found.sort(key=lambda each: -each[0])
    keys = [key for key in jobs.settings if key != LAMBDA]
    rows = [[*cells, f"{area:.4f}"] for area, cells in found]
    caption = (
        "A row for settings that differ in loss.lambda alone; a row of several has had more tries to "
        "enclose an area."
        if LAMBDA in jobs.settings
        else ""
    )
    return [Table([*keys, "settings", "on the front", "hypervolume"], rows, caption)]

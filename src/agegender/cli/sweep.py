"""The jobs of a sweep, and a sweep taken up again: what is not `ok` in it, each in its own directory."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agegender.config.launch import launch, launch_one
from agegender.config.preflight import Plan, claim_directory
from agegender.config.resume import Resume
from agegender.config.schema import TrainConfig
from agegender.config.sweep_record import FILE, SweepRecord, new_record, write_record
from agegender.core.errors import UserError
from agegender.core.files import read_yaml
from agegender.core.lock import locked
from agegender.core.nested import leaves

Train = Callable[[TrainConfig, Path], str]
"""Trains one job in a directory; returns its figures in a line."""


def run_sweep(plan: Plan[TrainConfig], train: Train) -> int:
    """Run every job of the plan, or those that a resumed sweep still lacks; returns the exit code.

    The sweep's table is rebuilt after each job, and whatever ends the sweep.
    """
    if plan.resume is not None:
        return _resumed(plan, plan.resume, train)
    directory = claim_directory(plan)
    record = new_record([job.overrides for job in plan.jobs], plan.overrides, plan.config_dir)
    write_record(record, directory)
    print(f"sweep of {len(record.jobs)} jobs in {directory}")
    with _sole(directory), _tabled(directory):
        launch("train", plan, directory, TrainConfig, _job(directory, record, train))
    return _end(directory)


def _resumed(plan: Plan[TrainConfig], resume: Resume, train: Train) -> int:
    directory, jobs = resume.directory, resume.record.jobs
    with _sole(directory):
        statuses = _statuses(resume)
        _refuse_other_settings(plan, resume, statuses)
        left = [job for job in jobs if statuses[job.number] != "ok"]
        if left:
            print(f"sweep of {len(jobs)} jobs in {directory}: {len(left)} left to do")
        else:
            print(f"sweep of {len(jobs)} jobs in {directory}: nothing left to do")
        with _tabled(directory):
            for job in left:
                path = directory / job.dir
                _set_aside(path, statuses[job.number])
                run_job = _job(directory, resume.record, train)
                launch_one("train", plan, job.number, path, TrainConfig, run_job)
    return _end(directory)


def _job(directory: Path, record: SweepRecord, train: Train) -> Callable[[TrainConfig, Path], None]:
    """One job with its lines on the console; a failed one lets the others go on.

    Some of Hydra's launchers call it in other processes, so all that it leaves is on disk.
    """

    def job(config: TrainConfig, path: Path) -> None:
        from agegender.report.sweep import write_sweep

        number = int(path.name)
        place = f"[{number + 1}/{len(record.jobs)}]"
        print(f"{place} {' '.join(record.jobs[number].overrides)}", flush=True)
        try:
            print(f"{place} {train(config, path)}", flush=True)
        except Exception as error:
            print(f"{place} failed: {error}", file=sys.stderr, flush=True)
        write_sweep(directory)
        gc.collect()  # a job's faces and network lie in cycles, which would wait while the next one fills up

    return job


def _statuses(resume: Resume) -> dict[int, str]:
    """What became of each job; UserError where one is still at work."""
    from agegender.report.status import read_status

    statuses = {}
    for job in resume.record.jobs:
        status = read_status(resume.directory / job.dir)
        if status["status"] == "running":
            raise UserError(
                f"sweep.resume={resume.directory}: job {job.number} is still running (pid {status['pid']}); "
                "wait for it or end it first"
            )
        statuses[job.number] = status["status"]
    return statuses


def _refuse_other_settings(plan: Plan[TrainConfig], resume: Resume, statuses: dict[int, str]) -> None:
    """The same words may mean something else by now: an edited YAML, another version."""
    for job in resume.record.jobs:
        config = resume.directory / job.dir / "config.yaml"
        if statuses[job.number] != "ok" or not config.is_file():
            continue
        before = dict(leaves(read_yaml(config)))
        for key, now in leaves(plan.jobs[job.number].config.to_dict()):
            if before.get(key) != now:
                raise UserError(
                    f"sweep.resume={resume.directory}: settings have changed since job {job.number} ran: "
                    f"{key} was {before.get(key)}, now {now}; its jobs would not compare"
                )


def _set_aside(path: Path, status: str) -> None:
    """Keep an earlier attempt: `3` becomes `3.killed`, the next one `3.killed-2`."""
    if not path.exists():
        return
    kept, count = path.with_name(f"{path.name}.{status}"), 1
    while kept.exists():
        count += 1
        kept = path.with_name(f"{path.name}.{status}-{count}")
    path.rename(kept)


@contextmanager
def _sole(directory: Path) -> Iterator[None]:
    """Between two jobs no status says `running`, hence the lock."""
    with locked(directory / FILE) as is_ours:
        if not is_ours:
            raise UserError(f"{directory}: another process is at work on this sweep; wait for it or end it")
        yield


@contextmanager
def _tabled(directory: Path) -> Iterator[None]:
    """The sweep's table is true even when the block is cut short, between two jobs or in one."""
    from agegender.report.sweep import write_sweep

    try:
        yield
    except BaseException:
        write_sweep(directory)
        print(f"table: {directory / 'sweep.md'}; sweep.resume={directory} finishes the sweep", flush=True)
        raise


def _end(directory: Path) -> int:
    from agegender.report.sweep import complete_reports, write_sweep

    complete_reports(directory)
    table = write_sweep(directory)
    print(f"table: {directory / 'sweep.md'}")
    is_whole = all((directory / name / "report.html").exists() for name in table["dir"])
    return 0 if is_whole and (table["status"] == "ok").all() else 1

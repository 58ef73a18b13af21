"""A search with a stand-in for training: what is asked, pruned, recorded, taken up and shown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from agegender.config.schema import TrainConfig
from agegender.core.errors import RunError, UserError
from agegender.core.lock import locked
from agegender.engine.watch import Watch
from agegender.tuning import search
from agegender.tuning.search import run_search
from tests.tuning import pretended, space_of

RANGES: dict[str, Any] = {
    "loss.lambda": {"low": 0.1, "high": 1000, "log": True},
    "trainer.batch_size": {"choices": [16, 32, 64]},
}
Figure = Callable[[TrainConfig, int], float]


def _best_at_ten(config: TrainConfig, epoch: int) -> float:
    """A figure that is highest at lambda 10 and batches of 32, and grows from epoch to epoch."""
    distance = abs(math.log10(config.loss.lambda_) - 1) + (config.trainer.batch_size != 32)
    return epoch / 3 * (1 - 0.2 * distance)


def _searched(
    folder: Path, figure: Figure, *overrides: str, has_page: bool = False, **how: Any
) -> pd.DataFrame:
    """The table of a search that has run to its end; the page takes longer than all the rest."""
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        if not has_page:
            patch.setattr(search, "write_page", lambda *_: None)
        run_search(space_of(folder.parent, RANGES, *overrides), folder, pretended(figure, **how))
    return _table(folder)


def _table(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "tune.csv")
    return table.drop(columns="seconds")


def test_tpe_finds_what_is_best(tmp_path: Path) -> None:
    table = _searched(
        tmp_path / "search", _best_at_ten, "trials=16", "startup=5", "pruner=none", has_page=True
    )
    assert table["state"].tolist() == ["complete"] * 16
    early, late = (part["val_harmonic_mean"].mean() for part in (table[:5], table[10:]))
    assert late > early
    best = table.sort_values("val_harmonic_mean").iloc[-1]
    assert 3 < best["loss.lambda"] < 33
    assert best["trainer.batch_size"] == 32
    page = (tmp_path / "search" / "tune.md").read_text(encoding="utf-8")
    assert f"trial {best['trial']}, the best of 16" in page
    for name in ("history", "loss.lambda", "trainer.batch_size"):
        assert (tmp_path / "search" / "plots" / f"{name}.png").exists()
        assert f"(plots/{name}.png)" in page


def test_the_direction_follows_the_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = _searched(
        tmp_path / "search",
        lambda config, _: config.loss.lambda_,
        "trials=4",
        "trainer.monitor=age_rmse",
        column="val_age_rmse",
    )
    lowest = table["val_age_rmse"].idxmin()
    assert f"best: trial {lowest}, val age RMSE (years)" in capsys.readouterr().out


def test_the_best_epoch_counts(tmp_path: Path) -> None:
    table = _searched(tmp_path / "search", lambda _, epoch: [0.5, 0.7, 0.6][epoch - 1], "trials=1")
    assert table["val_harmonic_mean"].tolist() == [0.7]
    assert table["epochs"].tolist() == [3]


class TestPruning:
    def test_what_is_below_the_median_ends(self, tmp_path: Path) -> None:
        given = iter([0.5, 0.6, 0.7, 0.1, 0.9])
        figures: dict[float, float] = {}

        def figure(config: TrainConfig, _: int) -> float:
            return figures.setdefault(config.loss.lambda_, next(given))

        def of(config: TrainConfig, epoch: int) -> float:
            return figures[config.loss.lambda_] if config.loss.lambda_ in figures else figure(config, epoch)

        table = _searched(tmp_path / "search", of, "trials=5", "startup=3", "min_epochs=2", epochs=4)
        assert table["state"].tolist() == ["complete", "complete", "complete", "pruned", "complete"]
        assert table["epochs"].tolist() == [4, 4, 4, 2, 4]
        assert table["val_harmonic_mean"][3] == 0.1

    def test_none_is_where_it_is_not_wanted(self, tmp_path: Path) -> None:
        table = _searched(tmp_path / "search", _best_at_ten, "trials=6", "startup=0", "pruner=none")
        assert set(table["state"]) == {"complete"}

    def test_the_pruned_is_never_the_best(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        numbers = iter(range(100))
        order: dict[float, int] = {}

        def falling(config: TrainConfig, epoch: int) -> float:
            number = order.setdefault(config.loss.lambda_, next(numbers))
            return [0.5, 0.5, 0.5][epoch - 1] if number == 0 else [0.9, 0.1, 0.1][epoch - 1]

        _searched(tmp_path / "search", falling, "trials=2", "startup=1", "min_epochs=2")
        assert "best: trial" in capsys.readouterr().out


class TestFailures:
    def test_a_failed_trial_is_recorded_and_the_search_goes_on(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        train = pretended(_best_at_ten)

        def sometimes(config: TrainConfig, path: Path, watch: Watch) -> None:
            if path.name == "1":
                raise RunError("step 3: age loss is nan")
            if path.name == "2":
                raise MemoryError
            train(config, path, watch)

        folder = tmp_path / "search"
        folder.mkdir()
        assert run_search(space_of(tmp_path, RANGES, "trials=4"), folder, sometimes) == 0
        table = _table(folder)
        assert table["state"].tolist() == ["complete", "failed", "failed", "complete"]
        assert table["error"][1] == "RunError: step 3: age loss is nan"
        assert table["error"][2].startswith("MemoryError")
        assert "[2/4] failed: step 3: age loss is nan" in capsys.readouterr().err
        assert "trial 1: RunError" in (folder / "tune.md").read_text(encoding="utf-8")

    def test_a_mistake_before_any_trial_has_worked_ends_the_search(self, tmp_path: Path) -> None:
        def mistaken(*_: Any) -> None:
            raise UserError("no column age")

        folder = tmp_path / "search"
        folder.mkdir()
        with pytest.raises(UserError, match="no column age"):
            run_search(space_of(tmp_path, RANGES), folder, mistaken)
        assert _table(folder)["state"].tolist() == ["failed"]

    def test_without_a_complete_trial_the_search_has_failed(self, tmp_path: Path) -> None:
        def failing(*_: Any) -> None:
            raise RunError("nothing works")

        folder = tmp_path / "search"
        folder.mkdir()
        assert run_search(space_of(tmp_path, RANGES, "trials=2"), folder, failing) == 1
        assert _table(folder)["state"].tolist() == ["failed"] * 2
        assert not (folder / "experiment").exists()


class TestTakenUp:
    def test_an_interrupted_search_ends_like_one_that_was_not(self, tmp_path: Path) -> None:
        """Values and figures, pruned ones included; the trial that was cut short is made again."""
        settings = ("trials=9", "startup=3")
        whole = _searched(tmp_path / "whole", _best_at_ten, *settings)
        folder = tmp_path / "cut"

        def struck(config: TrainConfig, epoch: int) -> float:
            if (folder / "5").exists() and not (folder / "6").exists():
                raise KeyboardInterrupt
            return _best_at_ten(config, epoch)

        with pytest.raises(KeyboardInterrupt):
            _searched(folder, struck, *settings)
        assert _table(folder)["state"].tolist()[5] == "failed"
        cut = _searched(folder, _best_at_ten, *settings)
        assert len(cut) == 10
        assert cut["error"][5] == "interrupted or killed; another trial takes its place"
        columns = ["state", *RANGES, "val_harmonic_mean", "epochs"]
        left = cut.drop(5)[columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(left, whole[columns])
        assert "pruned" in set(whole["state"])

    def test_a_trial_that_was_cut_short_before_it_had_all_values(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def half(trial: optuna.Trial, *_: Any) -> None:
            trial.suggest_float("loss.lambda", 0.1, 1000, log=True)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(search, "suggest", half)
            with pytest.raises(KeyboardInterrupt):
                _searched(tmp_path / "search", _best_at_ten)
        table = _searched(tmp_path / "search", _best_at_ten, "trials=1")
        assert table["state"].tolist() == ["failed", "complete"]
        assert table["trainer.batch_size"].isna().tolist() == [True, False]
        assert table["loss.lambda"][0] == table["loss.lambda"][1]

    def test_trials_is_a_total(self, tmp_path: Path) -> None:
        first = _searched(tmp_path / "search", _best_at_ten, "trials=2")
        more = _searched(tmp_path / "search", _best_at_ten, "trials=5")
        assert len(more) == 5
        pd.testing.assert_frame_equal(more[:2], first, check_dtype=False)
        assert len(_searched(tmp_path / "search", _best_at_ten, "trials=3")) == 5

    def test_a_line_that_a_kill_cut_in_half(self, tmp_path: Path) -> None:
        _searched(tmp_path / "search", _best_at_ten, "trials=2")
        with (tmp_path / "search" / "tune.journal").open("ab") as file:
            file.write(b'{"op_code": 4, "wor')
        assert len(_searched(tmp_path / "search", _best_at_ten, "trials=3")) == 3

    @pytest.mark.parametrize("line", ["no json\n", '{"op_code": 4}\n'])
    def test_a_damaged_storage_is_named(self, line: str, tmp_path: Path) -> None:
        _searched(tmp_path / "search", _best_at_ten, "trials=1")
        with (tmp_path / "search" / "tune.journal").open("a") as file:
            file.write(line * 2)
        with pytest.raises(UserError, match=r"tune\.journal is damaged"):
            _searched(tmp_path / "search", _best_at_ten, "trials=2")

    def test_one_process_at_a_time(self, tmp_path: Path) -> None:
        _searched(tmp_path / "search", _best_at_ten, "trials=1")
        with (
            locked(tmp_path / "search" / "tune.journal"),
            pytest.raises(UserError, match="another process is at work on this search"),
        ):
            _searched(tmp_path / "search", _best_at_ten, "trials=2")

    def test_another_seed_draws_other_values(self, tmp_path: Path) -> None:
        one, other = (
            _searched(tmp_path / f"s{seed}", _best_at_ten, "trials=2", f"sampler_seed={seed}")
            for seed in (0, 1)
        )
        assert not (one["loss.lambda"] == other["loss.lambda"]).any()


def test_random_values_ignore_the_figures(tmp_path: Path) -> None:
    one = _searched(tmp_path / "one", _best_at_ten, "trials=6", "sampler=random", "startup=0")
    other = _searched(tmp_path / "other", lambda *_: 0.5, "trials=6", "sampler=random", "startup=0")
    assert one["loss.lambda"].tolist() == other["loss.lambda"].tolist()


def test_no_trial_starts_after_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]

    def slow(config: TrainConfig, epoch: int) -> float:
        now[0] += 15
        return _best_at_ten(config, epoch)

    monkeypatch.setattr("agegender.tuning.search.time.monotonic", lambda: now[0])
    table = _searched(tmp_path / "search", slow, "trials=9", "timeout=1min")
    assert len(table) == 2  # of 45 s each
    assert "timeout=1min: 7 trials are left undone" in capsys.readouterr().out


def test_the_storage_is_optunas_own(tmp_path: Path) -> None:
    """Its dashboard and its library read it without us."""
    _searched(tmp_path / "search", _best_at_ten, "trials=3")
    file = tmp_path / "search" / "tune.journal"
    for line in file.read_text(encoding="utf-8").splitlines():
        json.loads(line)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))
    study = optuna.load_study(study_name=None, storage=storage)
    assert study.best_value == pytest.approx(_table(tmp_path / "search")["val_harmonic_mean"].max())
    assert set(study.best_params) == set(RANGES)

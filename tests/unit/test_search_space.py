"""Ranges of a search: what they may be, what they mean, and that every end is checked beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agegender.config.compose import composing, to_plain, validate
from agegender.config.preflight import parse_flags, preflight
from agegender.config.search import Choices, Span, TuneConfig
from agegender.config.space import checked_space, override_text
from agegender.core.errors import UserError
from tests.tuning import space_of

RATE = "schedule.phases.all.lr"

# (ranges, what the message must hold)
Cases = list[tuple[dict[str, Any], list[str]]]

RANGES: Cases = [
    ({"loss.lambda": {"low": 3, "high": 2}}, ["search.loss.lambda", "low=3", "above high=2"]),
    ({"loss.lambda": {"low": 0, "high": 2, "log": True}}, ["search.loss.lambda", "low above 0, not 0"]),
    ({"loss.lambda": {"low": 1, "high": 9, "log": True, "step": 1}}, ["search.loss.lambda", "step"]),
    ({"loss.lambda": {"low": 1, "high": 2, "step": 0.3}}, ["step=0.3", "high=2", "to 1.9"]),
    ({"loss.lambda": {"low": 1, "high": 2, "step": 0}}, ["search.loss.lambda.step=0", "greater than 0"]),
    ({"loss.lambda": {"low": 1, "high": float("inf")}}, ["search.loss.lambda.high=inf"]),
    ({"loss.lambda": {"low": 1, "high": "ten"}}, ["search.loss.lambda.high=ten", "a number"]),
    ({"loss.lambda": {"low": 1}}, ["search.loss.lambda.high: is missing"]),
    ({"loss.lambda": {"low": 1, "high": 2, "lgo": True}}, ["search.loss.lambda.lgo: there is no such key"]),
    ({"loss.lambda": [1, 2]}, ["search.loss.lambda=[1, 2]", "{low: 1, high: 10}", "{choices: [a, b]}"]),
    ({"loss.lambda": {"choices": []}}, ["search.loss.lambda.choices", "at least 1"]),
    ({"loss.lambda": {"choices": [1, 2, 1]}}, ["search.loss.lambda", "twice"]),
    ({"loss.lambda": {"choices": [{"a": 1}]}}, ["search.loss.lambda.choices.0", "a number, a word"]),
    ({"loss.lambda": {"choices": [1, float("nan")]}}, ["search.loss.lambda.choices.1=nan"]),
    ({"loss.lambda": {"choices": [1], "low": 1}}, ["search.loss.lambda.low: there is no such key"]),
    ({}, ["search"]),
]

KEYS: Cases = [
    ({"loss.lamda": {"low": 1, "high": 2}}, ["unknown key 'loss.lamda'", "did you mean 'loss.lambda'"]),
    ({"loss.lambda": {"low": -1, "high": 2}}, ["loss.lambda=-1", "greater than or equal to 0"]),
    ({"schedule.ema": {"low": 0.9, "high": 1.0}}, ["schedule.ema=1.0", "0.999999"]),
    ({"loss.lambda": {"choices": [1, -2]}}, ["loss.lambda=-2"]),
    ({"model": {"choices": ["scratch_cnn", "alexnet"]}}, ["unknown model option 'alexnet'"]),
    (
        {"model": {"choices": ["scratch_cnn_v2", "scratch_cnn"]}, "model.dropout": {"choices": [[0.1, 0.2]]}},
        ["model.dropout is a key of model=scratch_cnn_v2 only"],
    ),
    ({"trainer.batch_size": {"low": 16, "high": 32.5}}, ["trainer.batch_size=32.5", "integer"]),
    ({"loss": {"low": 1, "high": 2}}, ["unknown loss option '1'", "loss.lambda"]),
    ({"trials": {"low": 1, "high": 2}}, ["trials is no setting of a run"]),
    ({"hydra.run.dir": {"choices": ["a"]}}, ["hydra.run.dir is no setting of a run"]),
    ({"trainer.monitor": {"choices": ["age_rmse", "gender_f1"]}}, ["trainer.monitor", "cannot vary"]),
    ({"split.seed": {"low": 0, "high": 3}}, ["split.seed cannot vary", "same faces"]),
    ({"data.n": {"low": 80, "high": 90}}, ["data.n cannot vary"]),
]


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """A valid configuration."""
    with composing("tune") as composer:
        return to_plain(composer.compose([]))


@pytest.mark.parametrize(("ranges", "words"), RANGES, ids=lambda value: str(value)[:50])
def test_wrong_ranges_are_named(ranges: dict[str, Any], words: list[str], plain: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        validate(TuneConfig, {**plain, "search": ranges})
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("ranges", "words"), KEYS, ids=lambda value: str(value)[:50])
def test_wrong_keys_are_named(ranges: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        space_of(tmp_path, ranges)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_combination_of_ends_is_checked(tmp_path: Path) -> None:
    """Each end alone is right: 64 faces in 64 parts, or 16 in 16."""
    ranges = {
        "trainer.batch_size": {"choices": [64, 16]},
        "trainer.accumulate": {"low": 1, "high": 64},
    }
    with pytest.raises(UserError, match=r"accumulate=64 .* trainer\.batch_size=16"):
        space_of(tmp_path, ranges)


def test_many_keys_are_checked_at_each_end(tmp_path: Path) -> None:
    """2^9 combinations are too many."""
    names = ("flip", "brightness", "contrast", "saturation", "grayscale", "erase", "mixup", "zoom", "shift")
    ranges = {f"augment.{name}": {"low": 0, "high": 0.5} for name in names}
    space_of(tmp_path, ranges)
    with pytest.raises(UserError, match=r"augment\.erase=2"):
        space_of(tmp_path, {**ranges, "augment.erase": {"low": 0, "high": 2}})


def test_a_key_cannot_be_given_and_searched(tmp_path: Path) -> None:
    ranges = {"loss.lambda": {"low": 1, "high": 2}}
    with pytest.raises(UserError, match=r"loss\.lambda=5: the search varies loss\.lambda"):
        space_of(tmp_path, ranges, "loss.lambda=5")


def test_ranks_are_not_pruned(tmp_path: Path) -> None:
    ranges = {"loss.lambda": {"low": 1, "high": 2}}
    with pytest.raises(UserError, match=r"pruner=median with trainer\.devices=2.*say pruner=none"):
        space_of(tmp_path, ranges, "trainer.devices=2")
    space_of(tmp_path, ranges, "trainer.devices=2", "pruner=none")


def test_what_the_machine_lacks_is_found(tmp_path: Path) -> None:
    plan = space_of(tmp_path, {"loss.lambda": {"choices": [1, 2]}}).plan

    def check(_: object) -> None:
        raise UserError("no such device")

    with pytest.raises(UserError, match="no such device"):
        checked_space(plan, check)


@pytest.mark.parametrize(
    ("key", "span", "low"),
    [
        ("loss.lambda", {"low": 1, "high": 10}, 1.0),
        ("schedule.clip_norm", {"low": 1, "high": 10}, 1.0),  # its default, null, does not tell
        ("trainer.batch_size", {"low": 1, "high": 10}, 1),
        ("schedule.patience", {"low": 1, "high": 10}, 1),
        ("trainer.batch_size", {"low": 8, "high": 64, "step": 8}, 8),
    ],
)
def test_whole_numbers_where_the_key_takes_no_others(
    key: str, span: dict[str, Any], low: float, tmp_path: Path
) -> None:
    found = space_of(tmp_path, {key: span}).ranges[key]
    assert isinstance(found, Span)
    assert (found.low, type(found.low)) == (low, type(low))


def test_values_become_settings(tmp_path: Path) -> None:
    ranges = {
        "model": {"choices": ["scratch_cnn_v2"]},
        "model.dropout": {"choices": [[0.5, 0.3], [0.1, 0.2]]},
        RATE: {"low": 1e-5, "high": 1e-2, "log": True},
        "schedule.ema": {"choices": [None, 0.99]},
        "trainer.profile": {"choices": [True, False]},
    }
    space = space_of(tmp_path, ranges, "seed=7")
    rate = 0.00012345678901234567
    config = space.config(
        {
            "model": "scratch_cnn_v2",
            "model.dropout": [0.1, 0.2],
            RATE: rate,
            "schedule.ema": None,
            "trainer.profile": True,
        }
    )
    plain = config.to_dict()
    assert plain["model"] == {
        "name": "scratch_cnn_v2", "weights": None, "sharing": "hard", "dropout": [0.1, 0.2],
    }  # fmt: skip
    assert (plain["schedule"]["phases"]["all"]["lr"], plain["schedule"]["ema"]) == (rate, None)
    assert (plain["trainer"]["profile"], plain["seed"]) == (True, 7)
    assert "trials" not in plain


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-05, "1e-05"), (True, "true"), (None, "null"), ("it's", "'it\\'s'"), ([1, "a"], "[1,'a']")],
)
def test_values_in_hydras_grammar(value: Any, text: str) -> None:
    assert override_text(value) == text


def test_choices_have_names() -> None:
    names = Choices(choices=["a", None, True, 32, 0.5, [0.5, 0.3]]).by_name
    assert list(names) == ["a", "null", "true", "32", "0.5", "[0.5, 0.3]"]
    assert names["[0.5, 0.3]"] == [0.5, 0.3]


@pytest.mark.parametrize("preset", ["lambda", "rates", "recipe"])
def test_presets(preset: str) -> None:
    flags = parse_flags([f"search={preset}", "schedule=two_phase"])
    space = checked_space(preflight("tune", TuneConfig, flags, lambda _: None), lambda _: None)
    assert space.ranges

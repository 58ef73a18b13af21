"""What is rare in train weighs more or is drawn more often, by closed forms; what cannot be is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch

from agegender.config.compose import validate
from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError
from agegender.core.types import InputSpec
from agegender.data.batches import Batches, Share, StepBatch
from agegender.data.dataset import Dataset
from agegender.data.emphasis import Emphasis
from agegender.engine.group_dro import GroupDRO
from agegender.engine.ranks import Ranks
from agegender.engine.remedies import age_weights, build_emphasis, group_weights

from ..augmentation import augmentation
from ..training import composed

CPU = torch.device("cpu")
ALONE = Share()


def _exact(*years: float) -> np.ndarray:
    return np.array([years, years], float).T


# weights by age


def test_inverse_weights_give_every_year_the_same_sum() -> None:
    ages = [20.0] * 6 + [21.0] * 3 + [40.0]
    assert age_weights(_exact(*ages), 1.0, 0.0) == pytest.approx([10 / 18] * 6 + [10 / 9] * 3 + [10 / 3])
    roots = age_weights(_exact(*ages), 0.5, 0.0)
    assert roots[0] / roots[-1] == pytest.approx(6**-0.5)
    assert roots.mean() == pytest.approx(1)


def test_smoothing_is_a_convolution_done_by_hand() -> None:
    """A kernel of four standard deviations to either side, of sum 1; beyond the ages there are none."""
    ages, sigma = [10.0] * 5 + [12.0] * 2 + [17.0], 1.5
    counts = np.bincount(np.array(ages, int), minlength=40)
    kernel = np.exp(-(np.arange(-6, 7) ** 2) / (2 * sigma**2))
    density = np.convolve(counts, kernel / kernel.sum(), mode="same")
    expected = 1 / density[np.array(ages, int)]
    assert age_weights(_exact(*ages), 1.0, sigma) == pytest.approx(expected / expected.mean())


def test_intervals_count_evenly_in_their_years_and_missing_ages_weigh_one() -> None:
    labels = np.array(
        [[0, 0], [0, 3], [np.nan, np.nan], [3, 3]], float
    )  # 1.25, .25, .25, 1.25 in years 0 to 3
    weights = age_weights(labels, 1.0, 0.0)
    expected = np.array([1 / 1.25, 1 / 0.75, 1 / 1.25])
    assert weights[[0, 1, 3]] == pytest.approx(expected / expected.mean())
    assert weights[2] == 1
    halves = age_weights(_exact(20.5, 20.0, 21.0), 1.0, 0.0)  # 1.5 faces in either year
    assert halves == pytest.approx([1, 1, 1])


def test_every_group_weighs_alike() -> None:
    groups = pd.Series(["A"] * 6 + ["B"] * 2 + [None], dtype=object)
    assert group_weights(groups) == pytest.approx([8 / 12] * 6 + [2] * 2 + [1])


# what a configuration makes of a data set


def _dataset(groups: list[str | None], **columns: Any) -> Dataset:
    size = len(groups)
    faces = pd.DataFrame(
        {
            "age": [20.0 + i % 7 for i in range(size)],
            "age_min": np.nan,
            "age_max": np.nan,
            "gender": [("female", "male", None)[i % 3] for i in range(size)],
            "group": pd.Series(groups, dtype=object),
            "part": ["val", *["train"] * (size - 1)],
        }
    ).assign(**columns)
    part = faces["part"].to_numpy()
    return cast("Dataset", SimpleNamespace(faces=faces, part=lambda name: np.flatnonzero(part == name)))


MIXED = ["A"] * 30 + ["B"] * 9 + [None]


def test_nothing_is_asked_for() -> None:
    assert build_emphasis(composed(), _dataset(MIXED)) == Emphasis()


@pytest.mark.parametrize("sampling", ["uniform", "group"])
def test_weights_are_one_in_the_mean_over_what_is_drawn(sampling: str) -> None:
    dataset = _dataset(MIXED)
    lines = ["loss.age_weights=sqrt_inverse", f"trainer.sampling={sampling}"]
    lines += ["loss.group_weights=balanced"] if sampling == "uniform" else []
    made = build_emphasis(composed(*lines), dataset)
    assert made.weight_N2 is not None
    rows = dataset.part("train")
    chances = np.full(40, 1 / 39) if made.chance_N is None else made.chance_N
    has_gender = dataset.faces["gender"].notna().to_numpy()[rows]
    for task, known in enumerate((np.full(39, True), has_gender)):
        weights = made.weight_N2[rows, task].numpy()[known]
        assert np.average(weights, weights=chances[rows][known]) == pytest.approx(1, rel=1e-6)
    assert np.ptp(made.weight_N2[rows, 0].numpy()) > 0.1
    assert len(made.notes) == 2


def test_chances_are_those_of_balanced_draws() -> None:
    made = build_emphasis(composed("trainer.sampling=group"), _dataset(MIXED))
    assert made.chance_N is not None
    assert made.chance_N[0] == 0  # of val
    assert made.chance_N.sum() == pytest.approx(1)
    assert made.chance_N[1:30].sum() == pytest.approx(made.chance_N[30:39].sum())
    assert made.chance_N[39] == pytest.approx(1 / 39)  # without a group, as often as else
    ages = build_emphasis(composed("trainer.sampling=age", "loss.lds_sigma=0"), _dataset(MIXED))
    years = _dataset(MIXED).faces["age"].to_numpy()
    assert ages.chance_N is not None
    assert [ages.chance_N[years == year].sum() for year in range(20, 27)] == pytest.approx([1 / 7] * 7)


GROUP_SETTINGS = ("loss.group_weights=balanced", "loss.group_dro=0.1", "trainer.sampling=group")


@pytest.mark.parametrize("setting", GROUP_SETTINGS)
@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([None] * 12, "none of the 11 faces of the train part has a group"),
        (
            ["B"] * 10 + [None] * 2,
            "9 of the 11 faces of the train part have a group, and that is 'B' for all",
        ),
        ([f"face{i}" for i in range(10_001)], "10000 groups among the 10000 faces .* at most 100"),
    ],
    ids=["none", "one", "too many"],
)
def test_a_group_column_that_cannot_be_balanced(setting: str, groups: list[str | None], words: str) -> None:
    with pytest.raises(UserError, match=f"^{setting}: {words}"):
        build_emphasis(composed(setting), _dataset(groups))


@pytest.mark.parametrize("setting", ["loss.age_weights=inverse", "trainer.sampling=age"])
def test_no_ages_cannot_be_balanced(setting: str) -> None:
    with pytest.raises(UserError, match=f"^{setting}: none of the 39 faces of the train part has an age"):
        build_emphasis(composed(setting), _dataset(MIXED, age=np.nan))


@pytest.mark.parametrize(
    "lines",
    [
        ("trainer.sampling=age", "loss.age_weights=inverse"),
        ("trainer.sampling=group", "loss.group_weights=balanced"),
        ("loss.group_dro=0.1", "loss.group_weights=balanced"),
    ],
)
def test_nothing_is_balanced_twice(lines: tuple[str, str]) -> None:
    plain = composed().to_dict()
    for line in lines:
        (section, key), value = line.split("=")[0].split("."), line.split("=")[1]
        plain[section][key] = float(value) if key == "group_dro" else value
    with pytest.raises(UserError, match="would balance the same twice"):
        validate(TrainConfig, plain)


# draws


def _batches(emphasis: Emphasis, share: Share = ALONE, batch_size: int = 8) -> Batches:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    spec = InputSpec(8, (0.5,) * 3, (0.2,) * 3)
    return Batches(_dataset(MIXED).faces, pixels, spec, batch_size, CPU, share, emphasis)


def _epoch(batches: Batches, epoch: int = 1, start: int = 0, augment: str = "none") -> list[StepBatch]:
    rows = _dataset(MIXED).part("train")
    return list(batches.shuffled(rows, 0, epoch, augmentation(augment), start))


def test_an_epoch_has_as_many_draws_as_faces_and_every_group_as_often() -> None:
    made = build_emphasis(composed("trainer.sampling=group"), _dataset(MIXED))
    drawn = [np.concatenate([step.rows for step in _epoch(_batches(made), epoch)]) for epoch in range(400)]
    assert {len(rows) for rows in drawn} == {39}
    every = np.concatenate(drawn)
    assert 0 not in every  # of val
    shares = [np.isin(every, rows).mean() for rows in (range(1, 30), range(30, 39), [39])]
    assert shares == pytest.approx([19 / 39, 19 / 39, 1 / 39], abs=0.02)  # four standard errors


def test_draws_follow_from_seed_and_epoch_and_are_shared_out() -> None:
    made = build_emphasis(composed("trainer.sampling=age"), _dataset(MIXED))
    whole, again, other = (_epoch(_batches(made), epoch, augment="strong") for epoch in (1, 1, 2))
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(whole, again, strict=True))
    assert not np.array_equal(whole[0].rows, other[0].rows)
    rest = _epoch(_batches(made), 1, start=3, augment="strong")
    ranks = [_epoch(_batches(made, Share(rank, 2)), augment="strong") for rank in (0, 1)]
    for step, first, second in zip(whole, *ranks, strict=True):
        (part,) = step.parts
        halves = [half for each in (first, second) for half in each.parts]
        assert part is not None
        assert torch.equal(part.inputs, torch.cat([half.inputs for half in halves if half is not None]))
    for step, resumed in zip(whole[3:], rest, strict=True):
        assert step.parts[0] is not None
        assert resumed.parts[0] is not None
        assert torch.equal(step.parts[0].inputs, resumed.parts[0].inputs)


def test_a_face_that_comes_twice_looks_like_itself_and_is_changed_in_two_ways() -> None:
    chances = np.zeros(40)
    chances[[5, 6]] = 0.5
    for augment, looks in (("none", 1), ("published", 2)):
        (step,) = _epoch(_batches(Emphasis(chance_N=chances), batch_size=64), augment=augment)
        (batch,) = step.parts
        assert batch is not None
        twice = batch.inputs[torch.from_numpy(step.rows == 5)]
        assert len(twice) > 10
        assert len(torch.unique(twice.flatten(1), dim=0)) >= looks
        assert (len(torch.unique(twice.flatten(1), dim=0)) == 1) == (looks == 1)
        assert batch.age_B2[:, 0].tolist() == [20.0 + row % 7 for row in step.rows]


def test_weights_are_mixed_as_the_faces_are() -> None:
    weights = torch.arange(40.0)[:, None].expand(-1, 2).clone()
    options = augmentation("none").model_copy(update={"mixup": 1.0})
    (step,) = _batches(Emphasis(weight_N2=weights), batch_size=64).shuffled(np.arange(40), 0, 1, options)
    (batch,) = step.parts
    assert batch is not None
    assert batch.weight_B2 is not None
    own = weights[torch.from_numpy(step.rows)]
    is_kept = batch.female_B is not None and batch.female_B.isnan()  # without a gender: never mixed
    assert torch.equal(batch.weight_B2[is_kept], own[is_kept])
    assert not torch.equal(batch.weight_B2[~is_kept], own[~is_kept])
    assert torch.equal(weights, torch.arange(40.0)[:, None].expand(-1, 2))


def test_validation_knows_no_weights() -> None:
    made = build_emphasis(composed("loss.group_dro=0.1", "loss.age_weights=inverse"), _dataset(MIXED))
    for batch in _batches(made).in_order(np.arange(40)):
        assert batch.weight_B2 is None
        assert batch.cell_B is None
    (step, *_) = _epoch(_batches(made))
    assert step.parts[0] is not None
    assert step.parts[0].weight_B2 is not None
    assert step.cells_TG is not None
    assert step.cells_TG.sum(1).tolist() == list(step.labelled)


# group-DRO


class _Twice:
    """Two ranks that have seen the same."""

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * values


def test_group_dro_is_exponentiated_gradient_done_by_hand() -> None:
    """Cells 0 and 1 and, without a gender label, 2; two ranks of three faces; ages in units of 10."""
    counts = torch.tensor([[50, 40, 10], [50, 40, 0]])
    dro = GroupDRO(0.5, [10.0, 1.0], ("A female", "B male", "B unknown"), counts)
    assert list(dro.figures().values()) == pytest.approx([1 / 3] * 3 + [1 / 2] * 2 + [0])
    dro.begin(torch.tensor([[4, 2, 0], [4, 2, 0]]), CPU)
    losses = torch.tensor([[8.0, 1.0], [4.0, 3.0], [30.0, 5.0]])
    weighed = dro.weigh(losses, torch.tensor([0, 0, 1]))
    # their mean over the six faces is the sum of q times the cells' means
    assert (2 * weighed.sum(0) / 6).tolist() == pytest.approx([6 / 3 + 30 / 3, 2 / 2 + 5 / 2])
    dro.learn(cast("Ranks", _Twice()))
    age = np.exp([0.5 * 0.6, 0.5 * 3.0, 0.0]) / 3
    gender = np.exp([0.5 * 2.0, 0.5 * 5.0, -np.inf]) / 2
    expected = [*(age / age.sum()), *(gender / gender.sum())]
    assert list(dro.figures().values()) == pytest.approx(expected)
    # a step without cell 0 leaves it the loss that it had last
    dro.begin(torch.tensor([[0, 2, 0], [0, 2, 0]]), CPU)
    dro.weigh(torch.tensor([[10.0, 1.0]]), torch.tensor([1]))
    dro.learn(cast("Ranks", _Twice()))
    age *= np.exp([0.5 * 0.6, 0.5 * 1.0, 0.0])
    assert list(dro.figures().values())[:3] == pytest.approx(age / age.sum())


def test_group_dro_state_goes_on_elsewhere() -> None:
    counts = torch.tensor([[5, 4], [5, 4]])
    first, second = (GroupDRO(0.5, [1.0, 1.0], ("A", "B"), counts) for _ in range(2))
    first.begin(counts, CPU)
    first.weigh(torch.tensor([[3.0, 1.0], [1.0, 2.0]]), torch.tensor([0, 1]))
    first.learn(cast("Ranks", _Twice()))
    assert first.figures() != second.figures()
    second.load_state_dict(first.state_dict())
    assert first.figures() == second.figures()


def test_a_task_without_labels_has_no_worst_cell() -> None:
    dro = GroupDRO(0.5, [1.0, 1.0], ("A", "B"), torch.tensor([[5, 4], [0, 0]]))
    dro.begin(torch.tensor([[1, 1], [0, 0]]), CPU)
    weighed = dro.weigh(torch.tensor([[3.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
    dro.learn(cast("Ranks", _Twice()))
    assert bool(weighed.isfinite().all())
    assert list(dro.figures().values())[2:] == pytest.approx([1 / 2] * 2)

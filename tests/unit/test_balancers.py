"""Every balancer against what its paper says: closed forms, hand-made gradients, properties."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from agegender.balancing.balancer import Balancer, Seen, Weights
from agegender.balancing.build import build_balancer
from agegender.balancing.dwa import DynamicWeightAverage
from agegender.balancing.famo import FastAdaptive
from agegender.balancing.gradnorm import GradNorm
from agegender.config.compose import composing, to_plain, validate
from agegender.config.schema import TrainConfig
from agegender.core import registry
from agegender.core.errors import UserError

ALL = registry.names("balancer")
GRADIENT = [name for name in ALL if registry.find("balancer", name).needs == "gradients"]
LOSS = [name for name in ALL if registry.find("balancer", name).needs != "gradients"]


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    """Each balancer's settings as its YAML has them."""
    with composing("train") as composer:
        composed = {name: to_plain(composer.compose([f"balancer={name}"])) for name in ALL}
    return {name: validate(TrainConfig, plain).balancer for name, plain in composed.items()}


@pytest.fixture
def make(options: dict[str, Any]) -> Any:
    def build(name: str, seed: int = 0, **changed: Any) -> Balancer:
        chosen = options[name].model_copy(update=changed)
        return build_balancer(chosen, seed)

    return build


def _gramian(gradients: Sequence[Sequence[float]]) -> Tensor:
    rows_TN = torch.tensor(gradients, dtype=torch.float64)
    return rows_TN @ rows_TN.T


def _update(balancer: Balancer, gradients: Sequence[Sequence[float]]) -> np.ndarray:
    """What the balancer makes of gradients."""
    weights = balancer.weights([1.0, 1.0], _gramian(gradients))
    update: np.ndarray = np.asarray(weights.shared_T) @ np.asarray(gradients)
    return update


def _seen(losses_T: list[float], norms_T: list[float] | None = None, again: Sequence[float] = ()) -> Seen:
    return Seen(losses_T, norms_T, lambda: list(again))


def _random(seed: int, angle: float | None = None, ratio: float = 1.0) -> list[list[float]]:
    """Two gradients in seven dimensions at an angle (degrees), the second `ratio` times as long."""
    rng = np.random.default_rng(seed)
    first, other = rng.normal(size=(2, 7))
    if angle is None:
        return [list(first), list(ratio * other)]
    first /= np.linalg.norm(first)
    other -= (other @ first) * first
    other /= np.linalg.norm(other)
    turned = np.cos(np.radians(angle)) * first + np.sin(np.radians(angle)) * other
    return [list(first), list(ratio * turned)]


CONFLICT = [[1.0, 0.0], [-1.0, 1.0]]


def test_pcgrad_by_hand(make: Any) -> None:
    """(1, 0) loses its part along (-1, 1) and is (.5, .5); (-1, 1) becomes (0, 1)."""
    assert _update(make("pcgrad"), CONFLICT) == pytest.approx([0.5, 1.5])
    assert _update(make("pcgrad"), [[1.0, 0.0], [1.0, 1.0]]) == pytest.approx([2.0, 1.0])


@pytest.mark.parametrize("c", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_cagrad_solves_its_problem(make: Any, seed: int, c: float) -> None:
    """The paper's dual problem, solved over the one weight that two tasks have."""
    gradients = np.asarray(_random(seed, angle=130, ratio=1.7))
    mean = gradients.mean(axis=0)
    radius = c * np.linalg.norm(mean)

    def mixed(weight: float) -> np.ndarray:
        return np.asarray(weight * gradients[0] + (1 - weight) * gradients[1])

    found = minimize_scalar(
        lambda w: mixed(w) @ mean + radius * np.linalg.norm(mixed(w)),
        bounds=(0, 1), method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    best = min([found.x, 0.0, 1.0], key=lambda w: mixed(w) @ mean + radius * np.linalg.norm(mixed(w)))
    expected = mean + radius / np.linalg.norm(mixed(best)) * mixed(best)
    assert _update(make("cagrad", c=c), gradients.tolist()) == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("angle", [20, 89, 91, 120, 170])
@pytest.mark.parametrize("ratio", [1.0, 30.0])
def test_upgrad_of_two_tasks_is_half_of_pcgrad(make: Any, angle: float, ratio: float) -> None:
    gradients = _random(1, angle, ratio)
    expected = _update(make("pcgrad"), gradients) / 2
    assert _update(make("upgrad"), gradients) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_gradvac_starts_as_pcgrad_and_then_remembers(make: Any) -> None:
    balancer = make("gradvac", beta=0.5)
    assert _update(balancer, CONFLICT) == pytest.approx(_update(make("pcgrad"), CONFLICT))
    # the mean cosine is now -0.35: the same conflict is not one any more below half of it
    mild = [[1.0, 0.0], [-0.2, 1.0]]
    assert _update(balancer, mild) == pytest.approx(np.sum(mild, axis=0))
    assert _update(make("pcgrad"), mild) != pytest.approx(np.sum(mild, axis=0))


@pytest.mark.parametrize("seed", range(3))
def test_mgda_is_the_shortest(make: Any, seed: int) -> None:
    gradients = np.asarray(_random(seed, ratio=2.0))
    difference = gradients[1] - gradients[0]
    weight = np.clip(gradients[1] @ difference / (difference @ difference), 0, 1)  # closed form of two
    expected = weight * gradients[0] + (1 - weight) * gradients[1]
    assert _update(make("mgda"), gradients.tolist()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_imtl_g_projects_equally(make: Any, seed: int) -> None:
    gradients = np.asarray(_random(seed, angle=110, ratio=50.0))
    update = _update(make("imtl_g"), gradients.tolist())
    lengths = np.linalg.norm(gradients, axis=1)
    projections = gradients @ update / lengths
    assert projections[0] == pytest.approx(projections[1], rel=1e-6)


@pytest.mark.parametrize(("angle", "ratio"), [(115, 3.0), (30, 1.0), (91, 100.0), (170, 8.0)])
def test_nash_mtl_bargains(make: Any, angle: float, ratio: float) -> None:
    """G w = 1 / w, and shortened to max_norm; of two tasks the direction is that of IMTL-G."""
    gradients = _random(6, angle, ratio)
    weights_T = np.asarray(make("nash_mtl", max_norm=9.0).weights([1.0, 1.0], _gramian(gradients)).shared_T)
    assert weights_T * (_gramian(gradients).numpy() @ weights_T) == pytest.approx([1.0, 1.0])
    short = _update(make("nash_mtl", max_norm=0.5), gradients)
    assert np.linalg.norm(short) == pytest.approx(0.5)
    impartial = _update(make("imtl_g"), gradients)
    assert short * 2 == pytest.approx(impartial / np.linalg.norm(impartial), abs=1e-6)


def test_aligned_mtl_aligns_components(make: Any) -> None:
    """The balanced gradients V S^-1 V^T G are orthogonal and as long as the smallest singular value."""
    gradients = np.asarray(_random(2, angle=140, ratio=20.0))
    u, s, vt = np.linalg.svd(gradients, full_matrices=False)
    expected = s.min() * (u @ vt).mean(axis=0)
    assert _update(make("aligned_mtl"), gradients.tolist()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["pcgrad", "gradvac", "upgrad", "mgda", "imtl_g", "nash_mtl", "cagrad"])
@pytest.mark.parametrize("angle", [95, 120, 150])
def test_a_conflict_is_resolved(make: Any, name: str, angle: int) -> None:
    """The update is not the plain sum, not even its direction, and no task gets worse by it."""
    gradients = np.asarray(_random(angle, angle, ratio=4.0))
    update = _update(make(name, **({"c": 1.0} if name == "cagrad" else {})), gradients.tolist())
    plain = gradients.sum(axis=0)
    assert update @ plain / np.linalg.norm(update) / np.linalg.norm(plain) < 0.999
    assert (gradients @ update >= -1e-3 * np.linalg.norm(gradients, axis=1) * np.linalg.norm(update)).all()


@pytest.mark.parametrize("name", ["pcgrad", "upgrad"])
def test_linear_under_scaling(make: Any, name: str) -> None:
    """What UPGrad's paper claims: scaling a task's gradient scales its part of the update."""
    gradients = np.asarray(_random(5, angle=125))
    first, second = np.array([[1.0], [2.0]]), np.array([[3.0], [0.5]])

    def of(scale: np.ndarray) -> np.ndarray:
        return _update(make(name), (scale * gradients).tolist())

    assert of(first + second) == pytest.approx(of(first) + of(second), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", GRADIENT)
def test_gradient_balancers(make: Any, name: str) -> None:
    """The unit of gradients and the order of tasks do not matter; heads follow their own loss."""
    gradients = _random(3, angle=105, ratio=6.0)
    weights = make(name).weights([1.0, 1.0], _gramian(gradients))
    assert weights.heads_T == (1.0, 1.0)
    assert all(np.isfinite(weights.shared_T))
    swapped = make(name).weights([1.0, 1.0], _gramian(gradients[::-1]))
    assert swapped.shared_T == pytest.approx(weights.shared_T[::-1], rel=2e-2)
    small = make(name).weights([1.0, 1.0], _gramian(gradients) * 1e-10)
    if name == "nash_mtl":  # its sum has a length of its own
        assert np.divide(*small.shared_T) == pytest.approx(np.divide(*weights.shared_T), rel=1e-2)
    else:
        assert small.shared_T == pytest.approx(weights.shared_T, rel=1e-4)
    nothing = make(name).weights([1.0, 1.0], _gramian([[0.0, 0.0], [0.0, 0.0]]))
    assert nothing == Weights.same([1.0, 1.0])


@pytest.mark.parametrize("name", GRADIENT)
def test_blind_to_lambda_is_what_it_says(make: Any, name: str) -> None:
    """A balancer is blind where lambda leaves the direction of the update as it is."""
    directions = []
    for lambda_ in (1.0, 10.0):
        age, gender = _random(4, angle=100)
        update = _update(make(name), [age, list(lambda_ * np.asarray(gender))])
        directions.append(update / np.linalg.norm(update))
    is_same = bool(directions[0] @ directions[1] > 1 - 1e-4)
    assert is_same == registry.find("balancer", name).is_blind_to_lambda


BLIND = ["age_only", "famo", "gender_only", "gradnorm", "imtl_g", "imtl_l", "nash_mtl", "uncertainty"]


def test_which_are_blind() -> None:
    assert [name for name in ALL if registry.find("balancer", name).is_blind_to_lambda] == BLIND


@pytest.mark.parametrize("lambda_", [1.0, 50.0])
def test_uncertainty_reaches_the_closed_form(make: Any, lambda_: float) -> None:
    """The best sigma^2 of a loss that stands still is that loss: the weighted losses are all 1/2."""
    balancer, losses_T = make("uncertainty"), [300.0, 0.6 * lambda_]
    balancer.weights([3000.0, 1.0])
    for _ in range(6000):
        balancer.learn(_seen(losses_T))
    weights = balancer.weights(losses_T)
    assert np.multiply(weights.shared_T, losses_T) == pytest.approx([0.5, 0.5], rel=1e-2)
    assert weights.heads_T == weights.shared_T


@pytest.mark.parametrize(("name", "weighted"), [("uncertainty", 0.5), ("imtl_l", 1.0)])
def test_what_is_learned_begins_at_rest(make: Any, name: str, weighted: float) -> None:
    """From the first step on, whatever the losses' units; afterwards the step's losses do not matter."""
    balancer, losses_T = make(name), [380.0, 34.0]
    assert balancer.needs == "losses"
    first = balancer.weights(losses_T)
    assert np.multiply(first.shared_T, losses_T) == pytest.approx([weighted, weighted], rel=1e-5)
    assert balancer.needs == "nothing"
    assert balancer.weights([1.0, 1.0]) == first


@pytest.mark.parametrize("lambda_", [1.0, 50.0])
def test_imtl_l_reaches_the_closed_form(make: Any, lambda_: float) -> None:
    balancer, losses_T = make("imtl_l"), [300.0, 0.6 * lambda_]
    balancer.weights([3000.0, 1.0])
    for _ in range(6000):
        balancer.learn(_seen(losses_T))
    assert np.multiply(balancer.weights(losses_T).shared_T, losses_T) == pytest.approx([1, 1], rel=1e-2)


def test_dwa_follows_its_formula(make: Any) -> None:
    balancer = cast("DynamicWeightAverage", make("dwa", temperature=1.5))
    epochs = [[400.0, 0.7], [300.0, 0.69], [150.0, 0.5], [140.0, 0.2], [139.0, 0.19]]
    for epoch, losses_T in enumerate(epochs):
        balancer.end_epoch(losses_T)
        found = balancer.weights([1.0, 1.0]).shared_T
        if epoch == 0:
            assert found == pytest.approx([1.0, 1.0])
            continue
        rates = np.divide(epochs[epoch], epochs[epoch - 1]) / 1.5
        assert found == pytest.approx(2 * np.exp(rates) / np.exp(rates).sum(), rel=1e-5)
    before = balancer.weights([1.0, 1.0])
    balancer.end_epoch([100.0, None])  # an epoch without gender labels changes nothing
    assert balancer.weights([1.0, 1.0]) == before


@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_gradnorm_brings_norms_to_their_ratio(make: Any, alpha: float) -> None:
    """The paper's toy: two regressions that differ by a factor of 100 in the scale of their targets."""
    torch.manual_seed(0)
    balancer = cast("GradNorm", make("gradnorm", alpha=alpha))
    shared = torch.nn.Linear(8, 8)
    heads = [torch.nn.Linear(8, 1) for _ in range(2)]
    inputs_BF, noise = torch.randn(64, 8), torch.randn(8, 2)
    targets_B2 = torch.tanh(inputs_BF @ noise) * torch.tensor([1.0, 100.0])
    optimizer = torch.optim.SGD([*shared.parameters(), *(p for h in heads for p in h.parameters())], lr=1e-5)
    for _ in range(800):
        features_BF = shared(inputs_BF)
        losses_T = [(h(features_BF)[:, 0] - targets_B2[:, i]).square().mean() for i, h in enumerate(heads)]
        norms_T = [
            float(torch.autograd.grad(loss, shared.weight, retain_graph=True)[0].norm()) for loss in losses_T
        ]
        values_T = [loss.item() for loss in losses_T]
        weights_T = balancer.weights(values_T).shared_T
        optimizer.zero_grad()
        sum(w * loss for w, loss in zip(weights_T, losses_T, strict=True)).backward()
        optimizer.step()
        balancer.learn(_seen(values_T, norms_T))
    relative = np.asarray(values_T) / balancer.first_T.numpy()
    wanted = (relative[1] / relative[0]) ** alpha
    weighted = np.multiply(balancer.weights(values_T).shared_T, norms_T)
    assert sum(balancer.weights(values_T).shared_T) == pytest.approx(2.0)
    assert norms_T[1] / norms_T[0] > 50  # what it had to undo
    assert weighted[1] / weighted[0] == pytest.approx(wanted, rel=0.06)  # steps of 2.5 % about it


def test_gradnorm_without_a_probe_or_a_loss_learns_nothing(make: Any) -> None:
    balancer = make("gradnorm")
    balancer.learn(_seen([1.0, 1.0], None))
    balancer.learn(_seen([0.0, 1.0], [1.0, 1.0]))
    assert balancer.weights([1.0, 1.0]).shared_T == (1.0, 1.0)


def test_famo_weighs_by_the_losses_and_learns_from_their_fall(make: Any) -> None:
    balancer = cast("FastAdaptive", make("famo"))
    losses_T = [400.0, 25.0]
    weights_T = np.asarray(balancer.weights(losses_T).shared_T)
    assert weights_T == pytest.approx(np.array([1 / 400, 1 / 25]) / (1 / 400 + 1 / 25), rel=1e-5)
    for _ in range(20):
        balancer.weights(losses_T)
        balancer.learn(_seen(losses_T, again=[300.0, 24.9]))  # age falls faster
    shares_T = np.multiply(balancer.weights(losses_T).shared_T, losses_T)
    assert shares_T[0] < 0.8 * shares_T[1]


def test_stch_is_the_softmax_of_the_losses(make: Any) -> None:
    losses_T = np.array([3.0, 2.0])
    expected = np.exp(losses_T / 2 / 0.7) / np.exp(losses_T / 2 / 0.7).sum() / 2
    assert make("stch", mu=0.7).weights(losses_T.tolist()).shared_T == pytest.approx(expected, rel=1e-5)
    assert make("stch").weights([400.0, 35.0]).shared_T == pytest.approx([0.5, 0.0])


def test_rlw_draws_its_own_numbers(make: Any) -> None:
    first, other = make("rlw", seed=3), make("rlw", seed=4)
    state = torch.get_rng_state()
    drawn = np.array([first.weights([1.0, 1.0]).shared_T for _ in range(500)])
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn.sum(axis=1) == pytest.approx(1.0)
    assert drawn.min() > 0
    assert drawn.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.03)
    assert other.weights([1.0, 1.0]).shared_T != tuple(drawn[0])
    assert make("rlw", seed=3).weights([1.0, 1.0]).shared_T == pytest.approx(drawn[0])


def test_single_tasks(make: Any) -> None:
    assert make("age_only").weights([1.0, 1.0]) == Weights((1.0, 0.0), (1.0, 1.0))
    assert make("gender_only").weights([1.0, 1.0]) == Weights((0.0, 1.0), (1.0, 1.0))
    assert make("fixed").weights([1.0, 1.0]) == Weights((1.0, 1.0), (1.0, 1.0))


def _live(balancer: Balancer, steps: int, start: int) -> list[Weights]:
    """Steps of a made run, two an epoch."""
    found = []
    for step in range(start, start + steps):
        losses_T = [400.0 / (1 + 0.1 * step), 30.0 / (1 + 0.02 * step)]
        found.append(balancer.weights(losses_T, _gramian(_random(step, ratio=5.0))))
        balancer.learn(_seen(losses_T, [50.0, 2.0 + step % 3], [0.99 * losses_T[0], 0.98 * losses_T[1]]))
        if step % 2:
            balancer.end_epoch(losses_T)
    return found


@pytest.mark.parametrize("name", ALL)
def test_its_whole_state_is_in_state_dict(make: Any, name: str, tmp_path: Any) -> None:
    """Also as a file that is read as data only."""
    torch.manual_seed(0)
    balancer = make(name, seed=1)
    _live(balancer, 7, 0)
    torch.save(balancer.state_dict(), tmp_path / "state")
    expected = _live(balancer, 6, 7)
    fresh = make(name, seed=2)
    fresh.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert fresh.kept() == Weights(*fresh.kept().__dict__.values())
    assert _live(fresh, 6, 7) == expected
    assert fresh.kept() == expected[-1]


@pytest.mark.parametrize("name", ALL)
def test_kept_are_the_last_weights(make: Any, name: str) -> None:
    balancer = make(name)
    assert balancer.kept() == Weights.same([1.0, 1.0])
    (last,) = _live(balancer, 1, 0)
    assert balancer.kept() == last


def test_how_many_there_are() -> None:
    assert (len(ALL), len(GRADIENT), len(LOSS)) == (18, 8, 10)


@pytest.mark.parametrize("name", ["pcgrad", "cagrad"])
def test_a_missing_library_is_named(make: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchjd.aggregation", None)
    with pytest.raises(UserError, match=r"pip install 'agegender\[balancers\]'"):
        make(name)

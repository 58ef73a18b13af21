"""A step's gradient is that of its whole batch, however it is shared out; bad numbers change nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from agegender.balancing.balancer import TASKS, Balancer, Seen, Weights
from agegender.balancing.build import build_balancer
from agegender.core import registry
from agegender.core.types import LabelSpec
from agegender.data.batches import Batches, Share, StepBatch
from agegender.data.emphasis import EVEN, Emphasis
from agegender.engine.clock import Clock
from agegender.engine.group_dro import GroupDRO
from agegender.engine.ranks import Ranks
from agegender.engine.step import (
    NonFiniteError,
    Stepper,
    Taken,
    face_losses,
    loss_scales,
    task_losses,
)
from agegender.models.network import AgeGenderNet, build_backbone, build_network

from ..augmentation import augmentation
from ..training import composed

CPU = torch.device("cpu")
WHOLE = Share()


class _Alone:
    """Ranks of one process."""

    rank, size = 0, 1

    def sum(self, values: Tensor) -> Tensor:
        return values

    def sum_in_place(self, tensors: Sequence[Tensor]) -> None:
        """Nothing to add."""


def _network(model: str = "scratch_cnn") -> AgeGenderNet:
    torch.manual_seed(0)
    config = composed(f"model={model}", "data.image_size=16")
    return build_network(build_backbone(config.model, 16), config.age_head, LabelSpec(0, 120, 30, 20))


def _stepper(
    network: AgeGenderNet,
    clip_norm: float | None = None,
    balancer: Balancer | None = None,
    scale_T: Sequence[float] = (1.0, 50.0),
    diagnose_every: int | None = None,
    scaled: bool = False,
    group_dro: GroupDRO | None = None,
) -> Stepper:
    return Stepper(
        network,
        balancer or _balancer("fixed"),
        scale_T,
        diagnose_every,
        clip_norm,
        nullcontext,
        torch.amp.GradScaler("cpu", enabled=scaled),
        cast("Ranks", _Alone()),
        Clock(False, CPU),
        group_dro,
    )


def _balancer(name: str) -> Balancer:
    return build_balancer(composed(f"balancer={name}").balancer, 0)


def _batch(
    share: Share = WHOLE, faces: int = 13, genders: bool = True, emphasis: Emphasis = EVEN
) -> StepBatch:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (faces, 16, 16, 3), dtype=np.uint8)
    table = pd.DataFrame(
        {
            "age": [np.nan if i % 3 == 1 else 20.0 + i for i in range(faces)],
            "age_min": np.nan,
            "age_max": np.nan,
            "gender": [("female", "male", None)[i % 4 % 3] if genders else None for i in range(faces)],
        }
    )
    batches = Batches(table, pixels, _network().input_spec, 64, CPU, share, emphasis)
    (step,) = batches.shuffled(np.arange(faces), 0, 1, augmentation())
    return step


def _gradient(network: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def _take(network: AgeGenderNet, batch: StepBatch, clip_norm: float | None = None) -> Taken:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    return _stepper(network, clip_norm).take(network, optimizer, batch, 1)


@pytest.mark.parametrize("parts", [2, 5, 13, 20])
def test_accumulation_is_the_whole_batch(parts: int) -> None:
    """Also where parts have labels of one task alone, or no face at all."""
    whole, split = _network(), _network()
    expected = _take(whole, _batch())
    taken = _take(split, _batch(Share(parts=parts)))
    assert taken.losses_T == pytest.approx(expected.losses_T, rel=1e-5)
    assert taken.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4)
    assert torch.allclose(_gradient(split), _gradient(whole), rtol=1e-3, atol=1e-4)
    assert taken.weights_T == expected.weights_T == [1.0, 50.0]


def test_ranks_share_the_whole_batch() -> None:
    """What three ranks compute adds up to what one does."""
    network = _network()
    _take(network, _batch())
    whole, sums, losses = _gradient(network), torch.zeros(1), np.zeros(2)
    for rank in range(3):
        taken = _take(network, _batch(Share(rank=rank, ranks=3, parts=2)))
        sums, losses = sums + _gradient(network), losses + taken.losses_T
    assert torch.allclose(sums, whole, rtol=1e-3, atol=1e-4)
    assert losses == pytest.approx(_take(network, _batch()).losses_T, rel=1e-5)


def test_a_long_gradient_is_shortened() -> None:
    plain, clipped = _network(), _network()
    norm = _take(plain, _batch()).grad_norm
    assert norm == pytest.approx(float(_gradient(plain).norm()), rel=1e-5)
    assert _take(clipped, _batch(), clip_norm=norm / 4).grad_norm == pytest.approx(norm, rel=1e-5)
    assert torch.allclose(_gradient(clipped) * 4, _gradient(plain), rtol=1e-3, atol=1e-6)
    _take(clipped, _batch(), clip_norm=norm * 2)
    assert torch.allclose(_gradient(clipped), _gradient(plain))


@pytest.mark.parametrize(("where", "what"), [("loss", "age loss is nan"), ("gradient", "gradient's norm is")])
def test_bad_numbers_change_nothing(where: str, what: str) -> None:
    network = _network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    with pytest.MonkeyPatch.context() as patch:
        if where == "loss":
            patch.setattr(network.age_head, "loss", lambda raw, _age: raw.sum() * torch.nan)
        else:  # the root of 0 has no slope
            patch.setattr(network.age_head, "loss", lambda raw, _age: (raw * 0).sum().sqrt())
        with pytest.raises(NonFiniteError, match=f"step 7: the {what}"):
            _stepper(network).take(network, optimizer, _batch(), 7)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not optimizer.state


def test_flags_go_through() -> None:
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    taken = _stepper(network).take(network, optimizer, _batch(Share(parts=3)), 1, (True, False))
    assert taken.flags == [True, False]


def _task_gradients(batch: StepBatch, scale_T: Sequence[float] = (1.0, 50.0)) -> tuple[Tensor, list[Tensor]]:
    """Each task's weighted gradient on the shared parameters (T, N), and on its own."""
    network = _network()
    (part,) = batch.parts
    assert part is not None
    shared_T, own_T = [], []
    for task, scale in enumerate(scale_T):
        network.zero_grad()
        loss = task_losses(network, network(part.inputs), part)[task]
        (loss * scale * batch.shares(part)[task]).backward()
        shared_T.append(_gradient(network.backbone))
        own_T.append(_gradient((network.age_head, network.gender_head)[task]))
    return torch.stack(shared_T), own_T


def _balanced(name: str, batch: StepBatch, **changed: Any) -> tuple[AgeGenderNet, Taken]:
    network, balancer = _network(), _balancer(name)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    return network, _stepper(network, balancer=balancer, **changed).take(network, optimizer, batch, 1)


@pytest.mark.parametrize("name", registry.names("balancer"))
def test_every_balancer_weighs_what_it_was_given(name: str) -> None:
    """One part or many, looked at or not, scaled for float16 or not: the whole batch's gradient."""
    rows_TN, own_T = _task_gradients(_batch())
    balancer = _balancer(name)
    losses_T = np.multiply(_take(_network(), _batch()).losses_T, (1, 50)).tolist()
    weights = balancer.weights(losses_T, (rows_TN.double() @ rows_TN.double().T))
    expected_N = torch.tensor(weights.shared_T) @ rows_TN
    for changed, share in (
        ({}, WHOLE),
        ({"diagnose_every": 1}, WHOLE),
        ({"scaled": True}, WHOLE),
        ({}, Share(parts=5)),
        ({"diagnose_every": 1}, Share(parts=20)),
    ):
        network, taken = _balanced(name, _batch(share), **changed)
        size = float(expected_N.norm())
        assert torch.allclose(_gradient(network.backbone), expected_N, rtol=1e-2, atol=2e-4 * size), changed
        for head, own, weight in zip(
            (network.age_head, network.gender_head), own_T, weights.heads_T, strict=True
        ):
            assert torch.allclose(_gradient(head), own * weight, rtol=1e-2, atol=1e-3 * float(own.norm()))
        assert taken.weights_T == pytest.approx(np.multiply(weights.shared_T, (1, 50)), rel=1e-2)
        assert (taken.conflict is not None) == ("diagnose_every" in changed)


def test_a_conflict_is_what_the_gradients_say() -> None:
    rows_TN, _ = _task_gradients(_batch())
    expected = torch.nn.functional.cosine_similarity(rows_TN[0], rows_TN[1], dim=0)
    for name in ("fixed", "pcgrad", "age_only"):
        _, taken = _balanced(name, _batch(), diagnose_every=3)
        assert taken.conflict is not None
        assert taken.conflict.cosine == pytest.approx(float(expected), abs=1e-4)
        wanted = rows_TN.norm(dim=1).numpy() * np.abs(np.divide(taken.weights_T, (1, 50)))
        assert taken.conflict.norms_T == pytest.approx(wanted, rel=1e-4)


def test_steps_are_looked_at_from_the_first_on() -> None:
    network = _network()
    stepper = _stepper(network, diagnose_every=4)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    steps = range(1, 11)
    taken = [stepper.take(network, optimizer, _batch(), step).conflict is not None for step in steps]
    assert [step for step, looked in zip(steps, taken, strict=True) if looked] == [1, 5, 9]


@pytest.mark.parametrize("name", registry.names("balancer"))
def test_a_batch_without_one_tasks_labels(name: str) -> None:
    """The other task keeps the weight it had; nothing is learned, nothing breaks."""
    network, balancer = _network(), _balancer(name)
    stepper = _stepper(network, balancer=balancer, diagnose_every=1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    weights = stepper.take(network, optimizer, _batch(), 1).weights_T
    before = copy.deepcopy(balancer.state_dict())
    taken = stepper.take(network, optimizer, _batch(genders=False), 2)
    assert taken.weights_T == weights
    assert taken.conflict is None
    assert repr(balancer.state_dict()) == repr(before)
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", registry.names("balancer"))
def test_frozen_features_have_no_fight(name: str) -> None:
    network, balancer = _network(), _balancer(name)
    network.set_trainable("heads")
    optimizer = torch.optim.SGD(network.heads(), lr=0.1)
    for step in (1, 2, 3):
        stepper = _stepper(network, balancer=balancer, diagnose_every=1)
        taken = stepper.take(network, optimizer, _batch(), step)
        assert taken.conflict is None
        assert taken.grad_norm > 0
    assert all(p.grad is None for p in network.backbone.parameters())


class _Watching(Balancer):
    """Notes what it sees."""

    looks_again = True
    probes_last_layer = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[list[float], list[float], list[float]]] = []

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        return Weights.same([1.0] * len(TASKS))

    def learn(self, seen: Seen) -> None:
        assert seen.probe_norms_T is not None
        self.seen.append((seen.losses_T, seen.probe_norms_T, seen.look_again()))


@pytest.mark.parametrize("share", [WHOLE, Share(parts=3)])
@pytest.mark.parametrize("scaled", [False, True])
def test_what_a_balancer_learns_from(share: Share, scaled: bool) -> None:
    """The weighted losses; each task's gradient on the last shared layer; the losses after the step."""
    network, balancer = _network("scratch_cnn_v2"), _Watching()
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    statistics = {name: tensor.clone() for name, tensor in network.named_buffers()}
    stepper = _stepper(network, balancer=balancer, scaled=scaled)
    taken = stepper.take(network, optimizer, _batch(share, faces=60), 1)
    after_one = {name: tensor.clone() for name, tensor in network.named_buffers()}
    ((losses_T, norms_T, again_T),) = balancer.seen
    assert losses_T == pytest.approx(np.multiply(taken.losses_T, (1, 50)))
    assert again_T == pytest.approx(losses_T, rel=1e-5)  # weights are the same, hence also the dropout was
    last = [p for p in network.backbone.parameters() if p.ndim > 1][-1]
    if share is WHOLE:  # dropout is drawn anew for each way to share out
        assert last.grad is not None
        low, high = abs(norms_T[0] - norms_T[1]), sum(norms_T)
        assert low <= float(last.grad.norm()) <= high * (1 + 1e-5)
    moved = [name for name in statistics if not torch.equal(statistics[name], after_one[name])]
    assert moved  # by the step itself
    with pytest.MonkeyPatch.context() as patch:  # the second look alone moves nothing
        patch.setattr(_Watching, "learn", lambda *_: None)
        torch.manual_seed(0)
        twin = _network("scratch_cnn_v2").train()
        plain = _stepper(twin, balancer=_Watching(), scaled=scaled)
        plain.take(twin, torch.optim.SGD(twin.parameters(), lr=0.0), _batch(share, faces=60), 1)
    for name, tensor in twin.named_buffers():
        assert torch.equal(tensor, after_one[name]), name


def test_the_unit_of_ages_is_lambdas_unit() -> None:
    """lambda=50 of years squared is 50 / std^2 of standard deviations, at 1 / std^2 of the gradient."""
    head = _network().age_head
    std = head.label_spec.age_std
    plain = composed().loss
    years = loss_scales(plain, head)
    assert years == [1.0, 50.0]
    stds = loss_scales(plain.model_copy(update={"lambda_": 50.0 / std**2, "age_unit": "std"}), head)
    assert np.multiply(stds, std**2) == pytest.approx(years)
    assert pytest.approx(0.13, abs=0.005) == 50.0 / 19.9**2  # UTKFace
    gradients = []
    for scale_T in (years, stds):
        network = _network()
        _stepper(network, scale_T=scale_T).take(
            network, torch.optim.SGD(network.parameters(), lr=0.0), _batch(), 1
        )
        gradients.append(_gradient(network))
    assert torch.allclose(gradients[1] * std**2, gradients[0], rtol=1e-3, atol=1e-3)


CELLS = torch.tensor([[4, 5], [4, 5]])


def _emphasis(weights: float | None = None, cells: bool = False) -> Emphasis:
    """Faces whose weights rise up to a value; two cells that take turns."""
    weight_N2 = None if weights is None else torch.linspace(1, weights, 13)[:, None].expand(-1, 2)
    return Emphasis(weight_N2, cell_N=torch.arange(13) % 2 if cells else None, cells=("A", "B")[: 2 * cells])


def _emphasized(emphasis: Emphasis, share: Share = WHOLE) -> tuple[Tensor, Taken, GroupDRO | None]:
    """Gradient of a second step: group-DRO has then seen one."""
    network, dro = _network(), GroupDRO(0.01, [20.0**2, 1.0], ("A", "B"), CELLS) if emphasis.cells else None
    stepper, optimizer = _stepper(network, group_dro=dro), torch.optim.SGD(network.parameters(), lr=0.0)
    for step in (1, 2):
        taken = stepper.take(network, optimizer, _batch(share, emphasis=emphasis), step)
    return _gradient(network), taken, dro


@pytest.mark.parametrize("cells", [False, True])
def test_weighed_faces_add_up_over_parts(cells: bool) -> None:
    """Also where a part has no face of a cell, labels of one task alone, or no face at all."""
    emphasis = _emphasis(3.0, cells)
    expected_N, expected, dro = _emphasized(emphasis)
    plain_N, _, _ = _emphasized(EVEN)
    assert not torch.allclose(expected_N, plain_N, rtol=1e-2)
    for parts in (2, 5, 20):
        found_N, taken, other = _emphasized(emphasis, Share(parts=parts))
        assert taken.losses_T == pytest.approx(expected.losses_T, rel=1e-5)
        assert torch.allclose(found_N, expected_N, rtol=1e-3, atol=1e-4)
        if dro is not None:
            assert other is not None
            assert other.figures() == pytest.approx(dro.figures(), rel=1e-6)


def test_weights_of_one_change_nothing() -> None:
    gradients = [_emphasized(emphasis)[0] for emphasis in (EVEN, _emphasis(1.0))]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_a_weighed_loss_is_the_mean_over_faces_and_a_robust_one_that_over_cells() -> None:
    network, (part,) = _network(), _batch(emphasis=_emphasis(3.0, cells=True)).parts
    assert part is not None
    assert part.weight_B2 is not None
    with torch.no_grad():
        losses_BT = face_losses(network, network(part.inputs), part) * part.weight_B2
    _, taken, _ = _emphasized(_emphasis(3.0))
    known_T = torch.tensor(part.labelled)
    assert taken.losses_T == pytest.approx((losses_BT.sum(0) / known_T).tolist(), rel=1e-5)
    _, robust, dro = _emphasized(_emphasis(3.0, cells=True))
    assert dro is not None
    assert part.cell_B is not None
    means_GT = torch.stack(
        [
            torch.stack([losses_B[(part.cell_B == g) & (losses_B != 0)].mean() for losses_B in losses_BT.T])
            for g in (0, 1)
        ]
    )
    q_GT = (0.01 * means_GT / torch.tensor([20.0**2, 1.0])).softmax(0)  # of the step before, the same faces
    assert robust.losses_T == pytest.approx((q_GT * means_GT).sum(0).tolist(), rel=1e-5)


def test_a_skipped_step_teaches_group_dro_nothing() -> None:
    network, dro = _network(), GroupDRO(0.01, [1.0, 1.0], ("A", "B"), CELLS)
    before = dro.figures()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network.age_head, "losses", lambda raw, _age: raw.sum(1) * torch.nan)
        with pytest.raises(NonFiniteError, match="step 1: the age loss is nan"):
            _stepper(network, group_dro=dro).take(
                network,
                torch.optim.SGD(network.parameters(), lr=0.1),
                _batch(emphasis=_emphasis(cells=True)),
                1,
            )
    assert dro.figures() == before

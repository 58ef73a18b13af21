"""Attention against other libraries, published numbers and sums by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from agegender.core.torchvision_shim import import_torchvision
from agegender.models.attention.cbam import CBAM
from agegender.models.attention.eca import kernel_size
from agegender.models.attention.se import SE
from agegender.models.attention.self_attention import SelfAttention, sinusoids


def test_se_is_twice_torchvisions() -> None:
    ops = import_torchvision("ops")
    torch.manual_seed(0)
    theirs = ops.SqueezeExcitation(8, 2)
    ours = SE(SE.Options(name="se", reduction=4), 8)
    for number, layer in ((0, theirs.fc1), (2, theirs.fc2)):
        ours.mlp[number].load_state_dict({"weight": layer.weight[:, :, 0, 0], "bias": layer.bias})
    x_BCHW = torch.randn(3, 8, 4, 5)
    torch.testing.assert_close(ours(x_BCHW), 2 * theirs(x_BCHW))


def test_ecas_kernels_are_the_papers() -> None:
    sizes = {64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
    assert {channels: kernel_size(channels) for channels in sizes} == sizes
    assert all(kernel_size(channels) % 2 for channels in range(1, 3000))


def test_cbams_gate_of_positions_sees_mean_and_maximum() -> None:
    cbam = CBAM(CBAM.Options(name="cbam", reduction=2, kernel_size=3), 2)
    x_BCHW = torch.tensor([[[[1.0, 2.0]], [[3.0, -2.0]]]])
    with torch.no_grad():
        cbam.conv.weight[0, :, 1, 1] = torch.tensor([1.0, 0.5])  # mean + maximum / 2, of each position alone
    gates = [2 / (1 + math.exp(-(2.0 + 1.5))), 2 / (1 + math.exp(-(0.0 + 1.0)))]
    torch.testing.assert_close(cbam.where(x_BCHW), torch.tensor([[gates]]))
    torch.testing.assert_close(cbam(x_BCHW), x_BCHW * torch.tensor(gates))


def test_cbams_gate_of_channels_adds_mean_and_maximum() -> None:
    cbam = CBAM(CBAM.Options(name="cbam", reduction=1, kernel_size=3), 1)
    for layer, weight in ((cbam.mlp[0], 2.0), (cbam.mlp[2], 0.5)):
        layer.load_state_dict({"weight": torch.tensor([[weight]]), "bias": torch.zeros(1)})
    x_BCHW = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    gate = 2 / (1 + math.exp(-(1.0 + 2.0)))
    torch.testing.assert_close(cbam(x_BCHW), x_BCHW * gate)


def _pool(channels: int = 8, has_map: bool = True) -> SelfAttention:
    return SelfAttention(SelfAttention.Options(name="self_attention", heads=2), channels, has_map)


def test_the_pool_is_torchs_attention_with_a_learned_query() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    query_B1C = torch.randn(1, 1, 8).expand(3, -1, -1)
    ours = _pool(has_map=False)
    wq, wk, wv = theirs.in_proj_weight.detach().chunk(3)
    asked_hD = (query_B1C[0, 0] @ wq.T).view(2, 4)
    with torch.no_grad():
        ours.score.weight.copy_(torch.einsum("hd,hdc->hc", asked_hD, wk.view(2, 4, 8)) / 4**0.5)
        ours.value.weight.copy_(wv)
        ours.output.load_state_dict(theirs.out_proj.state_dict())
    x_BNC = torch.randn(3, 5, 8)
    expected, weights_B1N = theirs(query_B1C, ours.norm(x_BNC), x_BNC)
    torch.testing.assert_close(ours(x_BNC), expected[:, 0])
    torch.testing.assert_close(ours.where(x_BNC), 5 * weights_B1N[:, 0])


def test_the_pool_reads_a_map_as_its_positions() -> None:
    of_maps, of_tokens = _pool(), _pool(has_map=False)
    with torch.no_grad():
        of_maps.score.weight.normal_()
    state = {name: tensor for name, tensor in of_maps.state_dict().items() if name != "position_gain"}
    of_tokens.load_state_dict(state)
    x_BCHW = torch.randn(2, 8, 3, 4)
    tokens_BNC = x_BCHW.flatten(2).transpose(1, 2)
    torch.testing.assert_close(of_maps(x_BCHW), of_tokens(tokens_BNC))
    torch.testing.assert_close(of_maps.where(x_BCHW).flatten(1), of_tokens.where(tokens_BNC))


def test_with_a_gain_the_pool_knows_where_things_are() -> None:
    pool = _pool()
    with torch.no_grad():
        pool.score.weight.normal_()
        pool.state_dict()["position_gain"].fill_(1)
    x_BCHW = torch.randn(2, 8, 3, 4)
    assert not torch.allclose(pool(x_BCHW), pool(x_BCHW.flip(3)), atol=1e-3)


@pytest.mark.parametrize("channels", [8, 10])
def test_no_two_positions_are_told_alike(channels: int) -> None:
    told_CHW = sinusoids(torch.empty(1, channels, 14, 15))
    assert told_CHW.shape == (channels, 14, 15)
    positions_NC = told_CHW.flatten(1).T
    distances_NN = torch.cdist(positions_NC, positions_NC) + torch.eye(14 * 15)
    assert distances_NN.min() > 0.05
    torch.testing.assert_close(told_CHW[0, :, 3], torch.sin(torch.arange(14.0)))
    torch.testing.assert_close(told_CHW[3, 5], torch.cos(torch.arange(15.0)))

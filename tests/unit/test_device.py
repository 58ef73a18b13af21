"""What trainer.precision=auto comes to."""

from __future__ import annotations

import pytest
from torch import nn

from agegender.engine import device
from agegender.engine.device import resolve_precision

PLAIN = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(1, 1, 3))
DEPTHWISE = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8))


@pytest.mark.parametrize(
    ("network", "accelerator", "has_bf16", "expected"),
    [
        (PLAIN, "cpu", True, "bf16"),
        (PLAIN, "cpu", False, 32),
        (DEPTHWISE, "cpu", True, 32),
        (DEPTHWISE, "cuda", True, "bf16"),
    ],
)
def test_auto(
    network: nn.Module,
    accelerator: str,
    has_bf16: bool,
    expected: int | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "_has_bf16", lambda _kind: has_bf16)
    assert resolve_precision(accelerator, "auto", network) == expected


@pytest.mark.parametrize("precision", [32, "bf16", 16])
def test_what_is_asked_for_stays(precision: int | str) -> None:
    assert resolve_precision("cpu", precision, DEPTHWISE) == precision

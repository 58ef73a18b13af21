"""How fast this machine multiplies matrices, and what a network costs it; `benchmark.py` runs it.

python scripts/benchmark_hardware.py RESULT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from naive_loop import Network, Recipe
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

SIDE, REPEATS = 2048, 30
GPU_SIDE = 8192

SIZES = {"scratch_cnn_v2": 128, "resnet34": 224}
_IMAGES = 2


def gemm_peak(dtype: torch.dtype, device: str, side: int) -> float:
    """FLOPs a second of a product of square matrices, the best of some."""
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(REPEATS):
        _wait(device)
        started = time.perf_counter()
        left @ right
        _wait(device)
        times.append(time.perf_counter() - started)
    return 2 * side**3 / min(times)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def flops(model: str) -> dict[str, float]:
    """FLOPs an image of a forward pass, and of a training step."""
    size = SIZES[model]
    recipe = Recipe(
        model=model, image_size=size, mean=(0.5,) * 3, std=(0.5,) * 3, dropout=(0.0, 0.0),
        age_mean=0.0, age_std=1.0, augmented=False, batch_size=_IMAGES, epochs=1, lr=1e-4,
        gender_weight=1.0, heads_only=False,
    )  # fmt: skip
    network = Network(recipe)
    images_BCHW = torch.randn(_IMAGES, 3, size, size)

    def step(is_training: bool) -> None:
        years_B, logits_B2 = network(images_BCHW)
        loss: Tensor = years_B.sum() + logits_B2.sum()
        if is_training:
            loss.backward()

    counts = {}
    for name, is_training in (("forward", False), ("training", True)):
        with FlopCounterMode(display=False) as counter:
            step(is_training)
        counts[name] = counter.get_total_flops() / _IMAGES
    return counts


def main() -> None:
    result = Path(sys.argv[1])
    gpu = {}
    if torch.cuda.is_available():
        gpu = {
            "gpu": torch.cuda.get_device_name(),
            "gpu_bf16": gemm_peak(torch.bfloat16, "cuda", GPU_SIDE),
        }
    found = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "float32": gemm_peak(torch.float32, "cpu", SIDE),
        "bf16": gemm_peak(torch.bfloat16, "cpu", SIDE),
        "flops": {model: flops(model) for model in SIZES},
        **gpu,
    }
    result.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()

"""What a small network learns from the drawn faces, and whether more of anything helps.

python scripts/measure_faces.py docs/faces.md

A plain CNN at 64 px, trained on drawn faces of seed 0 and judged on other ones of seed 1. Takes a few
minutes on two cores. The page it writes also says how long drawing takes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.config.compose import composing, to_plain, validate
from agegender.config.schema import TrainConfig
from agegender.core.files import write_text
from agegender.core.types import GENDERS
from agegender.data.dataset import Dataset, load_dataset
from agegender.data.sources.synthetic import Synthetic
from agegender.evaluation.metrics import metrics
from agegender.report.figures import cell

SIDE, DRAWN, JUDGED = 64, 2000, 3000


@dataclass(frozen=True)
class Trial:
    name: str
    faces: int = 2500
    epochs: int = 15
    widths: tuple[int, ...] = (24, 48, 96, 128)


BASE = Trial("as asked")
TRIALS = (
    BASE,
    replace(BASE, name="twice the faces", faces=5000),
    replace(BASE, name="twice the epochs", epochs=30),
    replace(BASE, name="a bigger network", widths=(48, 96, 192, 256)),
    replace(BASE, name="a smaller network", widths=(8, 12, 24, 32)),
)


class SmallCNN(nn.Module):
    """3 x 3 convolutions, each with BatchNorm, ReLU and 2 x 2 pooling; mean over the rest; two heads."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.heads = nn.Linear(widths[-1], 3)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs_B3: Tensor = self.heads(self.features(images_BCHW).mean((2, 3)))
        return outputs_B3


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(f"usage: python {sys.argv[0]} PAGE.md")
    judged = dataset(seed=1, n=JUDGED)
    lines = [
        "# The drawn faces",
        "",
        f"Written by `python scripts/measure_faces.py docs/faces.md`. {drawing()}",
        "",
        f"A plain CNN (four 3 x 3 convolutions with BatchNorm) at {SIDE} px, Adam with a one-cycle rate up "
        f"to 3e-3, one seed; judged on {JUDGED:,} faces of another seed. Brackets: 95 % intervals, bootstrap "
        "over the faces.",
        "",
        "| | parameters | faces | epochs | age RMSE (years) | RMSE / standard deviation | gender macro F1 |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    tables = {}
    for trial in TRIALS:
        network = train(trial)
        tables[trial.name] = table = predict(network, judged)
        figures = metrics(table)
        share = figures["age_rmse"] / figures["constant_age_rmse"]
        size = sum(parameter.numel() for parameter in network.parameters())
        cells = [f"{size:,}", f"{trial.faces:,}", str(trial.epochs), cell(figures, "age_rmse")]
        lines.append(f"| {' | '.join([trial.name, *cells, f'{share:.3f}', cell(figures, 'gender_f1')])} |")
    lines += ["", *by_age(tables[BASE.name])]
    write_text(Path(sys.argv[1]), "\n".join(lines) + "\n")


def drawing() -> str:
    """Seconds to draw into an empty cache."""
    with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, {"AGEGENDER_CACHE": cache}):
        source = Synthetic(options(seed=0, n=DRAWN).data)  # type: ignore[arg-type]
        faces = source.read().faces
        started = time.perf_counter()
        source.prepare_files(faces)
        seconds = time.perf_counter() - started
    return f"Drawing {DRAWN:,} faces of 128 px took {seconds:.0f} s on {os.cpu_count()} cores."


def by_age(table: pd.DataFrame) -> list[str]:
    """Gender is hard to see in the youngest, by intent."""
    lines = ["| age | n | gender accuracy, as asked |", "|:--|--:|--:|"]
    for low, high in ((1, 3), (3, 8), (8, 14), (14, 20), (20, 50), (50, 91)):
        rows = table[(table["age"] >= low) & (table["age"] < high)]
        lines.append(f"| {low} to below {high} | {len(rows)} | {cell(metrics(rows), 'gender_accuracy')} |")
    return lines


def options(seed: int, n: int) -> TrainConfig:
    with composing("train") as composer:
        plain = to_plain(composer.compose([f"data.n={n}", f"data.seed={seed}"]))
    return validate(TrainConfig, plain)


def dataset(seed: int, n: int) -> Dataset:
    return load_dataset(options(seed, n).data, None, SIDE)


def tensors(data: Dataset) -> tuple[Tensor, Tensor, Tensor]:
    images_NCHW = (
        torch.from_numpy(data.samples[np.arange(len(data.samples))]).permute(0, 3, 1, 2).float() / 127.5 - 1
    )
    age_N = torch.tensor(data.faces["age"].to_numpy(np.float32))
    gender_N = torch.tensor([GENDERS.index(name) for name in data.faces["gender"]])
    return images_NCHW, age_N, gender_N


def train(trial: Trial, batch: int = 50) -> nn.Module:
    torch.manual_seed(0)
    images_NCHW, age_N, gender_N = tensors(dataset(seed=0, n=trial.faces))
    network = SmallCNN(trial.widths)
    optimizer = torch.optim.Adam(network.parameters())
    steps = trial.epochs * (trial.faces // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(trial.epochs):
        for rows in torch.randperm(trial.faces).split(batch):
            outputs_B3 = network(images_NCHW[rows])
            loss = F.mse_loss(outputs_B3[:, 0], (age_N[rows] - 45) / 25)
            loss = loss + F.cross_entropy(outputs_B3[:, 1:], gender_N[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.inference_mode()
def predict(network: nn.Module, data: Dataset) -> pd.DataFrame:
    images_NCHW, _, _ = tensors(data)
    outputs_N3 = torch.cat([network(part) for part in images_NCHW.split(250)])
    table = data.faces[["id", "age", "age_min", "age_max", "gender"]].copy()
    table["age_pred"] = (outputs_N3[:, 0] * 25 + 45).numpy()
    table["gender_pred"] = [GENDERS[index] for index in outputs_N3[:, 1:].argmax(1).tolist()]
    table["cluster"] = np.arange(len(table))
    return table


if __name__ == "__main__":
    main()

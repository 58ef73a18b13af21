"""The loop that a notebook holds, which the engine is measured against; `benchmark.py` runs it.

python scripts/naive_loop.py CASE_FOLDER SEED RESULT.json

Every epoch opens and decodes every photo in a DataLoader's two workers and changes it with torchvision's
first transforms; the network runs in float32 and in torch's default layout; each step asks three times for
a loss's value. A first phase steps the heads' optimizer alone, while autograd still runs through the
backbone. Nothing here is slowed down by intent, and nothing of the engine is used.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from benchmark_measured import Measured, timed
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from agegender.core.torchvision_shim import import_torchvision

WORKERS = 2
FEMALE, MALE = 0, 1


@dataclass(frozen=True)
class Recipe:
    """What is trained, in the words of a notebook's first cell."""

    model: str
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dropout: tuple[float, float]
    age_mean: float
    age_std: float
    """What the age head's output is counted from and in: years."""
    augmented: bool
    batch_size: int
    epochs: int
    lr: float
    gender_weight: float
    heads_only: bool


class Faces(Dataset[tuple[Tensor, float, int]]):
    """Photos, opened one by one at each use."""

    def __init__(self, table: pd.DataFrame, transform: Any) -> None:
        self.paths = table["path"].tolist()
        self.ages = table["age"].astype(float).tolist()
        self.genders = [FEMALE if gender == "female" else MALE for gender in table["gender"]]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, float, int]:
        image = Image.open(self.paths[index]).convert("RGB")
        return self.transform(image), self.ages[index], self.genders[index]


class ScratchCNNv2(nn.Module):
    """Published Model 2."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in ((3, 32), (32, 64), (64, 128), (128, 256)):
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.stages = nn.Sequential(*layers)
        side = recipe.image_size // 16
        self.neck = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256 * side * side, 512),
            nn.ReLU(),
            nn.Dropout(recipe.dropout[0]),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Dropout(recipe.dropout[1]),
        )

    def forward(self, images_BCHW: Tensor) -> Tensor:
        features_BF: Tensor = self.neck(self.stages(images_BCHW))
        return features_BF


class Network(nn.Module):
    """A backbone, a number for the age, two logits for the gender."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.backbone: nn.Module
        if recipe.model == "resnet34":
            self.backbone = import_torchvision("models").resnet34(weights=None)
            self.backbone.fc = nn.Identity()
            features = 512
        else:
            self.backbone, features = ScratchCNNv2(recipe), 256
        self.age_head = nn.Linear(features, 1)
        self.gender_head = nn.Linear(features, 2)
        self.age_mean, self.age_std = recipe.age_mean, recipe.age_std

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        features_BF = self.backbone(images_BCHW)
        years_B = self.age_head(features_BF).squeeze(1) * self.age_std + self.age_mean
        return years_B, self.gender_head(features_BF)


def transforms(recipe: Recipe, augmented: bool) -> Any:
    v1 = import_torchvision("transforms")
    steps = [v1.Resize((recipe.image_size, recipe.image_size))]
    if augmented:
        steps += [
            v1.RandomHorizontalFlip(),
            v1.RandomRotation(10),
            v1.ColorJitter(brightness=0.2, contrast=0.2),
        ]
    return v1.Compose([*steps, v1.ToTensor(), v1.Normalize(recipe.mean, recipe.std)])


def train(recipe: Recipe, table: pd.DataFrame, network: Network) -> Measured:
    """All epochs; the clock runs from the first batch asked for to the last validation's end."""
    train_faces = Faces(table[table["part"] == "train"], transforms(recipe, recipe.augmented))
    val_faces = Faces(table[table["part"] == "val"], transforms(recipe, False))
    train_loader = DataLoader(train_faces, recipe.batch_size, shuffle=True, num_workers=WORKERS)
    val_loader = DataLoader(val_faces, recipe.batch_size, num_workers=WORKERS)
    heads = [*network.age_head.parameters(), *network.gender_head.parameters()]
    optimizer = torch.optim.Adam(heads if recipe.heads_only else network.parameters(), lr=recipe.lr)
    measured = Measured(seconds=0, epochs_steps=[])
    started = time.perf_counter()
    for _ in range(recipe.epochs):
        network.train()
        if recipe.heads_only:
            network.backbone.eval()  # in train mode its statistics would move: it would not be frozen
        steps: list[float] = []
        loss_sum = age_sum = gender_sum = 0.0
        for images_BCHW, age_B, gender_B in timed(train_loader, steps):
            optimizer.zero_grad()
            years_B, logits_B2 = network(images_BCHW)
            age_loss = F.mse_loss(years_B, age_B.float())
            gender_loss = F.cross_entropy(logits_B2, gender_B)
            loss = age_loss + recipe.gender_weight * gender_loss
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            age_sum += age_loss.item()
            gender_sum += gender_loss.item()
        measured.epochs_steps.append(steps)
        measured.val_age, measured.val_female = validate(network, val_loader)
    measured.seconds = time.perf_counter() - started
    return measured


@torch.no_grad()
def validate(network: Network, loader: DataLoader[Any]) -> tuple[list[float], list[float]]:
    """Years and P(female) of every face."""
    network.eval()
    years: list[float] = []
    female: list[float] = []
    for images_BCHW, _, _ in loader:
        years_B, logits_B2 = network(images_BCHW)
        years += years_B.tolist()
        female += logits_B2.softmax(1)[:, FEMALE].tolist()
    return years, female


def main() -> None:
    folder, seed, result = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    recipe = Recipe(**json.loads((folder / "recipe.json").read_text(encoding="utf-8")))
    table = pd.read_csv(folder / "faces.csv")
    network = Network(recipe)
    network.load_state_dict(load_file(folder / f"weights-{seed}.safetensors"))
    torch.manual_seed(seed)
    train(recipe, table, network).write(result)


if __name__ == "__main__":
    main()

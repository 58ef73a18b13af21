"""The published recipes compose to what the notebook recorded."""

from __future__ import annotations

from typing import Any

import pytest

from agegender.config.compose import composing, to_plain, validate
from agegender.config.schema import TrainConfig
from tests.augmentation import augmentation


def _recipe(number: int) -> dict[str, Any]:
    with composing("train") as composer:
        plain = to_plain(composer.compose([f"experiment=published/model{number}"]))
    validate(TrainConfig, plain)
    return plain


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_all_three_share(number: int) -> None:
    recipe = _recipe(number)
    honest = {"near_duplicates": 0.9, "conflicts": "keep"}  # copies are counted, never moved or left out
    assert recipe["split"] == {"name": "random", "seed": 42, "test_size": 0.2, **honest}
    assert recipe["trainer"]["monitor"] == "age_rmse"
    assert recipe["trainer"]["max_steps"] is None
    assert recipe["age_head"] == {
        "name": "regression", "loss": "mse", "huber_delta": 5.0, "rescale": False,
    }  # fmt: skip
    assert recipe["balancer"] == {"name": "fixed", "diagnose_every": 20}
    assert recipe["loss"]["age_unit"] == "years"
    assert recipe["schedule"]["optimizer"] == "adam"
    assert recipe["schedule"]["weight_decay"] == 0


def test_model_1() -> None:
    recipe = _recipe(1)
    assert recipe["model"] == {"name": "scratch_cnn", "weights": None, "sharing": "hard"}
    assert recipe["data"]["image_size"] == 128
    assert recipe["trainer"]["batch_size"] == 32
    assert recipe["loss"]["lambda"] == 1
    assert TrainConfig.model_validate(recipe).augment.is_off


def test_model_2() -> None:
    recipe = _recipe(2)
    assert recipe["model"] == {
        "name": "scratch_cnn_v2", "weights": None, "sharing": "hard", "dropout": [0.5, 0.3],
    }  # fmt: skip
    assert recipe["data"]["image_size"] == 128
    assert recipe["trainer"]["batch_size"] == 32
    assert recipe["loss"]["lambda"] == 50
    assert recipe["schedule"]["patience"] is None
    (phase,) = recipe["schedule"]["phases"].values()
    assert phase == {"epochs": 30, "trainable": "all", "lr": 1e-4, "lr_heads": None}
    assert TrainConfig.model_validate(recipe).augment.is_off


def test_model_3() -> None:
    recipe = _recipe(3)
    assert recipe["model"] == {"name": "resnet34", "weights": "imagenet", "sharing": "hard"}
    assert recipe["data"]["image_size"] == 224
    assert recipe["trainer"]["batch_size"] == 16
    assert recipe["loss"]["lambda"] == 50
    assert recipe["schedule"]["patience"] == 7
    assert recipe["schedule"]["phases"] == {
        "heads": {"epochs": 5, "trainable": "heads", "lr": 1e-4, "lr_heads": None},
        "all": {"epochs": 25, "trainable": "all", "lr": 1e-5, "lr_heads": None},
    }
    published = {"flip": 0.5, "rotate": 10.0, "brightness": 0.2, "contrast": 0.2}
    assert TrainConfig.model_validate(recipe).augment == augmentation(**published)


def test_a_recipe_takes_another_age_head() -> None:
    with composing("train") as composer:
        plain = to_plain(composer.compose(["experiment=published/model2", "age_head=coral"]))
    assert validate(TrainConfig, plain).age_head.name == "coral"

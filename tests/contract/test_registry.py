"""Every component has one YAML of its name, and every YAML composes into its component."""

from __future__ import annotations

import pytest

from agegender.config.compose import composing, conf_dir, groups, to_plain
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_yaml

EXPECTED = {
    "data": ["csv", "fairface", "mixed", "synthetic", "utkface"],
    "split": ["column", "dedup", "dedup5", "random"],
    "model": [
        "convnext_tiny", "dinov2_s", "efficientnet_lite0", "efficientnet_v2_s", "mobilenet_v3_large",
        "mobilenet_v3_small", "resnet18", "resnet34", "resnet50", "scratch_cnn", "scratch_cnn_v2", "timm",
        "vit_b_16", "vit_s_16",
    ],
    "attention": ["cbam", "eca", "none", "se", "self_attention"],
    "age_head": [
        "bins", "classification", "coral", "corn", "dldl", "gaussian", "mean_variance", "regression",
    ],
    "balancer": [
        "age_only", "aligned_mtl", "cagrad", "dwa", "famo", "fixed", "gender_only", "gradnorm", "gradvac",
        "imtl_g", "imtl_l", "mgda", "nash_mtl", "pcgrad", "rlw", "stch", "uncertainty", "upgrad",
    ],
    "uncertainty": ["mc_dropout", "none", "tta"],
}  # fmt: skip
PRESETS = {"data": {"kaggle_nppe1": "csv"}, "age_head": {"regression_from_zero": "regression"}}


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_yaml_names_are_the_registrys(kind: str) -> None:
    assert registry.names(kind) == EXPECTED[kind]
    presets = PRESETS.get(kind, {})
    assert groups("train")[kind] == sorted([*EXPECTED[kind], *presets])
    for option in groups("train")[kind]:
        assert read_yaml(conf_dir() / kind / f"{option}.yaml")["name"] == presets.get(option, option)


def test_every_option_of_every_group_composes() -> None:
    composed = 0
    with composing("train") as composer:
        for group, options in groups("train").items():
            for option in options:
                composer.compose([f"{group}={option}"])
                composed += 1
    assert composed == 73


def test_a_sweep_preset_is_a_sweep() -> None:
    params = {}
    with composing("train") as composer:
        for option in groups("train")["sweep"]:
            config = composer.compose([f"sweep={option}"])
            assert config.hydra.mode.name == "MULTIRUN"
            params[option] = dict(config.hydra.sweeper.params)
            assert to_plain(config) == to_plain(composer.compose([]))
    balancers = params.pop("balancers")["balancer"].split(",")
    assert balancers[0] == "fixed"
    assert set(registry.names("balancer")) <= set(balancers)
    assert len(set(balancers)) == len(balancers) == 18
    assert params == {
        "folds": {"split.fold": "0,1,2,3,4"},
        "lambda_grid": {"loss.lambda": "1,3,10,30,50,100,300"},
        "seeds": {"seed": "0,1,2,3,4"},
    }


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'resnet34'"):
        registry.find("model", "resnet43")


def test_two_components_of_one_name_are_refused() -> None:
    class Impostor:
        Options = object

    with pytest.raises(ValueError, match="registered twice"):
        registry.register("model", "resnet34")(Impostor)


def test_defaults_are_the_documented_ones() -> None:
    with composing("train") as composer:
        plain = to_plain(composer.compose([]))
    assert plain["loss"]["lambda"] == 50
    assert plain["split"]["name"] == "dedup"
    assert plain["trainer"]["monitor"] == "harmonic_mean"
    assert plain["evaluation"]["rmse_cap"] == 30

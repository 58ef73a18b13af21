"""Path values reach the settings as they were typed, whatever characters they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from agegender.config.compose import composing, to_plain
from agegender.config.inference import EvaluateConfig, PredictConfig
from agegender.config.options import AnyPath, Component, ExistingDir, ExistingFile, ExistingPath, Options
from agegender.config.paths import PATH_KEYS, PATH_LIST_KEYS, quote_paths
from agegender.config.report import ReportConfig
from agegender.config.schema import ResumeOptions, SweepOptions, TrainConfig
from agegender.config.tracking import TrackingOptions
from agegender.core import registry

ODD = [
    "/plain/path",
    "/with blanks/and (brackets) [2024] {x}",
    "/ümläut/ñ/脸",
    '/it\'s/"quoted"',
    "/comma,separated",
    "/dollar/${HOME}/$x",
    "/equals=sign/hash#tag/percent%/at@",
    "back\\slash\\",
    "/trailing blank ",
    "~/Faces",
    "1e5",
    "true",
    "relative/../up",
]


@pytest.mark.parametrize("path", ODD)
def test_a_path_survives_hydra(path: str) -> None:
    with composing("predict") as composer:
        config = composer.compose([quote_paths(f"input={path}", multirun=False)])
        assert config["input"] == path


@pytest.mark.parametrize("path", ODD)
def test_a_path_in_a_mixed_set_survives_hydra(path: str) -> None:
    with composing("train") as composer:
        overrides = ["data=mixed", "+data@data.sources.my-own=csv", f"data.sources.fairface.root={path}"]
        overrides.append(f"data.sources.my-own.csv={path}")
        sources = composer.compose([quote_paths(line, multirun=False) for line in overrides])["data"][
            "sources"
        ]
    assert sources["fairface"]["root"] == sources["my-own"]["csv"] == path


def test_a_quoted_path_keeps_its_comma_in_a_sweep() -> None:
    assert quote_paths("data.root='a,b'", multirun=True) == "data.root='a,b'"
    assert quote_paths("data.root=a,b", multirun=True) == "data.root='a','b'"
    assert quote_paths("data.root=a,b", multirun=False) == "data.root='a,b'"
    assert quote_paths("data.sources.x.csv=a,b", multirun=True) == "data.sources.x.csv='a','b'"
    assert quote_paths("resume=a,b", multirun=True) == "resume='a,b'"
    assert quote_paths("sweep.resume=a,b", multirun=True) == "sweep.resume='a,b'"


def test_a_list_of_paths() -> None:
    with composing("report") as composer:
        config = composer.compose([quote_paths("runs=[a b, c(d), 'e,f']", multirun=False)])
        assert to_plain(config)["runs"] == ["a b", "c(d)", "e,f"]


def test_words_are_no_paths_and_other_keys_are_left_alone() -> None:
    assert quote_paths("model.weights=imagenet", multirun=False) == "model.weights=imagenet"
    assert quote_paths("model.weights=null", multirun=False) == "model.weights=null"
    assert quote_paths("loss.lambda=1,2", multirun=True) == "loss.lambda=1,2"


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = ReportConfig.model_validate({"runs": ["~"], "compare": None, "output": None})
    assert config.runs == [tmp_path]


def _path_fields(schema: type[Options], prefix: str = "") -> set[str]:
    kinds = [str(kind) for kind in (AnyPath, ExistingDir, ExistingFile, ExistingPath)]
    return {
        prefix + name
        for name, field in schema.model_fields.items()
        if "Path" in str(field.annotation) or any(kind in str(field.annotation) for kind in kinds)
    }


def test_every_path_of_the_schema_is_quoted() -> None:
    found = (
        _path_fields(SweepOptions, "sweep.")
        | _path_fields(ResumeOptions)
        | _path_fields(PredictConfig)
        | _path_fields(EvaluateConfig)
        | _path_fields(TrainConfig)
        | _path_fields(TrackingOptions, "tracking.")
    )
    for kind in registry.PACKAGES:
        for name in registry.names(kind):
            options: type[Component] = registry.find(kind, name).Options
            found |= _path_fields(options, f"{kind}.")
    found |= _path_fields(ReportConfig)
    assert found == PATH_KEYS | PATH_LIST_KEYS

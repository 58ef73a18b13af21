"""`agegender-models` as a command."""

from __future__ import annotations

import csv
import io
import json

import pytest

from agegender.core import registry
from agegender.models import hub

from .conftest import Call


def test_one_backbone_as_json(call: Call) -> None:
    done = call("models", "model=scratch_cnn", "format=json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    assert (row["name"], row["input_size"], row["features"]) == ("scratch_cnn", 128, 256)
    assert (row["imagenet"], row["library"]) == ("none", "agegender")
    convolutions = 9 * (3 * 32 * 128**2 + 32 * 64 * 64**2 + 64 * 128 * 32**2)
    assert row["macs"] == convolutions + 128 * 16 * 16 * 256


def test_names_of_timm_as_csv(call: Call) -> None:
    done = call("models", "timm=test_vi*", "format=csv")
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert {"test_vit", "test_vit2"} <= {row["name"] for row in rows}
    assert {row["library"] for row in rows} == {"timm"}


def test_without_timm_the_rest_is_listed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise hub.NeedsTimm("no timm")

    monkeypatch.setattr("agegender.models.timm_net.import_timm", missing)
    done = call("models")
    assert done.code == 0, done.err
    shown = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    ours = [name for name in registry.names("model") if name != "timm"]
    assert set(ours) <= set(shown)
    assert "no timm" in shown["dinov2_s"]
    assert "3.66 G" in shown["resnet34"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model=resnet43"], "resnet43"),
        (["model=timm"], "model.backbone is required"),
        (["timm=nothing"], "timm has no such name"),
        (["timm=*"], "names match, at most 100"),
        (["timm=resnet18", "model=resnet18"], "either model=NAME or timm=PATTERN, not both"),
        (["format=xml"], "format"),
    ],
)
def test_mistakes_cost_a_line(arguments: list[str], said: str, call: Call) -> None:
    done = call("models", *arguments)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1

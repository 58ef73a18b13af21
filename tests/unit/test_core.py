"""Errors, files, seeds and the torchvision door."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agegender.core.errors import unknown
from agegender.core.files import atomic, read_json, read_yaml, remove_halves, write_json, write_yaml
from agegender.core.seeding import stream
from agegender.core.types import InputSpec, LabelSpec


def test_unknown_names_the_nearest_and_the_allowed() -> None:
    text = unknown("key", "lamda", ["lambda", "seed"])
    assert text == "unknown key 'lamda'; did you mean 'lambda'? (known: lambda, seed)"


def test_atomic_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    file = tmp_path / "value.json"
    write_json(file, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(file, {"a": float("nan")})

    def fail() -> None:
        with atomic(file) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert read_json(file) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["value.json"]


def test_a_durable_file_and_what_a_kill_leaves(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    file = tmp_path / "inner" / "value"
    with atomic(file, durable=True) as temporary:
        temporary.write_text("new")
    for name in (".value.123.tmp", "value.123.tmp", ".value.tmp"):
        file.with_name(name).touch()
    remove_halves(tmp_path)
    assert {path.name for path in file.parent.iterdir()} == {"value", "value.123.tmp", ".value.tmp"}


def test_yaml_round_trip(tmp_path: Path) -> None:
    value = {"ümlaut": ["a: b", None, 1e-05, True], "2": {"x": "1e5"}}
    write_yaml(tmp_path / "value.yaml", value)
    assert read_yaml(tmp_path / "value.yaml") == value


def test_streams_depend_on_seed_and_names_alone() -> None:
    first = stream(1, "order", 3).random(4)
    stream(1, "augment", 3).random(100)
    assert np.array_equal(first, stream(1, "order", 3).random(4))
    assert not np.array_equal(first, stream(1, "order", 4).random(4))
    assert not np.array_equal(first, stream(2, "order", 3).random(4))
    assert not np.array_equal(first, stream(1, "augment", 3).random(4))


def test_specs_survive_json() -> None:
    spec = InputSpec(224, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bicubic")
    assert InputSpec.from_dict(spec.to_dict()) == spec
    old = {name: value for name, value in spec.to_dict().items() if name != "interpolation"}
    assert InputSpec.from_dict(old).interpolation == "bilinear"
    label = LabelSpec(0, 120, 33.3, 19.9)
    assert LabelSpec.from_dict(label.to_dict()) == label
    label = replace(label, age_quantiles=(1.0, 30.5, 99.0))
    assert LabelSpec.from_dict(json.loads(json.dumps(label.to_dict()))) == label
    earlier = {key: value for key, value in label.to_dict().items() if key != "age_quantiles"}
    assert LabelSpec.from_dict(earlier) == LabelSpec(0, 120, 33.3, 19.9)


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def test_torchvision_imports_through_the_door() -> None:
    """Whatever build is installed: the operators are declared only where they are missing."""
    done = _python(
        "import torch\n"
        "from agegender.core import torchvision_shim as shim\n"
        "models = shim.import_torchvision('models')\n"
        "print(models.resnet18(weights=None).fc.in_features, hasattr(torch.ops.torchvision, 'nms'))\n"
    )
    assert done.stdout.split() == ["512", "True"], done.stderr


def test_the_door_leaves_a_matching_torchvision_alone() -> None:
    """Where the operators exist, as with a matching build, nothing is declared a second time."""
    done = _python(
        "import torch\n"
        "own = torch.library.Library('torchvision', 'DEF')\n"
        "own.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "own.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "from agegender.core import torchvision_shim as shim\n"
        "def never(): raise AssertionError('declared again')\n"
        "shim._declare_missing_operators = never\n"
        "print(shim.import_torchvision('models').__name__)\n"
    )
    assert done.stdout.strip() == "torchvision.models", done.stderr


def test_a_missing_torchvision_names_its_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from agegender.core import torchvision_shim as shim

    monkeypatch.setitem(sys.modules, "torchvision.nowhere", None)
    with pytest.raises(ImportError, match="pip install torchvision"):
        shim.import_torchvision("nowhere")

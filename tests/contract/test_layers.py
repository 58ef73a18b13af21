"""Imports go down the layers only, and Hydra stays at the door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import agegender

PACKAGE = Path(agegender.__file__).parent

LAYERS = [
    {"cli"},
    {"tuning"},
    {"report", "inference"},
    {"engine"},
    {"evaluation"},
    {"models", "balancing", "data", "tracking"},
    {"config"},
    {"core"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module or ""


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_imports_go_down_only() -> None:
    checked = 0
    for file in _files():
        room = file.relative_to(PACKAGE).parts[0]
        for name in _imports(file):
            parts = name.split(".")
            if parts[0] != "agegender" or len(parts) == 1 or room == "__init__.py":
                continue
            checked += 1
            there = parts[1]
            assert there == room or RANK[there] > RANK[room], f"{file.relative_to(PACKAGE)} imports {name}"
    assert checked > 100


def test_hydra_stays_at_the_door() -> None:
    for file in _files():
        if file.relative_to(PACKAGE).parts[0] in {"cli", "config"}:
            continue
        roots = {name.split(".")[0] for name in _imports(file)}
        assert not roots & {"hydra", "omegaconf"}, file


def test_torchvision_has_one_door() -> None:
    for file in _files():
        assert "torchvision" not in {name.split(".")[0] for name in _imports(file)}, file


def test_every_room_has_its_layer() -> None:
    rooms = {
        folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and (folder / "__init__.py").exists()
    }
    assert rooms == set(RANK)

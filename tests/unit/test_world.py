"""Which rank of how many this process is, as the environment tells it."""

from __future__ import annotations

import pytest

from agegender.core.errors import UserError
from agegender.core.world import World, check_world, current_world, is_first

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
SRUN = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4"}


def _set(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in (*TORCHRUN, *SRUN):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        (TORCHRUN, World(3, 4, 2, "torchrun")),
        ({"RANK": "0", "WORLD_SIZE": "2"}, World(0, 2, 2, "torchrun")),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        (SRUN, World(0, 8, 4, "srun")),
        ({**SRUN, "SLURM_NTASKS": "1"}, None),
        ({name: value for name, value in SRUN.items() if name != "SLURM_STEP_ID"}, None),  # a batch script
        ({**SRUN, **TORCHRUN}, World(3, 4, 2, "torchrun")),  # torchrun inside of a batch job
    ],
)
def test_the_environment_says_it(
    variables: dict[str, str], expected: World | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, variables)
    assert current_world() == expected
    assert is_first() == (expected is None or expected.rank == 0)


def test_settings_must_fit_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, TORCHRUN)
    check_world(2, 2)
    for devices, nodes in ((1, 1), (4, 1), (1, 4)):
        with pytest.raises(UserError, match=r"torchrun started 4 .* trainer.devices=2 trainer.num_nodes=2"):
            check_world(devices, nodes)
    _set(monkeypatch, {})
    check_world(2, 1)
    with pytest.raises(UserError, match=r"trainer.num_nodes=2: .* torchrun or srun"):
        check_world(1, 2)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({**TORCHRUN, "WORLD_SIZE": "many"}, "WORLD_SIZE is 'many'"),
        ({**SRUN, "SLURM_NTASKS_PER_NODE": ""}, "SLURM_NTASKS_PER_NODE is ''"),
        ({name: SRUN[name] for name in list(SRUN)[:3]}, "--ntasks-per-node"),
    ],
)
def test_what_it_says_badly_is_named(
    variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, variables)
    with pytest.raises(UserError, match=words):
        current_world()

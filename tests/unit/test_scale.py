"""The clock of scripts/measure_scale.py: what a stage cost is its own, not that of the stages within it."""

from __future__ import annotations

import mmap
import sys
import time

import pytest
from scale_stages import START, Watch


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_a_stage_has_its_own_time_and_memory() -> None:
    began = time.perf_counter()
    watch = Watch()
    with watch.stage("outer"):
        fresh = mmap.mmap(-1, 2**25, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with watch.stage("inner"):
            fresh.write(b"1" * 2**25)
            time.sleep(0.1)
        time.sleep(0.2)
    found = watch.found()
    start, outer, inner = found.stages
    assert [start.name, outer.name, inner.name] == [START, "outer", "inner"]
    assert inner.seconds >= 0.1
    assert outer.seconds >= 0.2
    assert sum(stage.seconds for stage in found.stages) <= time.perf_counter() - began  # none counts twice
    assert inner.anon >= found.start + 2**25 - 2**20  # the kernel's counters lag a little
    assert found.peak >= inner.anon
    assert outer.file > 0

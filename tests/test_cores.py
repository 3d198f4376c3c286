"""The cores that a process may use."""

import os
import sys

import pytest

from napari_unetseg.cores import usable_cores


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process which cores it may use")
def test_cores_that_a_scheduler_withholds_do_not_count() -> None:
    allowed = os.sched_getaffinity(0)
    assert usable_cores() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_elsewhere_all_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert usable_cores() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1

"""The cores that a process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_unetseg import cores
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has control groups")
@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "max 100000"}, 64),
        ("0::/job/step\n", {"job/cpu.max": "300000 100000", "job/step/cpu.max": "max 100000"}, 3),
        ("0::/job/step\n", {"job/cpu.max": "300000 100000", "job/step/cpu.max": "50000 100000"}, 1),
        ("0::/outside/of/it\n", {"cpu.max": "400000 100000"}, 4),
        ("4:cpu,cpuacct:/job\n", {"cpu/job/cpu.cfs_quota_us": "200000", "cpu/job/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu,cpuacct:/job\n", {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}, 64),
        ("4:cpuset:/job\n", {"cpu/job/cpu.cfs_quota_us": "1000", "cpu/job/cpu.cfs_period_us": "1000"}, 64),
        ("0::/\n", {"cpu.max": "no number"}, 64),
        ("", {}, 64),
    ],
)
def test_the_share_of_a_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], expected: int
) -> None:
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "_OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    assert usable_cores() == expected


# Withholds cores after PyTorch was imported, and asks the runtime in how many threads it computes.
_RUN = """
import os, sys
import numpy as np, torch
torch.set_num_threads(4)
from napari_unetseg import SegmentationService
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
service = SegmentationService(sys.argv[1], device="cpu", backend=sys.argv[2])
service.segment(np.zeros((200, 200), np.uint8))
(loaded,) = service._models.loaded_models
threads = {
    "torch": lambda backend: torch.get_num_threads(),
    "openvino": lambda backend: backend._compiled.get_property("INFERENCE_NUM_THREADS"),
    "onnxruntime": lambda backend: backend._session.get_session_options().intra_op_num_threads,
}
print(threads[sys.argv[2]](loaded.backend))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process which cores it may use")
@pytest.mark.parametrize("backend", ["torch", "openvino", "onnxruntime"])
def test_every_runtime_keeps_to_the_cores_that_there_are_when_a_model_is_loaded(
    bright_model: Path, backend: str
) -> None:
    if backend != "torch":
        pytest.importorskip(backend)
    run = subprocess.run(
        [sys.executable, "-c", _RUN, str(bright_model), backend], capture_output=True, text=True, check=True
    )
    assert run.stdout.split()[-1] == "1"

"""Real limits on a process's memory: what does not fit is divided further, and the user is told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is set as Linux has it")

PROGRAM = """
import json, re, resource, sys
from pathlib import Path
import numpy as np
from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings

side, room_mb, inference = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
sections = {"model": {"device": "cpu", "backend": sys.argv[4]}, "inference": inference}
service = SegmentationService("nuclei", settings=Settings.model_validate({"unet": sections}))
service.segment(np.zeros((64, 64), np.uint8))
y, x = np.mgrid[:side, :side].astype(np.float32)
image = (np.sin(x / 6) * np.sin(y / 6)) ** 2
del x, y
if room_mb:
    held = 1024 * int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    resource.setrlimit(resource.RLIMIT_DATA, (held + room_mb * 2**20,) * 2)
result = service.segment(image)
print(json.dumps({
    "count": result.count,
    "warnings": result.warnings,
    "window": result.provenance.window,
    "steps": service.health(dummy_inference=False).memory_steps,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def segment(side, room_mb, inference=None, backend="torch"):
    """Segment a lattice of that side with `nuclei` in a process that may take so much more memory; 0 for any."""
    line = [sys.executable, "-c", PROGRAM, str(side), str(room_mb), json.dumps(inference or {}), backend]
    run = subprocess.run(line, capture_output=True, text=True, timeout=3600, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(("backend", "window", "room_mb"), [("torch", 2048, 320), ("onnxruntime", 1408, 370)])
def test_under_a_memory_cap_an_image_still_finishes_and_the_steps_are_told(backend, window, room_mb):
    if backend == "onnxruntime":
        pytest.importorskip("onnxruntime")
    free = segment(window - 8, 0, {"window": window}, backend)
    capped = segment(window - 8, room_mb, {"window": window}, backend)
    assert (free["steps"], free["warnings"], free["window"]) == ([], [], window)
    assert capped["window"] < window
    assert capped["steps"][0] == f"Memory ran out; went on with tiles of {window // 2} pixels."
    assert capped["warnings"] == capped["steps"]
    assert capped["count"] == free["count"] > 100


@pytest.mark.nightly
def test_a_large_image_needs_less_than_4_gb():
    assert segment(4096, 0)["peak_mb"] < 4000


@pytest.mark.nightly
def test_under_a_memory_cap_a_large_image_still_finishes():
    capped = segment(4096, 1200, {"window": 4096})
    assert capped["steps"][0] == "Memory ran out; went on with tiles of 2048 pixels."
    assert capped["warnings"] == capped["steps"]
    assert capped["window"] <= 2048
    assert capped["count"] > 10_000

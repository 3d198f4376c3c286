"""What `benchmarks/gpu.py` tells where parts fail, and that its sliding window is one."""

import importlib
import importlib.util
import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts import one another by bare names, which must not stay in the way of other tests."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(BENCHMARKS)])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or ".").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.fixture
def gpu(benchmarks: None) -> ModuleType:
    return importlib.import_module("gpu")


@pytest.fixture
def gpu_peers(benchmarks: None) -> ModuleType:
    return importlib.import_module("gpu_peers")


def test_an_installed_library_comes_before_its_stand_in_and_before_scripts(benchmarks: None) -> None:
    sys.path.insert(0, str(BENCHMARKS))
    importlib.import_module("lean").use_stand_ins()
    for name in ("yaml", "psutil", "safetensors", "click"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert not Path(spec.origin or "").is_relative_to(BENCHMARKS)
    assert importlib.util.find_spec("gpu_service") is not None


TASK = {"sizes": [64], "batch": 3, "many": 5, "side": 32}


def test_a_row_says_how_many_times_better_ours_is(gpu: ModuleType) -> None:
    found: dict[str, Any] = {
        "ours": {"batch": {"images_per_s": 60.0}, "one": {"ms": 5.0}},
        "before": {"batch": {"images_per_s": 20.0}, "one": {"failed": "it broke"}},
        "peers": {"plain": {"images_per_s": 30.0, "one_ms": 10.0}},
    }
    batch, one, large, many = gpu.rows(TASK, found)
    assert (batch["to_before"], batch["to_peer"]) == (3.0, 2.0)
    assert (one["to_before"], one["to_peer"]) == (None, 2.0)
    assert large["ours"] is None
    assert many["to_before"] is None


def test_the_text_names_what_was_not_measured(gpu: ModuleType) -> None:
    sides: dict[str, Any] = {"ours": {"one": {"failed": "no such device"}}, "before": {}, "peers": {}}
    machine = {"processor": "a processor", "date": "today", "cores": 2, "load": 0.1, "python": "3", "versions": {}}
    found = {"machine": machine, "card": {"name": "a card"}, "rows": gpu.rows(TASK, sides), "seconds": 3.0, **sides}
    text = gpu.as_text({**found, "dice_to_plain": None})
    assert "a card, today" in text
    assert "**Not measured**: ours, one: no such device" in text


def test_a_process_that_ends_early_leaves_what_it_told(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.dumps({"part": "start", "load_s": 1.0, "file": str(ROOT / "src" / "napari_unetseg" / "__init__.py")})
    script = tmp_path / "process.py"
    script.write_text(f"import sys\nprint({told!r})\nsys.exit('memory is out')\n", encoding="utf-8")
    monkeypatch.setattr(gpu, "SERVICE", script)
    run = gpu.Run(Namespace(seconds=60, quick=True, device="cpu", only=["start", "one", "large"]), tmp_path)
    run.service("ours", ROOT, ("start", "one"), run.task, 30)
    assert run.found["ours"]["start"]["load_s"] == 1.0
    assert run.found["ours"]["one"]["failed"] == "the process ended (1). memory is out"


def test_another_checkout_than_the_asked_for_is_refused(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "process.py"
    script.write_text(f"print({json.dumps({'part': 'start', 'file': '/elsewhere/__init__.py'})!r})\n", encoding="utf-8")
    monkeypatch.setattr(gpu, "SERVICE", script)
    run = gpu.Run(Namespace(seconds=60, quick=True, device="cpu", only=["start"]), tmp_path)
    with pytest.raises(SystemExit, match="elsewhere"):
        run.service("ours", ROOT, ("start",), run.task, 30)


def test_without_a_card_it_says_so(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    line = [sys.executable, str(BENCHMARKS / "gpu.py"), "--results", str(tmp_path)]
    run = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1
    assert "PyTorch finds no NVIDIA GPU here" in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(50, 70), (16, 40), (33, 33), (9, 11)])
def test_a_sliding_window_covers_every_pixel(gpu_peers: ModuleType, shape: tuple[int, int]) -> None:
    seen = []

    def double(parts: torch.Tensor) -> torch.Tensor:
        seen.append(parts.shape)
        return 2 * parts[:, :1]

    image = torch.arange(3 * shape[0] * shape[1], dtype=torch.float32).reshape(1, 3, *shape)
    torch.testing.assert_close(gpu_peers.slide(image, 16, double), 2 * image[:, :1])
    assert {tuple(part[2:]) for part in seen} == {(min(16, shape[0]), min(16, shape[1]))}
    assert max(part[0] for part in seen) <= gpu_peers.AT_ONCE


def test_windows_of_a_sliding_window_overlap_by_a_quarter(gpu_peers: ModuleType) -> None:
    assert gpu_peers._starts(40, 16) == [0, 12, 24]
    assert gpu_peers._starts(41, 16) == [0, 12, 24, 25]
    assert gpu_peers._starts(16, 16) == [0]

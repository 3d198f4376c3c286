"""`napari-unetseg benchmark` measures, chooses, saves and stops when told."""

import json
import signal
import subprocess
import sys

import pytest

from napari_unetseg.benchmark import measuring
from napari_unetseg.service.machine_profile import TunedBatch, cpu_name, profile_path, read_profile
from napari_unetseg.zoo.registry import find_model


@pytest.fixture
def small(monkeypatch):
    """Measure small windows, and in this process, so that it takes a moment only."""
    monkeypatch.setattr(measuring, "QUICK_WINDOWS", (64,))
    monkeypatch.setattr(measuring, "BANDED_WINDOW", 128)
    monkeypatch.setattr(measuring, "QUICK_REPEATS", 2)


@pytest.fixture(autouse=True)
def without_profile():
    yield
    profile_path().unlink(missing_ok=True)


def test_json(call, bright_model, small):
    run = call("benchmark", bright_model, "--quick", "--device", "cpu", "--json", "--save")
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    sha256 = find_model(bright_model).card.weights.sha256
    assert {key: report[key] for key in ("model", "weights_sha256", "device", "device_name", "backend")} == {
        "model": "bright",
        "weights_sha256": sha256,
        "device": "cpu",
        "device_name": cpu_name(),
        "backend": "torch",
    }
    assert (report["precision"], report["interrupted"], report["cpu_megapixels_per_s"]) == ("float32", False, None)
    sizes = [(one["window"], one["batch_size"]) for one in report["measurements"]]
    assert sizes == [(64, 1), (64, 2), (128, 1), (128, 2)]
    assert report["left_out"] == []
    for one in report["measurements"]:
        assert set(one) == {
            *("window", "batch_size", "runs", "latency_p50_ms", "latency_p95_ms"),
            *("megapixels_per_s", "tiles_per_s", "peak_memory_mb", "over_cpu"),
        }
        assert (one["runs"], one["over_cpu"]) == (2, None)
        assert 0 < one["latency_p50_ms"] <= one["latency_p95_ms"]
        assert one["peak_memory_mb"] > 0
    assert report["saved_to"] == str(profile_path())
    assert read_profile(cpu_name(), sha256) == TunedBatch(**report["chosen"])


def test_table_and_picture(call, bright_model, small, tmp_path):
    picture = tmp_path / "new" / "figures.png"
    run = call("benchmark", bright_model, "--quick", "--device", "cpu", "--plot", picture)
    assert run.exit_code == 0, run.output
    lines = run.stdout.splitlines()
    assert lines[0] == f"bright on {cpu_name()}, torch, float32"
    assert " ".join(lines[2].split()) == "window batch p50 ms p95 ms megapixels/s tiles/s memory MiB"
    assert [line.split()[:2] for line in lines[3:7]] == [["64", "1"], ["64", "2"], ["128", "1"], ["128", "2"]]
    (marked,) = [line for line in lines[3:7] if line.endswith("*")]
    window, batch = marked.split()[:2]
    assert lines[8].startswith(f"Chosen (*): batch size {batch}, at most 2; window {window}, at most 128.")
    assert "--save" in lines[9]
    assert "Trying 1 x 64 x 64 pixels" in run.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not profile_path().exists()


def test_a_gpu_is_compared_with_the_cpu(call, bright_model, small, monkeypatch):
    monkeypatch.setattr("napari_unetseg.cli.benchmark_report._is_gpu", lambda _: True)
    run = call("benchmark", bright_model, "--quick", "--device", "cpu", "--json")
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    cpu = report["cpu_megapixels_per_s"]
    assert cpu > 0
    for one in report["measurements"]:
        assert one["over_cpu"] == pytest.approx(one["megapixels_per_s"] / cpu)


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("nothing_of_this_name",), "There is no model 'nothing_of_this_name'"),
        (("--device", "abacus"), "There is no device 'abacus'"),
        (("--backend", "tensorflow"), "There is no backend 'tensorflow'"),
        (("--plot", "figures.pdf"), "must end in .png"),
    ],
)
def test_what_cannot_be_measured_is_said(call, words, reported):
    run = call("benchmark", *words)
    assert run.exit_code in (1, 2)
    assert reported in run.stderr
    assert run.stdout == ""


def test_missing_matplotlib_is_said_before_measuring(call, bright_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run = call("benchmark", bright_model, "--plot", "figures.png")
    assert run.exit_code == 1
    assert "napari-unetseg[train]" in run.stderr
    assert "Trying" not in run.stderr


def test_too_little_memory_for_anything(call, bright_model, small, monkeypatch):
    monkeypatch.setattr(measuring, "total_memory", lambda _: 2)
    run = call("benchmark", bright_model, "--quick", "--device", "cpu", "--save")
    assert run.exit_code == 1
    assert "too little memory" in run.stderr
    assert "Left out: 1 x 64, needs" in run.stdout
    assert not profile_path().exists()


@pytest.fixture
def heeding_interrupts():
    """Let started processes heed SIGINT even where this one was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_leaves_the_figures_so_far_and_saves_nothing(command, bright_model, heeding_interrupts):
    line = [*command, "benchmark", str(bright_model), "--quick", "--device", "cpu", "--json", "--save"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for reported in process.stderr:
            if reported.startswith("Turn 2"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert report["interrupted"] is True
    assert len(report["measurements"]) > 0
    assert all(1 <= one["runs"] <= 2 for one in report["measurements"])
    assert report["saved_to"] is None
    assert not profile_path().exists()
    assert "Interrupted" in err
    assert "Traceback" not in err

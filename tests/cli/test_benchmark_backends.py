"""`napari-unetseg benchmark --backends` compares every way of computing a model, each in processes of its own."""

import json

import pytest

from napari_unetseg.benchmark.backend_comparison import CONFIGURATIONS
from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.zoo.registry import find_model


@pytest.fixture
def few_ways(monkeypatch):
    """Plain PyTorch, one backend, and a way that this model was not prepared for: each costs a process."""
    for configuration in set(CONFIGURATIONS) - {"plain", "torch:float32", "openvino:int8"}:
        monkeypatch.delitem(CONFIGURATIONS, configuration)


def test_table(call, bright_model, save_squares, few_ways, tmp_path):
    save_squares(tmp_path / "squares.tif")
    run = call("benchmark", bright_model, "--backends", "--quick", "--size", 48, "--image", tmp_path / "squares.tif")
    assert run.exit_code == 0, run.output
    lines = run.stdout.splitlines()
    assert lines[0] == f"bright on {cpu_name()}, one window of 48 x 48 pixels"
    assert lines[2].split() == ["way", "s", "a", "window", "times", "as", "fast", "Dice"]
    assert lines[3].split()[-2:] == ["1.00", "1.0000"]
    assert lines[4].startswith("torch, float32")
    assert "1.0000" in lines[4].split()
    assert lines[6].startswith("Medians of 3 runs.")
    assert lines[7].startswith("Not possible here: openvino, int8: ")
    assert lines[8].startswith("auto (*) takes ")
    assert "Round 1 of 1: PyTorch alone, float32" in run.stderr


def test_json(call, bright_model, few_ways):
    run = call("benchmark", bright_model, "--backends", "--quick", "--size", 48, "--json")
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert {key: report[key] for key in ("model", "weights_sha256", "device_name", "side", "interrupted")} == {
        "model": "bright",
        "weights_sha256": find_model(bright_model).card.weights.sha256,
        "device_name": cpu_name(),
        "side": 48,
        "interrupted": False,
    }
    plain, ours, int8 = report["ways"]
    assert (plain["way"], plain["runs"], plain["times_as_fast"], plain["dice"]) == ("plain", 3, 1, 1)
    assert ours["dice"] == pytest.approx(1, abs=1e-3)
    assert ours["times_as_fast"] == pytest.approx(plain["seconds"] / ours["seconds"])
    assert (int8["seconds"], int8["dice"], int8["runs"]) == (None, None, 0)
    assert int8["impossible"]
    assert ours["impossible"] is None
    assert [one["auto"] for one in report["ways"]] == [
        one["way"] == f"{report['auto']['backend']}:{report['auto']['precision']}" for one in report["ways"]
    ]


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("--backends", "--save"), "means nothing with --backends"),
        (("--backends", "--precision", "float32"), "means nothing with --backends"),
        (("--size", "64"), "means nothing without --backends"),
        (("nothing_of_this_name", "--backends"), "There is no model 'nothing_of_this_name'"),
        (("--backends", "--image", __file__), "test_benchmark_backends.py"),
    ],
)
def test_what_cannot_be_compared_is_said_at_once(call, words, reported):
    run = call("benchmark", *words)
    assert run.exit_code in (1, 2)
    assert reported in " ".join(run.stderr.replace("│", " ").split())
    assert "Round" not in run.stderr
    assert run.stdout == ""

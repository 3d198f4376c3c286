import numpy as np
import pytest

from napari_unetseg.benchmark import backend_comparison
from napari_unetseg.benchmark.backend_comparison import BackendComparison, BackendResult, dice, time_backends


def test_dice_of_known_masks():
    one = np.array([[True, True, False, False]])
    assert dice(one, one) == 1
    assert dice(one, np.array([[False, True, True, False]])) == 0.5
    assert dice(one, ~one) == 0
    assert dice(~one & one, ~one & one) is None


def test_speed_and_dice_are_in_relation_to_the_first_way():
    mask = np.array([[True, False]])
    first = BackendResult("plain", [4.0, 2.0, 3.0], mask)
    other = BackendResult("torch:float32", [1.0, 1.5, 2.0], mask)
    missing = BackendResult("openvino:int8", impossible="It is not installed.")
    comparison = BackendComparison((first, other, missing), interrupted=False)
    assert comparison.measured == (first, other)
    assert (comparison.speed(first), comparison.speed(other)) == (1, 2)
    assert (comparison.dice(other), comparison.dice(missing)) == (1, None)
    without_first = BackendComparison((BackendResult("plain"), other), interrupted=True)
    assert (without_first.speed(other), without_first.dice(other)) == (None, None)


def test_rounds_go_back_and_forth_and_leave_out_what_is_impossible(monkeypatch, tmp_path):
    monkeypatch.setattr(backend_comparison, "CONFIGURATIONS", {configuration: configuration for configuration in "abc"})
    order = []

    def run(result, model, image, side, freed):
        order.append(result.configuration)
        if result.configuration == "b":
            result.impossible = "No."
        result.seconds.append(1.0)

    monkeypatch.setattr(backend_comparison, "_run", run)
    time_backends(tmp_path, tmp_path, 8, rounds=3)
    assert order == [*"abc", *"ca", *"ac"]


def test_ctrl_c_leaves_what_was_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(backend_comparison, "CONFIGURATIONS", {configuration: configuration for configuration in "ab"})

    def run(result, model, image, side, freed):
        if result.configuration == "b":
            raise KeyboardInterrupt
        result.seconds.append(1.0)

    monkeypatch.setattr(backend_comparison, "_run", run)
    comparison = time_backends(tmp_path, tmp_path, 8, rounds=1)
    assert comparison.interrupted
    assert [one.configuration for one in comparison.measured] == ["a"]


def test_a_process_that_fails_makes_its_way_impossible_and_no_other(bright_model, tmp_path, monkeypatch):
    monkeypatch.setattr(backend_comparison, "CONFIGURATIONS", {"plain": "plain"})
    (result,) = time_backends(bright_model, tmp_path / "missing.npy", 16, rounds=1).results
    assert result.impossible.startswith("its process ended with status 1: ")
    assert "missing.npy" in result.impossible
    assert result.seconds == []


@pytest.mark.parametrize("keeps_memory", [True, False])
def test_torch_keeps_memory_only_as_the_settings_say(bright_model, tmp_path, monkeypatch, keeps_memory):
    from napari_unetseg.benchmark.backend_process import probe
    from napari_unetseg.inference.backends import make_backend

    kept = []
    monkeypatch.setattr(make_backend, "keep_freed_memory", lambda: kept.append(True))
    np.save(tmp_path / "image.npy", np.eye(32, dtype=np.float32))
    words = (str(bright_model), "torch:float32", str(tmp_path / "image.npy"), 32, 1, str(tmp_path / "mask.npy"))
    probe(*words, keeps_memory=keeps_memory)
    assert kept == [True] * keeps_memory


@pytest.mark.parametrize(("keeps_memory", "word"), [(True, "keep"), (False, "return")])
def test_processes_are_told_whether_to_keep_memory(tmp_path, monkeypatch, keeps_memory, word):
    monkeypatch.setattr(backend_comparison, "CONFIGURATIONS", {"torch:float32": "torch"})
    reported = []
    monkeypatch.setattr(backend_comparison, "_run", lambda *words: reported.append(words[-1]))
    time_backends(tmp_path, tmp_path, 8, rounds=1, keeps_memory=keeps_memory)
    assert reported == [word]


@pytest.mark.parametrize(("side", "shape"), [(40, (40, 40)), (41, (41, 41))])
def test_masks_are_the_windows_bright_pixels(bright_model, tmp_path, side, shape):
    from napari_unetseg.benchmark.backend_process import probe

    image = np.zeros((24, 64), np.float32)
    image[5:15, 8:20] = 1
    np.save(tmp_path / "image.npy", image)
    reported = probe(str(bright_model), "plain", str(tmp_path / "image.npy"), side, 2, str(tmp_path / "mask.npy"))
    assert len(reported["seconds"]) == 2
    mask = np.load(tmp_path / "mask.npy")
    assert mask.shape == shape
    expected = np.pad(image, [(0, side - 24), (0, 0)], mode="symmetric")[:, :side] > 0.5
    assert np.array_equal(mask, expected)

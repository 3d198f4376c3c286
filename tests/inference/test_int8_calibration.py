import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, NotCalibrated, ParameterError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.inference import int8_calibration
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.openvino import int8_store, network_conversion, openvino_backend
from napari_unetseg.inference.backends.openvino.int8_store import Calibration, find_calibration, quantised_model
from napari_unetseg.inference.backends.openvino.network_conversion import read, save
from napari_unetseg.inference.backends.openvino.openvino_backend import OpenVinoBackend
from napari_unetseg.inference.int8_calibration import KEPT, MAX_WINDOWS, _compare, _convolutions, _Sample, calibrate

pytest.importorskip("nncf")

CPU = Device("cpu", "Tests run on the CPU.")


@pytest.fixture(scope="module")
def image():
    return Image.of(np.random.default_rng(0).random((64, 80, 3)).astype(np.float32), name="noise")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(network_conversion, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def unquantised(monkeypatch):
    """Let the process give the model back in float32; return its recipes."""
    recipes = []

    def quantise(work, model, kept, cancel):
        recipes.append(tuple(kept))
        save(read(model), work)

    monkeypatch.setattr(int8_calibration, "_quantise", quantise)
    # What is not in int8 would be, and bfloat16 moves some of the pixels of random weights.
    monkeypatch.setattr(openvino_backend, "computes_bfloat16", lambda: False)
    return recipes


def test_a_model_comes_into_int8_and_stays_close_to_itself(make, image, cache, monkeypatch):
    # Real, and so some seconds long: the process, NNCF, and OpenVINO's arithmetic. Random weights on noise have many
    # pixels next to the threshold.
    monkeypatch.setattr(int8_store, "MIN_DICE", 0.9)
    card, counts = make.card(), []
    calibration = calibrate(make.network((8, 8, 8)), card, [image], progress=lambda *count: counts.append(count))
    assert calibration == find_calibration(card)
    assert calibration.accepted, calibration
    assert 0.9 <= calibration.dice < 1
    assert counts[0] == (1, 2)
    assert counts[-1][0] == counts[-1][1]
    assert (calibration.images, calibration.worst_image, calibration.windows) == (("noise",), "noise", 1)
    assert (calibration.in_int8, calibration.layers) == (11, 13)
    assert set(calibration.versions) == {"napari-unetseg", "openvino", "nncf"}
    file = quantised_model(card)
    kinds = [node.get_type_name() for node in read(file).get_ops()]
    assert kinds.count("FakeQuantize") >= calibration.in_int8
    backend = OpenVinoBackend(file, make.network((8, 8, 8)), card.outputs, CPU, precision="int8")
    assert backend.precision == "int8"
    batch = np.random.default_rng(1).random((1, 3, 64, 80), dtype=np.float32)
    expected = make.backend(make.network((8, 8, 8))).run(batch)
    assert 1e-4 < np.abs(backend.run(batch) - expected).max() < 0.2


def test_a_good_one_is_kept_with_what_is_known_of_it(make, image, cache, unquantised):
    card = make.card()
    with pytest.raises(NotCalibrated, match=r"export tiny --int8 --calibrate FOLDER"):
        quantised_model(card)
    calibration = calibrate(make.network(), card, [image, image])
    assert (calibration.dice, calibration.worst_dice) == (1, 1)
    assert "Dice of 1.0000 (2 images)" in calibration.outcome
    assert len(unquantised) == 1
    folder = quantised_model(card).parent
    assert sorted(path.name for path in folder.iterdir()) == ["calibration.json", "model.bin", "model.xml"]
    reported = json.loads((folder / "calibration.json").read_text())
    assert (reported["dice"], reported["images"], reported["weights_sha256"]) == (
        1,
        ["noise", "noise"],
        card.weights.sha256,
    )
    other = card.model_copy(update={"weights": card.weights.model_copy(update={"sha256": "1" * 64})})
    assert find_calibration(other) is None


def test_a_bad_one_is_refused_after_every_trial_and_replaces_a_good_one(make, image, cache, unquantised, monkeypatch):
    card = make.card()
    calibrate(make.network(), card, [image])
    monkeypatch.setattr(int8_store, "MIN_DICE", 1.5)
    calibration = calibrate(make.network(), card, [image])
    assert not calibration.accepted
    assert len(unquantised) == 1 + len(KEPT)
    with pytest.raises(UnetsegError, match=r"tiny is not used in int8: .* only to a Dice of 1\.0000 \(noise\)"):
        quantised_model(card)
    assert [path.name for path in network_conversion.folder_for(card, "int8").iterdir()] == ["calibration.json"]


def test_each_trial_leaves_more_layers_at_both_ends_as_they_are(make, image, cache, unquantised, monkeypatch):
    monkeypatch.setattr(int8_store, "MIN_DICE", 1.5)
    card = make.card()
    calibrate(make.network(), card, [image])
    layers = _convolutions(network_conversion.cached_model(make.network(), card))
    assert unquantised[0] == tuple(sorted((layers[0], layers[-1])))
    assert [len(kept) for kept in unquantised] == [2, 4, 6]
    assert all(set(kept) < set(more) for kept, more in pairwise(unquantised))


def test_a_cancel_stops_the_process_and_keeps_nothing(make, image, cache, monkeypatch):
    started = []

    class Process(subprocess.Popen):
        def __init__(self, line, **options):
            super().__init__([sys.executable, "-c", "import time; time.sleep(600)"], **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Process)
    with pytest.raises(Cancelled):
        calibrate(make.network(), make.card(), [image], cancel=lambda: bool(started))
    assert [process.returncode is not None for process in started] == [True]
    assert find_calibration(make.card()) is None


def test_what_the_process_complains_of_is_told(make, image, cache, monkeypatch):
    class Process(subprocess.Popen):
        def __init__(self, line, **options):
            super().__init__([sys.executable, "-c", "raise ImportError('no NNCF here.')"], **options)

    monkeypatch.setattr(subprocess, "Popen", Process)
    with pytest.raises(UnetsegError, match="could not be brought into int8: ImportError: no NNCF here\\. Choose"):
        calibrate(make.network(), make.card(), [image])


def test_without_images_there_is_nothing_to_go_by(make):
    with pytest.raises(ParameterError, match="at least one image"):
        calibrate(make.network(), make.card(), [])


def test_dice_counts_the_pixels_of_all_images_together(make):
    def mask(*places):
        result = np.zeros((4, 4), bool)
        result.flat[list(places)] = True
        return result

    images = [Image.of(np.zeros((4, 4)), name=name) for name in "abc"]
    expected, masks = [mask(0, 1, 2), mask(0), mask()], [mask(1, 2, 3), mask(0), mask()]
    calibration = _compare(make.card(), images, expected, masks, windows=5, in_int8=3, layers=4)
    assert calibration.dice == (2 * 3) / (3 + 3 + 1 + 1)
    assert (calibration.worst_image, calibration.worst_dice) == ("a", 2 * 2 / 6)
    assert not calibration.accepted
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


def test_windows_are_drawn_evenly_from_all_that_come(tmp_path):
    sample = _Sample(tmp_path / "windows")
    for number in range(4000):
        sample.offer(np.full((1, 1, 1), number, np.float32))
    numbers = sorted(int(np.load(path)[0, 0, 0, 0]) for path in (tmp_path / "windows").glob("*.npy"))
    assert len(set(numbers)) == sample.count == MAX_WINDOWS
    assert 1500 < np.mean(numbers) < 2500
    assert numbers[0] < 500
    assert numbers[-1] > 3500

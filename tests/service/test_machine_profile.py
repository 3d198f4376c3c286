"""The profile of measured sizes on disk, and the names of the devices that it knows."""

import json

import numpy as np
import pytest

from napari_unetseg import Image
from napari_unetseg.config import Settings
from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.inference.backends.selection import BackendRequest
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.service import machine_profile
from napari_unetseg.service.machine_profile import TunedBatch, device_name, profile_path, read_profile, write_profile
from napari_unetseg.zoo.registry import find_model

SIZE = TunedBatch(batch_size=4, max_batch_size=16, window=768, max_window=1536)
OTHER = TunedBatch(batch_size=1, max_batch_size=1)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_profile, "user_data_path", lambda *_, **__: tmp_path / "data")


def test_what_was_saved_is_read_back():
    assert read_profile("a GPU", "ab12") is None
    assert write_profile("a GPU", "ab12", SIZE) == profile_path()
    assert read_profile("a GPU", "ab12") == SIZE
    assert [path.name for path in profile_path().parent.iterdir()] == ["tuning.json"]


def test_device_model_and_runtime_are_kept_apart():
    write_profile("a GPU", "ab12", SIZE)
    write_profile("a CPU", "ab12", OTHER)
    write_profile("a GPU", "cd34", OTHER)
    write_profile("a GPU", "ab12", OTHER, "onnxruntime")
    assert read_profile("a GPU", "ab12") == SIZE
    assert read_profile("a CPU", "ab12") == OTHER
    assert read_profile("a GPU", "cd34") == OTHER
    assert read_profile("a GPU", "ab12", "onnxruntime") == OTHER
    assert read_profile("a CPU", "cd34") is None
    assert read_profile("a CPU", "ab12", "onnxruntime") is None


def test_a_second_measurement_replaces_the_first():
    write_profile("a GPU", "ab12", SIZE)
    write_profile("a GPU", "ab12", OTHER)
    assert read_profile("a GPU", "ab12") == OTHER


def damage(**size):
    return json.dumps({"format": 1, "sizes": {"a GPU": {"ab12": {"torch": size}}}})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"format": 1, "sizes": {"a GPU"',
        b"\xff\xfe\x00",
        b"[]",
        b'{"format": 2}',
        damage(batch_size=0, max_batch_size=4).encode(),
        damage(batch_size=8, max_batch_size=4).encode(),
        damage(batch_size="many", max_batch_size=4).encode(),
    ],
)
def test_a_damaged_file_is_ignored_with_a_warning_and_replaced(content, caplog):
    profile_path().parent.mkdir()
    profile_path().write_bytes(content)
    assert read_profile("a GPU", "ab12") is None
    (warning,) = caplog.messages
    assert str(profile_path()) in warning
    assert "benchmark --save" in warning
    write_profile("a GPU", "ab12", SIZE)
    assert read_profile("a GPU", "ab12") == SIZE


def test_a_file_that_cannot_be_opened_is_ignored_with_a_warning(caplog):
    profile_path().mkdir(parents=True)
    assert read_profile("a GPU", "ab12") is None
    assert str(profile_path()) in caplog.text


# Halos are 10 pixels: 196 = 20 + 4 x (64 - 20) = 20 + 2 x (108 - 20).
def how_it_runs(model, settings=None, backend="torch"):
    """Window and batch sizes with which a service's runtime runs an image of 196 x 196 pixels on the CPU."""
    from napari_unetseg.service.loaded_model import load_model

    done = [0]
    backend_request = BackendRequest(backend, "float32")
    loaded_model = load_model(find_model(model), settings or Settings(), device="cpu", backend_request=backend_request)
    image = Image(np.arange(196 * 196, dtype=np.float32).reshape(196, 196))
    prediction = loaded_model.predict(image, PredictOptions(progress=lambda n, _total: done.append(n)))
    loaded_model.close()
    return prediction.window, np.diff(done).max()


def test_the_service_runs_as_was_measured(bright_model):
    sha256 = find_model(bright_model).card.weights.sha256
    assert how_it_runs(bright_model) == (196, 1)
    write_profile("another processor", sha256, TunedBatch(batch_size=2, max_batch_size=2, window=96))
    assert how_it_runs(bright_model) == (196, 1)
    write_profile(cpu_name(), sha256, TunedBatch(batch_size=3, max_batch_size=4, window=64))
    assert how_it_runs(bright_model) == (64, 3)
    assert how_it_runs(bright_model, backend="onnxruntime") == (196, 1)


def test_a_setting_goes_before_what_was_measured(bright_model):
    sha256 = find_model(bright_model).card.weights.sha256
    write_profile(cpu_name(), sha256, TunedBatch(batch_size=3, max_batch_size=4, window=64))
    batch = Settings(unet={"inference": {"batch_size": 2}})
    assert how_it_runs(bright_model, batch) == (64, 2)
    window = Settings(unet={"inference": {"window": 108}})
    assert how_it_runs(bright_model, window) == (108, 3)


def test_a_damaged_profile_leaves_the_defaults(bright_model):
    profile_path().parent.mkdir()
    profile_path().write_text("{", encoding="utf-8")
    assert how_it_runs(bright_model) == (196, 1)


def test_a_device_is_named_after_its_hardware(monkeypatch):
    assert device_name("cpu") == cpu_name()
    assert cpu_name() in device_name("mps") != cpu_name()
    monkeypatch.setattr("torch.cuda.get_device_name", {"cuda": "NVIDIA One", "cuda:1": "NVIDIA Two"}.__getitem__)
    assert (device_name("cuda"), device_name("cuda:1")) == ("NVIDIA One", "NVIDIA Two")

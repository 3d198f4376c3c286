"""What a server does before it is ready."""

import logging
import threading

import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.errors import ModelError, NotCalibrated, OutOfMemory
from napari_unetseg.server import startup
from napari_unetseg.server.startup import Startup, measure_batch_size
from napari_unetseg.service.machine_profile import device_name, read_profile
from napari_unetseg.zoo.registry import find_model


@pytest.fixture
def own_profile(tmp_path, monkeypatch):
    """No sizes measured on this machine by other tests."""
    monkeypatch.setattr("napari_unetseg.service.machine_profile.profile_path", lambda: tmp_path / "tuning.json")


@pytest.mark.usefixtures("own_profile")
def test_the_batch_size_is_measured_once_and_kept(bright_model, monkeypatch, caplog):
    package, settings = find_model(bright_model), Settings(unet={"model": {"device": "cpu", "backend": "torch"}})
    with caplog.at_level(logging.INFO, "napari_unetseg"):
        measure_batch_size(package, settings)
    kept = read_profile(device_name("cpu"), package.card.weights.sha256)
    assert kept.batch_size in (1, 2)
    assert f"batch size of bright on {device_name('cpu')}: {kept.batch_size}" in caplog.text
    monkeypatch.setattr("napari_unetseg.benchmark.benchmarked_model.load_benchmarked_model", None)
    measure_batch_size(package, settings)  # knows it


@pytest.mark.usefixtures("own_profile")
def test_a_network_that_is_slow_is_given_one_tile_at_once(bright_model, monkeypatch):
    monkeypatch.setattr(startup, "SLOW_S", 0.0)
    package, settings = find_model(bright_model), Settings(unet={"model": {"device": "cpu", "backend": "torch"}})
    measure_batch_size(package, settings)
    kept = read_profile(device_name("cpu"), package.card.weights.sha256)
    assert (kept.batch_size, kept.max_batch_size) == (1, 1)


@pytest.fixture
def make(bright_model, monkeypatch):
    """Make what loads a model, where loading it does this."""
    made = []

    def of(load, **server) -> Startup:
        settings = Settings(server={"measure_batch": False, **server})
        made.append(SegmentationService(bright_model, "cpu", settings=settings))
        monkeypatch.setattr(made[-1], "initialize", load)
        return Startup(made[-1], settings)

    yield of
    for service in made:
        service.close()


def test_it_is_ready_once_the_model_is_there(make):
    gate = threading.Event()
    starting = make(lambda: gate.wait(60))
    thread = starting.begin()
    assert not starting.ready
    gate.set()
    thread.join()
    assert starting.ready


def test_a_model_that_cannot_be_loaded_is_told_and_ends_the_program(make):
    def load():
        raise ModelError("its weights are cut off")

    ended, starting = [], make(load)
    starting.on_failure = lambda: ended.append(starting.failure)
    starting.begin().join()
    assert ended == ["its weights are cut off"]
    assert not starting.ready


def test_a_model_that_the_first_image_calibrates_is_ready(make):
    def load():
        raise NotCalibrated("calibrate it")

    starting = make(load)
    starting.begin().join()
    assert starting.ready
    assert starting.failure is None


def test_where_there_is_no_memory_to_measure_the_model_is_loaded_all_the_same(make, monkeypatch, caplog):
    def full(*_arguments):
        raise OutOfMemory("there is none")

    monkeypatch.setattr(startup, "measure_batch_size", full)
    starting = make(lambda: None, measure_batch=True)
    starting.begin().join()
    assert starting.ready
    assert "the batch size is not measured: there is none" in caplog.messages


@pytest.mark.usefixtures("own_profile")
def test_a_device_without_room_for_a_tile_is_said(bright_model, monkeypatch):
    def full(*_arguments):
        raise MemoryError

    monkeypatch.setattr("napari_unetseg.benchmark.measuring.time_run", full)
    settings = Settings(unet={"model": {"device": "cpu", "backend": "torch"}})
    with pytest.raises(OutOfMemory, match="too little memory for one tile"):
        measure_batch_size(find_model(bright_model), settings)

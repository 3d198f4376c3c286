"""What is told of a run before it starts."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.service import forecast, profile
from napari_unetseg.service.forecast import Forecast, Workload, expected_device, network_pixels, operations_per_pixel
from napari_unetseg.service.profile import TunedSize, write_profile
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import find_model


@pytest.fixture(autouse=True)
def _no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "user_data_path", lambda *_, **__: tmp_path / "data")


@pytest.fixture
def service(bright_model: Path, settings: Callable[..., Settings]) -> SegmentationService:
    return SegmentationService(bright_model, settings=settings())


@pytest.fixture
def card(service: SegmentationService) -> ModelCard:
    return service.package.card


def test_before_the_first_run_the_time_is_a_guess_and_nothing_is_loaded(service: SegmentationService) -> None:
    told = service.forecast(Workload((512, 512)))
    assert (told.device, told.basis, told.precision) == ("cpu", "guess", None)
    assert told.seconds is not None
    assert told.memory_mb is not None
    assert not service.model_info().loaded
    larger = service.forecast(Workload((1024, 512)))
    assert larger.seconds == pytest.approx(2 * told.seconds)
    assert larger.memory_mb == pytest.approx(2 * told.memory_mb)


@pytest.mark.parametrize(("usable", "counted"), [(1, 1), (4, 4), (16, 8)])
def test_a_guess_counts_the_cores_that_the_process_may_use(
    service: SegmentationService, monkeypatch: pytest.MonkeyPatch, usable: int, counted: int
) -> None:
    monkeypatch.setattr(forecast.psutil, "cpu_count", lambda logical: 16 if logical else 8)
    monkeypatch.setattr(forecast, "usable_cores", lambda: 1)
    alone = service.forecast(Workload((512, 512))).seconds
    monkeypatch.setattr(forecast, "usable_cores", lambda: usable)
    assert service.forecast(Workload((512, 512))).seconds == pytest.approx(alone / counted)


def test_runs_of_this_session_say_how_fast_it_is(service: SegmentationService, monkeypatch: pytest.MonkeyPatch) -> None:
    result = service.segment(np.random.default_rng(1).random((64, 80)).astype(np.float32))
    told = service.forecast(Workload((128, 160)))
    assert told.basis == "runs"
    assert told.seconds == pytest.approx(4 * result.provenance.seconds, abs=0.003)
    assert told.reason == "The CPU was asked for."
    assert told.precision == "float32"


def test_another_model_of_the_same_memory_has_a_pace_of_its_own(service: SegmentationService, dark_model: Path) -> None:
    service.segment(np.zeros((40, 40), np.uint8))
    assert service.with_model(dark_model).forecast(Workload((64, 64))).basis == "guess"


def test_a_saved_benchmark_goes_before_a_guess(service: SegmentationService, card: ModelCard) -> None:
    size = TunedSize(batch_size=1, max_batch_size=1, window=64, megapixels_per_s=2.0, peak_memory_mb=100.0)
    write_profile(cpu_name(), card.weights.sha256, size)
    told = service.forecast(Workload((1000, 1000), planes=3))
    assert (told.basis, told.seconds) == ("benchmark", pytest.approx(1.5))
    # Two maps of float32 and what the labels take.
    assert told.memory_mb == pytest.approx(100 + 3 * 20 * 1e6 / 2**20)


def test_a_saved_benchmark_of_another_way_than_the_service_goes_says_nothing(
    bright_model: Path, card: ModelCard
) -> None:
    size = TunedSize(batch_size=1, max_batch_size=1, window=64, megapixels_per_s=2.0, peak_memory_mb=100.0)
    write_profile(cpu_name(), card.weights.sha256, size)
    for backend, basis in (("torch", "benchmark"), ("onnxruntime", "guess")):
        service = SegmentationService(bright_model, "cpu", backend)
        assert service.forecast(Workload((100, 100))).basis == basis


def test_all_that_multiplies_the_work_is_counted(card: ModelCard) -> None:
    assert network_pixels(card, Workload((10, 20))) == 200
    assert network_pixels(card, Workload((10, 20), planes=5)) == 1000
    assert network_pixels(card, Workload((10, 20), augment=True)) == 1600
    # The model's objects have 12 pixels.
    assert network_pixels(card, Workload((10, 20), diameter=24)) == 50
    stretched = card.model_copy(update={"image_size": (64, 32)})
    assert network_pixels(stretched, Workload((10, 20), planes=2)) == 2 * 64 * 32


def test_operations_are_those_of_the_convolutions(card: ModelCard) -> None:
    # 3 -> 4 -> 4 and, after the skip, 8 -> 4 -> 4 at full size; 4 -> 8 -> 8 at a quarter of the pixels.
    expected = 2 * 9 * (3 * 4 + 4 * 4 + 8 * 4 + 4 * 4 + (4 * 8 + 8 * 8) / 4)
    assert operations_per_pixel(card) == expected
    other = card.model_copy(update={"architecture": card.architecture.model_copy(update={"arguments": {}})})
    assert operations_per_pixel(other) is None


def test_the_bundled_model_is_guessed_within_reason() -> None:
    told = operations_per_pixel(find_model("nuclei").card)
    assert told is not None
    assert 1e4 < told < 1e6


@pytest.mark.parametrize(
    ("request_", "driver", "torch", "device"),
    [
        ("cuda", None, "2.6.0+cpu", "cuda"),
        ("cpu", "/bin/nvidia-smi", "2.6.0", "cpu"),
        ("auto", "/bin/nvidia-smi", "2.6.0", "cuda"),
        ("auto", "/bin/nvidia-smi", "2.6.0+cpu", "cpu"),
        ("auto", None, "2.6.0", "cpu"),
    ],
)
def test_the_device_is_expected_without_torch(
    request_: str, driver: str | None, torch: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(forecast.shutil, "which", lambda name: driver)
    monkeypatch.setattr(forecast, "version", lambda name: torch)
    kind, reason = expected_device(request_)
    assert kind == device
    assert reason.endswith(".")


def test_a_mac_is_expected_to_use_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(forecast, "machine", lambda: "arm64")
    assert expected_device("auto")[0] == "mps"


def test_long_and_large_runs_are_known_as_such() -> None:
    def forecast(seconds: float | None, memory_mb: float | None, device: str = "cpu") -> Forecast:
        return Forecast(device, "", None, seconds, None, memory_mb, free_mb=1000.0)

    assert forecast(121, 10).is_long
    assert not forecast(119, 10).is_long
    assert not forecast(None, None).is_long
    assert forecast(1, 1001).is_large
    assert not forecast(1, 999).is_large
    assert not forecast(1, None).is_large
    assert not forecast(1, 1001, "cuda").is_large

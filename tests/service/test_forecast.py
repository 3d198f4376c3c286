"""What is told of a run before it starts."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_unetseg import Image, SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.inference.backends.array_backend import ArrayBackend
from napari_unetseg.inference.backends.device import Device, DeviceKind
from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.inference.backends.selection import BackendRequest
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.inference.tiling.plan import TileLimits, TilePlan, facts_on, pixels_that_fit, plan_tiling
from napari_unetseg.networks.working_memory import working_bytes
from napari_unetseg.service import forecast, machine_profile
from napari_unetseg.service.describe import describe
from napari_unetseg.service.forecast import (
    Forecast,
    Workload,
    expected_device,
    forecast_run,
    network_pixels,
    operations_per_pixel,
)
from napari_unetseg.service.machine_profile import TunedBatch, write_profile
from napari_unetseg.zoo.card import Architecture, ModelCard
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import find_model


@pytest.fixture(autouse=True)
def _no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_profile, "user_data_path", lambda *_, **__: tmp_path / "data")


@pytest.fixture
def service(bright_model: Path, settings: Callable[..., Settings]) -> SegmentationService:
    return SegmentationService(bright_model, settings=settings())


@pytest.fixture
def card(service: SegmentationService) -> ModelCard:
    return service.package.card


def test_before_the_first_run_the_time_is_a_guess_and_nothing_is_loaded(service: SegmentationService) -> None:
    reported = service.forecast(Workload((512, 512)))
    assert (reported.device, reported.basis, reported.precision) == ("cpu", "guess", None)
    assert reported.seconds is not None
    assert reported.memory_mb is not None
    assert not service.model_info().loaded
    larger = service.forecast(Workload((1024, 512)))
    assert larger.seconds == pytest.approx(2 * reported.seconds)
    assert larger.memory_mb == pytest.approx(2 * reported.memory_mb)


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
    reported = service.forecast(Workload((128, 160)))
    assert reported.basis == "runs"
    assert reported.seconds == pytest.approx(4 * result.provenance.seconds, abs=0.003)
    assert reported.reason == "The CPU was asked for."
    assert reported.precision == "float32"


def test_another_model_of_the_same_memory_has_a_pace_of_its_own(service: SegmentationService, dark_model: Path) -> None:
    service.segment(np.zeros((40, 40), np.uint8))
    assert service.with_model(dark_model).forecast(Workload((64, 64))).basis == "guess"


def test_a_saved_benchmark_goes_before_a_guess(service: SegmentationService, card: ModelCard) -> None:
    size = TunedBatch(batch_size=1, max_batch_size=1, window=64, megapixels_per_s=2.0, peak_memory_mb=100.0)
    write_profile(cpu_name(), card.weights.sha256, size)
    reported = service.forecast(Workload((1000, 1000), planes=3))
    assert (reported.basis, reported.seconds) == ("benchmark", pytest.approx(1.5))
    # Two maps of float32 and what the labels take.
    assert reported.memory_mb == pytest.approx(100 + 3 * 20 * 1e6 / 2**20)


def test_a_saved_benchmark_of_another_way_than_the_service_goes_says_nothing(
    bright_model: Path, card: ModelCard
) -> None:
    size = TunedBatch(batch_size=1, max_batch_size=1, window=64, megapixels_per_s=2.0, peak_memory_mb=100.0)
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
    reported = operations_per_pixel(find_model("nuclei").card)
    assert reported is not None
    assert 1e4 < reported < 1e6


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


BUNDLED = ("nuclei", "cells", "nails", "spheroids")
SHAPES = ((64, 90), (700, 500), (1500, 1200), (4000, 4000), (300, 9000))


def engine_plan(model: str, backend: str, device: DeviceKind, shape: tuple[int, int], window: int | None) -> TilePlan:
    """Divide an image as a run does, by a backend that holds the network."""
    package = find_model(model)
    network = load_network(package)
    runtime = FakeRuntime if backend == "openvino" else TorchBackend
    # Only what a backend says of its network is asked, which is the same wherever its weights are.
    loaded = runtime(network, package.card.outputs, Device("cpu", ""))
    loaded.in_bands = loaded.in_bands and device == "cpu"
    limits = TileLimits(window, pixels_that_fit(psutil.virtual_memory().total))
    return plan_tiling(shape, package.card, loaded, limits)


class FakeRuntime(ArrayBackend):
    def _compute(self, *_: object) -> None: ...

    def unload(self) -> None: ...


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "device"), [("torch", "cpu"), ("torch", "cuda"), ("openvino", "cpu")])
@pytest.mark.parametrize("model", BUNDLED)
def test_the_window_is_the_one_that_the_engine_takes(
    model: str,
    backend: str,
    device: DeviceKind,
    shape: tuple[int, int],
    settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecast, "openvino_version", lambda: "2025.0")
    for window in (None, 900):
        own = settings(inference__window=window)
        expected = forecast_run(
            find_model(model), Workload(shape), own, device, backend_request=BackendRequest(backend, "float32")
        )
        assert expected.window == engine_plan(model, backend, device, shape, window).window


def test_nuclei_on_a_cpu_take_large_windows_in_bands(settings: Callable[..., Settings]) -> None:
    torch = BackendRequest("torch", "float32")
    reported = forecast_run(find_model("nuclei"), Workload((4000, 4000)), settings(), "cpu", backend_request=torch)
    assert reported.window == 2240
    # Measured: the process grew by 594 MiB beside the loaded model.
    assert reported.memory_mb is not None
    assert 594 < reported.memory_mb < 1.3 * 594
    facts = facts_on(find_model("nuclei").card, "torch", "cpu")
    in_bands, whole = (working_bytes(facts, 2240, 2240, in_bands=banded) for banded in (True, False))
    assert in_bands is not None
    assert whole is not None
    assert in_bands < 0.5 * whole


def test_a_loaded_model_is_asked_itself(service: SegmentationService) -> None:
    result = service.segment(np.random.default_rng(1).random((64, 80)).astype(np.float32))
    assert service.forecast(Workload((64, 80))).window == result.provenance.window
    with service._models.borrow(service.package) as loaded_model:
        loaded_model.limits.lower("cpu", window=64)
        assert service.forecast(Workload((200, 300))).window == loaded_model.predict(Image(np.ones((200, 300)))).window


def test_several_tiles_at_once_take_as_much_memory_each(bright_model: Path, settings: Callable[..., Settings]) -> None:
    def memory(batch_size: int, side: int) -> float:
        own = settings(inference__window=200, inference__batch_size=batch_size)
        reported = forecast_run(find_model(bright_model), Workload((side, side)), own, "cpu")
        assert reported.memory_mb is not None
        return reported.memory_mb - 20 * side**2 / 2**20

    assert memory(3, 1000) == pytest.approx(3 * memory(1, 1000))
    # An image of one tile has no more than that to be computed at once.
    assert memory(3, 200) == pytest.approx(memory(1, 200))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unet", {"features": []}),
        ("unet", {"features": None}),
        ("hrnet", {"widths": []}),
        ("attention_unet", {"depth": "4"}),
    ],
)
def test_a_card_that_no_network_can_be_built_from_is_described_all_the_same(
    name: str, arguments: dict[str, object], service: SegmentationService, settings: Callable[..., Settings]
) -> None:
    package = service.package
    card = package.card.model_copy(update={"architecture": Architecture(name=name, arguments=arguments)})
    broken = replace(package, card=card)
    assert describe(broken, None).architecture_details["use_attention"] is (name == "attention_unet")
    told = forecast_run(broken, Workload((64, 64)), settings(), "cpu")
    assert (told.device, told.window, told.memory_mb, told.seconds) == ("cpu", None, None, None)

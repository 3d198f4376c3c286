"""Counts of runs, and what is measured beside them: what cannot be measured is None, and nothing is loaded for it."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.service.counters import RunCounter, gpu_available, gpu_percent, memory_usage


def test_a_new_counter_knows_nothing():
    reported = RunCounter().snapshot()
    assert (reported.runs, reported.failures, reported.error_rate, reported.recent_ms) == (0, 0, 0.0, ())
    assert reported.latency_p50_ms is reported.latency_p95_ms is reported.gpu_percent is None


def test_runs_and_failures_are_counted():
    counter = RunCounter()
    for seconds in (0.3, 0.1, 0.2):
        counter.succeeded(seconds)
    counter.failed(ValueError("odd"), "7f")
    reported = counter.snapshot(gpu_percent=40.0)
    assert (reported.runs, reported.failures, reported.error_rate, reported.gpu_percent) == (3, 1, 0.25, 40.0)
    assert reported.recent_ms == pytest.approx((300, 100, 200))
    assert reported.latency_p50_ms == pytest.approx(200)
    assert reported.latency_p95_ms == pytest.approx(290)
    assert reported.cpu_percent >= 0


def test_the_last_error_is_kept_with_its_request():
    counter = RunCounter()
    counter.failed(ValueError("first"), "1")
    counter.failed(MemoryError(), "2")
    assert (counter.last_error.message, counter.last_error.request_id) == ("MemoryError", "2")
    assert counter.last_error.time.startswith("20")


def test_only_the_last_hundred_latencies_are_kept():
    counter = RunCounter()
    for index in range(130):
        counter.succeeded(index)
    reported = counter.snapshot()
    assert reported.runs == 130
    assert reported.recent_ms == tuple(1000.0 * index for index in range(30, 130))


def test_without_a_model_only_the_machine_is_measured():
    reported = memory_usage(None, ())
    assert reported.host_total_mb >= reported.host_available_mb > 0
    assert reported.process_mb > 0
    assert reported.device_mb is reported.device_total_mb is None
    assert (reported.pool_mb, reported.input_pool_hits, reported.input_pool_misses) == (0, 0, 0)


def test_pools_are_counted_image_by_image(bright_model, settings, squares):
    service = SegmentationService(bright_model, settings=settings(health__startup_validation=False))
    service.segment(squares)
    first = service.health(dummy_inference=False).memory_usage
    service.segment(squares)
    second = service.health(dummy_inference=False).memory_usage
    assert first.input_pool_misses == second.input_pool_misses > 0
    assert first.output_pool_misses == second.output_pool_misses > 0
    assert second.input_pool_hits > first.input_pool_hits
    assert second.output_pool_hits > first.output_pool_hits
    assert second.pool_mb == first.pool_mb > 0


def test_pools_are_in_use_during_a_run_and_idle_after_it(bright_model, settings, squares, monkeypatch):
    service = SegmentationService(bright_model, settings=settings())
    service.initialize()
    (loaded_model,) = service._models.loaded_models
    seen = []
    run = loaded_model.backend.run

    def observed(*arguments, **options):
        seen.append(service.health(dummy_inference=False).memory_usage)
        return run(*arguments, **options)

    monkeypatch.setattr(loaded_model.backend, "run", observed)
    service.segment(squares)
    (during,) = seen
    after = service.health(dummy_inference=False).memory_usage
    assert 0 < during.input_pool_utilization <= 1
    assert 0 < during.output_pool_utilization <= 1
    assert after.input_pool_utilization == after.output_pool_utilization == 0


def test_the_gpu_s_use_is_unknown_where_nobody_tells(monkeypatch):
    def refuse(_device):
        raise ModuleNotFoundError("pynvml")

    torch = SimpleNamespace(cuda=SimpleNamespace(utilization=refuse), __spec__=ModuleSpec("torch", None))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert gpu_percent("cuda") is None
    assert gpu_percent("cpu") is None
    torch.cuda.utilization = {"cuda": 37, "cuda:1": 5}.__getitem__
    assert (gpu_percent("cuda"), gpu_percent("cuda:1")) == (37, 5)


def test_asking_for_a_gpu_does_not_load_torch():
    program = (
        "import sys\n"
        "from napari_unetseg.service.counters import gpu_available\n"
        "assert gpu_available() is None and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.usefixtures("bright_model")
def test_a_gpu_is_there_or_not_once_torch_is_loaded():
    assert gpu_available() in (True, False)


def test_torch_is_not_asked_in_the_middle_of_its_import(monkeypatch: pytest.MonkeyPatch) -> None:
    half = ModuleType("torch")
    half.__spec__ = ModuleSpec("torch", None)
    monkeypatch.setattr(half.__spec__, "_initializing", True, raising=False)
    monkeypatch.setitem(sys.modules, "torch", half)
    assert gpu_available() is None
    assert gpu_percent("cuda") is None

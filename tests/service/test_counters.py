import pytest

from napari_unetseg.service.counters import RunCounter


def test_a_new_counter_knows_nothing():
    told = RunCounter().read()
    assert (told.runs, told.failures, told.error_rate, told.recent_ms) == (0, 0, 0.0, ())
    assert told.latency_p50_ms is told.latency_p95_ms is told.gpu_percent is None


def test_runs_and_failures_are_counted():
    counter = RunCounter()
    for seconds in (0.3, 0.1, 0.2):
        counter.succeeded(seconds)
    counter.failed(ValueError("odd"), "7f")
    told = counter.read(gpu_percent=40.0)
    assert (told.runs, told.failures, told.error_rate, told.gpu_percent) == (3, 1, 0.25, 40.0)
    assert told.recent_ms == pytest.approx((300, 100, 200))
    assert told.latency_p50_ms == pytest.approx(200)
    assert told.latency_p95_ms == pytest.approx(290)
    assert told.cpu_percent >= 0


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
    told = counter.read()
    assert told.runs == 130
    assert told.recent_ms == tuple(1000.0 * index for index in range(30, 130))

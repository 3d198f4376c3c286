"""What the panel says of a report; no window."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from napari_unetseg.plugin.panel import health_texts
from napari_unetseg.plugin.panel.health_texts import ErrorDetails
from napari_unetseg.service.reports import Health, KnownAnswer, LastError, MemoryUsage, ModelIdentity, Performance

NOW = datetime.now(UTC)
TODAY = datetime.now().astimezone().replace(hour=14, minute=3, second=12, microsecond=0)


def health(**changes: Any) -> Health:
    usual = Health(
        service_healthy=True,
        model_loaded=True,
        memory_pools_ready=True,
        gpu_available=False,
        last_health_check=TODAY.isoformat(),
        model_info=ModelIdentity("nuclei", "standard", "cpu"),
        memory_usage=MemoryUsage(input_pool_utilization=0.1, output_pool_utilization=0.3),
        performance=Performance(runs=12, latency_p50_ms=120.4, latency_p95_ms=140.2, recent_ms=(120.0, 140.0)),
    )
    return replace(usual, **changes)


UNLOADED = {
    "service_healthy": False,
    "model_loaded": False,
    "model_info": ModelIdentity("nuclei", "standard", None),
    "problems": ("The model is not loaded yet; it loads on the first run.",),
    "performance": Performance(),
    "last_health_check": None,
}


def test_a_healthy_service_in_one_line() -> None:
    light = health_texts.light(health(), "refresh")
    assert light.kind == "good"
    assert light.summary == "ready"
    assert light.words == "Ready. Last check 14:03:12."


def test_a_check_tells_what_the_test_image_gave() -> None:
    light = health_texts.light(health(dummy_inference_ms=31.4, known_answer=KnownAnswer(True, 1e-6)), "check")
    assert light.words == "Ready. Last check 14:03:12: a test image took 31 ms, with the answer it should give."


@pytest.mark.parametrize("action", ["refresh", "free", "run"])
def test_a_model_that_nobody_loaded_is_no_fault(action: Any) -> None:
    light = health_texts.light(health(**UNLOADED), action)
    assert (light.kind, light.summary) == ("idle", "not loaded")
    assert "next run" in light.words


@pytest.mark.parametrize("action", ["check", "reload", "warm up"])
def test_a_model_that_should_be_loaded_by_now_is_a_fault(action: Any) -> None:
    light = health_texts.light(health(**UNLOADED), action)
    assert light.kind == "error"
    assert light.words == UNLOADED["problems"][0]


def test_wrong_answers_are_a_fault_whatever_was_asked() -> None:
    ill = health(service_healthy=False, problems=("The model no longer gives its known answer.",))
    light = health_texts.light(ill, "refresh")
    assert (light.kind, light.state) == ("error", "trouble")
    assert "known answer" in light.words


def test_a_slow_model_works_with_a_remark() -> None:
    light = health_texts.light(health(warnings=("An image took 9 s. Choose a GPU.",)), "refresh")
    assert (light.kind, light.words) == ("warning", "An image took 9 s. Choose a GPU. Last check 14:03:12.")


def test_the_device_is_named_once_it_is_known() -> None:
    on_gpu = health(model_info=ModelIdentity("n", "standard", "cuda"), precision="bfloat16", backend="torch")
    assert health_texts.device(on_gpu) == "NVIDIA GPU, bfloat16, torch"
    assert health_texts.device(health(**UNLOADED)) == "-"


def test_why_the_model_runs_there_and_so() -> None:
    reported = health(device_reason="No GPU was found.", backend_reason="bfloat16: twice as fast.")
    assert health_texts.reason(reported) == "No GPU was found. bfloat16: twice as fast."
    on_gpu = health(backend_reason="bfloat16: twice as fast.", compilation="The network is being compiled.")
    assert health_texts.reason(on_gpu) == "bfloat16: twice as fast. The network is being compiled."
    assert health_texts.reason(health(**UNLOADED)) == ""


def test_memory_of_the_computer_is_shared_with_others() -> None:
    meter = health_texts.host_meter(MemoryUsage(process_mb=1024, host_total_mb=16384, host_available_mb=8192))
    assert meter.parts == (1 / 16, 7 / 16)
    assert meter.words == "1.0 GB of 16.0 GB"
    assert "8.0 GB of 16.0 GB are free" in meter.tip


def test_memory_is_told_without_the_whole() -> None:
    assert health_texts.host_meter(MemoryUsage()).words == "-"
    assert health_texts.host_meter(MemoryUsage(process_mb=693)).words == "693 MB"
    assert health_texts.device_meter(MemoryUsage(device_mb=10)).words == "10 MB"


def test_memory_of_a_gpu() -> None:
    meter = health_texts.device_meter(MemoryUsage(device_mb=512, device_total_mb=2048))
    assert (meter.parts, meter.words) == ((0.25,), "512 MB of 2.0 GB")
    assert health_texts.device_meter(MemoryUsage()).parts == ()


def test_pools_tell_what_is_lent_and_what_was_reused() -> None:
    usage = MemoryUsage(input_pool_utilization=0.3, input_pool_hits=98, input_pool_misses=2, pool_mb=120)
    meter = health_texts.input_pool_meter(usage)
    assert (meter.parts, meter.words) == ((0.3,), "30 %, 98 % reused")
    assert "together hold 120 MB" in meter.tip
    assert health_texts.output_pool_meter(usage).words == "not used yet"


def test_latency_and_work() -> None:
    reported = Performance(
        runs=12, failures=1, error_rate=1 / 13, latency_p50_ms=8.2, latency_p95_ms=12_400, cpu_percent=130
    )
    assert health_texts.latency(reported) == "median 8.2 ms · p95 12.4 s"
    assert health_texts.work(reported) == "12 runs, 1 failed (8 %), CPU 130 %"
    assert health_texts.latency(Performance()) == "no run yet"
    assert health_texts.work(Performance(runs=1)) == "1 run"


def test_the_last_step_against_want_of_memory_comes_first() -> None:
    steps = ("GPU memory ran out; went on with 2 tiles at once.", "GPU memory ran out; finished on tiles of 512.")
    reported = health_texts.remarks(health(memory_steps=steps, warnings=("Slow.",)))
    assert reported == f"{steps[1]} {steps[0]} Slow."
    assert health_texts.remarks(health()) == "-"


def test_the_trouble_is_what_is_wrong_now_or_else_the_last_run_that_failed() -> None:
    last = LastError("cells: memory ran out.", TODAY.isoformat(), "4f2a")
    found = health_texts.error_details(health(last_error=last), "refresh", NOW)
    assert found is not None
    assert (found.sentence, found.time) == ("cells: memory ran out.", TODAY)
    assert "Request 4f2a" in found.details
    ill = health(last_error=last, service_healthy=False, problems=("No answer.", "Not loaded."))
    now = health_texts.error_details(ill, "check", NOW)
    assert now == ErrorDetails("No answer. Not loaded.", NOW, "No answer. Not loaded.")
    assert health_texts.error_details(health(), "refresh", NOW) is None


def test_the_newest_error() -> None:
    older, newer = ErrorDetails("a", NOW - timedelta(hours=1), ""), ErrorDetails("b", NOW, "")
    assert health_texts.newest([newer, None, older]) is newer
    assert health_texts.newest([None]) is None


def test_another_day_is_told_by_its_date() -> None:
    assert health_texts.clock(TODAY, TODAY) == "14:03:12"
    assert health_texts.clock(TODAY, TODAY + timedelta(days=1)) == f"{TODAY:%Y-%m-%d} 14:03"

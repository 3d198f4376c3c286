"""Loading, unloading and closing; several models; many callers."""

import json
import logging
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg import Cancelled, Image, SegmentationService, UnetsegError
from napari_unetseg.errors import ModelError
from napari_unetseg.service.logs import LOG_FIELDS
from napari_unetseg.service.requests import request

# The answer of the published guide to GET /health.
PUBLISHED_KEYS = {
    "service_healthy",
    "model_loaded",
    "memory_pools_ready",
    "gpu_available",
    "last_health_check",
    "model_info",
    "memory_usage",
    "capabilities",
}


@pytest.fixture
def service(bright_model, settings):
    with SegmentationService(bright_model, settings=settings()) as service:
        yield service


def test_nothing_is_loaded_before_it_is_needed_unless_wanted(bright_model, settings):
    assert not SegmentationService(bright_model, settings=settings()).model_info().loaded
    assert SegmentationService(bright_model, settings=settings(model__eager_loading=True)).model_info().loaded


def test_initializing_tells_how_it_went(service):
    reported = service.initialize()
    assert (reported.success, reported.service_ready, reported.message) == (
        True,
        True,
        "Bright objects is ready on cpu.",
    )
    assert reported.initialization_time_ms > 0
    assert reported.info == service.model_info()
    assert reported.as_dict().keys() >= {"success", "message", "initialization_time_ms", "service_ready"}
    assert service.initialize(warm_up=False).info.loaded


def test_explicit_arguments_go_before_settings(bright_model, settings):
    service = SegmentationService(bright_model, settings=settings(model__name="nuclei", model__backend="onnxruntime"))
    assert service.package.name == "bright"
    assert service.initialize().info.backend == "onnxruntime"
    other = SegmentationService(None, "cpu", "torch", settings=settings(model__name=str(bright_model)))
    assert other.package.name == "bright"
    assert other.initialize().info.device_reason == "The CPU was asked for."


def test_health_is_named_and_nested_as_published(service, squares):
    before = service.health(dummy_inference=False).as_dict()
    assert (before["model_loaded"], before["memory_pools_ready"], before["last_health_check"]) == (False, False, None)
    service.segment(squares)
    reported = json.loads(json.dumps(service.health().as_dict()))
    assert reported.keys() >= PUBLISHED_KEYS
    assert reported["model_info"] == {"model_name": "bright", "model_variant": "standard", "device": "cpu"}
    assert reported["memory_usage"].keys() >= {"input_pool_utilization", "output_pool_utilization"}
    assert reported["memory_usage"]["host_total_mb"] >= reported["memory_usage"]["process_mb"] > 0
    assert reported["memory_usage"]["pool_mb"] > 0
    assert {"segmentation", "batch_processing", "confidence_scoring"} <= set(reported["capabilities"])
    assert reported["performance"]["runs"] == len(reported["performance"]["recent_ms"]) == 1
    assert reported["gpu_available"] in (True, False)
    assert reported["last_error"] is None


def test_switched_off_capabilities_are_not_offered(bright_model, settings, squares):
    wanted = settings(inference__enable_confidence=False, inference__enable_batch_processing=False)
    service = SegmentationService(bright_model, settings=wanted)
    assert not {"batch_processing", "confidence_scoring"} & set(service.health().capabilities)
    result = service.segment(squares)
    assert result.confidence is None
    assert "confidence" not in result.measurements
    assert result.relabel(min_size=50).confidence is None


def test_the_last_error_has_the_id_that_the_call_had(service, squares):
    with request("from outside"), pytest.raises(UnetsegError):
        service.segment(squares, channel=7)
    reported = service.health(dummy_inference=False)
    assert reported.last_error.request_id == "from outside"
    assert "channel 7" in reported.last_error.message
    assert reported.performance.error_rate == 1


def test_every_result_bears_its_request(service, squares):
    first, second = service.segment(squares).provenance, service.segment(squares).provenance
    assert first.request_id != second.request_id
    with request("mine"):
        batch = service.segment_batch([squares, squares])
    assert [result.provenance.request_id for result in batch] == ["mine", "mine"]
    ids = {result.provenance.request_id for result in service.segment_batch([squares, squares])}
    assert len(ids) == 1


def test_calls_leave_records_where_they_are_wanted(bright_model, settings, squares, caplog):
    caplog.set_level(logging.INFO, "napari_unetseg")
    wanted = settings(logging__log_requests=True, logging__enable_performance_logging=True)
    SegmentationService(bright_model, settings=wanted).segment(Image(squares, name="squares.tif"))
    reported = [(record.getMessage(), getattr(record, LOG_FIELDS)) for record in caplog.records]
    assert [message for message, _ in reported] == ["segmented", "stages"]
    assert reported[0][1].items() >= {"image": "squares.tif", "size": "60x80", "model": "bright", "objects": 3}.items()
    assert {"wait_ms", "network_ms", "decode_ms", "process_mb"} <= reported[1][1].keys()
    caplog.clear()
    SegmentationService(bright_model, settings=settings()).segment(squares)
    assert caplog.records == []


def test_a_closed_service_says_so(bright_model, settings, squares):
    with SegmentationService(bright_model, settings=settings()) as service:
        service.segment(squares)
        (loaded_model,) = service._models.loaded_models
    with pytest.raises(ModelError, match="unloaded"):
        loaded_model.predict(Image(squares))
    assert not service.model_info().loaded
    for call in (service.segment, lambda image: service.segment_batch([image]), lambda _: service.initialize()):
        with pytest.raises(UnetsegError, match="was closed"):
            call(squares)
    assert "was closed" in service.health().problems[0]
    service.close()


def test_another_model_for_one_call(service, dark_model, squares):
    dark = service.segment(squares, model=dark_model, fill_holes=False)
    np.testing.assert_array_equal(dark.labels > 0, squares == 0)
    assert dark.provenance.model == "dark"
    assert service.segment(squares).provenance.model == "bright"
    assert service.model_info(dark_model).loaded
    assert service.model_info().loaded
    assert service.health(model=dark_model).model_info.model_name == "dark"
    service.unload(dark_model)
    assert not service.model_info(dark_model).loaded
    assert service.model_info().loaded


def test_models_beyond_the_budget_are_unloaded(bright_model, dark_model, settings, squares):
    service = SegmentationService(bright_model, settings=settings(model__max_models_gb=1e-9))
    service.segment(squares)
    service.segment(squares, model=dark_model)
    assert not service.model_info().loaded
    assert service.model_info(dark_model).loaded
    assert service.segment(squares).count == 3


def test_an_unknown_model_for_one_call_is_refused(service, squares):
    with pytest.raises(ModelError, match="no-such-model"):
        service.segment(squares, model="no-such-model")


def test_sixteen_threads_do_not_disturb_each_other(bright_model, dark_model, answered_model, settings):
    models, thresholds = (bright_model, dark_model, answered_model), (0.2, 0.5, 0.8, 0.95)
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 255, (40 + 8 * index, 56), dtype=np.uint8) for index in range(4)]
    jobs = [(image, model, t) for image in range(len(images)) for model in models for t in thresholds]

    def work(service, job):
        image, model, threshold = job
        return service.segment(images[image], model=model, threshold=threshold, min_size=0)

    alone = SegmentationService(bright_model, settings=settings())
    expected = {job: work(alone, job).labels for job in jobs}
    assert len({labels.tobytes() for labels in expected.values()}) > len(jobs) / 2
    # With room for one model alone, models are loaded and unloaded all the time.
    crowded = SegmentationService(bright_model, settings=settings(model__max_models_gb=1e-9))
    todo = [jobs[index] for index in rng.permutation(np.repeat(np.arange(len(jobs)), 3))]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda job: work(crowded, job), todo))
    for (image, model, threshold), result in zip(todo, results, strict=True):
        np.testing.assert_array_equal(result.labels, expected[image, model, threshold])
        assert result.parameters.threshold == threshold
        assert result.provenance.model == ("dark" if model == dark_model else "bright")
    assert len({result.provenance.request_id for result in results}) == len(todo)
    reported = crowded.health(dummy_inference=False)
    assert (reported.performance.runs, reported.performance.failures) == (len(todo), 0)
    assert reported.memory_usage.input_pool_utilization == reported.memory_usage.output_pool_utilization == 0


def test_reloading_and_unloading_do_not_disturb_runs(bright_model, settings, squares):
    service = SegmentationService(bright_model, settings=settings())
    expected = service.segment(squares).labels
    done = threading.Event()

    def meddle():
        while not done.is_set():
            service.unload()
            service.initialize(force_reload=True)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: service.segment(squares).labels, range(24)))
    finally:
        done.set()
        meddler.join()
    for labels in results:
        np.testing.assert_array_equal(labels, expected)


def test_a_cancelled_call_is_no_error(service, squares):
    with pytest.raises(Cancelled):
        service.segment(squares, cancel=lambda: True)
    assert service.health(dummy_inference=False).last_error is None


def test_a_service_in_another_process_is_made_once_of_the_same_model(bright_model: Path) -> None:
    with SegmentationService(bright_model, "cpu", "torch") as service:
        sent = pickle.dumps(service)
        there = pickle.loads(sent)
        assert there is not service
        assert pickle.loads(sent) is there
        assert there.package.source == service.package.source
        assert there.settings == service.settings


def test_another_model_of_the_same_name_is_refused_in_another_process(bright_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bright_model, tmp_path / "bright")
    sent = pickle.dumps(SegmentationService(folder, "cpu", "torch"))
    weights = (folder / "model.yaml").read_text(encoding="utf-8")
    old = weights.split("sha256: ")[1][:64]
    (folder / "model.yaml").write_text(weights.replace(old, "f" * 64), encoding="utf-8")
    with pytest.raises(ModelError, match="has another model of this name"):
        pickle.loads(sent)

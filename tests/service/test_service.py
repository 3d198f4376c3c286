import shutil
import threading

import numpy as np
import pytest

from napari_unetseg import Cancelled, Image, Segmentation, SegmentationService, UnetsegError
from napari_unetseg.errors import ImageError, ModelError, ParameterError
from napari_unetseg.service import Failure


@pytest.fixture
def service(bright_model):
    return SegmentationService(bright_model, device="cpu")


def test_objects_are_found_where_they_are(service, squares):
    result = service.segment(Image(squares, name="squares.tif"))
    np.testing.assert_array_equal(result.labels > 0, squares > 0)
    assert result.count == 3
    assert result.labels.dtype == np.int32
    assert result.foreground.shape == squares.shape
    assert result.warnings == ()


def test_provenance_says_how_a_result_came_about(service, squares):
    result = service.segment(Image(squares, name="squares.tif"), threshold=0.4, min_size=9)
    reported = result.provenance.as_dict()
    assert reported["image"] == "squares.tif"
    assert reported["model"] == "bright"
    assert reported["sha256"] == service.package.card.weights.sha256
    assert reported["parameters"] == {
        "threshold": 0.4,
        "min_size": 9,
        "split": 0.5,
        "fill_holes": True,
        "smoothing": 0,
        "min_confidence": 0.0,
    }
    assert reported["device"] == "cpu"
    assert reported["backend"] == "torch"
    assert set(reported["versions"]) == {"napari-unetseg", "numpy", "scipy", "scikit-image", "torch"}


def test_onnxruntime_gives_the_same_and_is_named(service, bright_model, squares):
    other = SegmentationService(bright_model, device="cpu", backend="onnxruntime")
    result = other.segment(squares)
    np.testing.assert_array_equal(result.labels, service.segment(squares).labels)
    assert result.provenance.backend == "onnxruntime"
    assert other.model_info().live_parameters == service.initialize().info.live_parameters
    other.unload()
    assert not other.model_info().loaded


def test_an_unknown_backend_is_refused_with_those_there_are(bright_model):
    with pytest.raises(ParameterError, match=r"no backend 'tensorflow'.*auto, torch, openvino, onnxruntime"):
        SegmentationService(bright_model, backend="tensorflow")


def test_relabelling_needs_no_network_and_equals_a_fresh_run(service, squares):
    result = service.segment(squares)
    service.unload()
    fewer = result.relabel(min_size=50)
    assert (result.count, fewer.count) == (3, 2)
    assert fewer.provenance.parameters["min_size"] == 50
    np.testing.assert_array_equal(fewer.labels, service.segment(squares, min_size=50).labels)


def test_what_is_derived_follows_the_labels(service, squares):
    result = service.segment(Image(squares, scale=(0.5, 0.5), unit="micrometer"))
    assert sorted(contour.area for contour in result.contours) == [36, 64, 100]
    np.testing.assert_array_equal(np.sort(result.measurements["area_px"]), [36, 64, 100])
    assert result.confidence.mask_mean > 0.9 > 0.1 > result.confidence.background_mean
    assert len(result.relabel(min_size=50).contours) == 2


@pytest.mark.parametrize("setting", [{"threshold": 1.5}, {"min_size": -1}, {"split": "much"}, {"treshold": 0.5}])
def test_a_setting_out_of_range_is_named(service, squares, setting):
    (name,) = setting
    with pytest.raises(ParameterError, match=name):
        service.segment(squares, **setting)
    with pytest.raises(ParameterError, match=name):
        service.segment(squares).relabel(**setting)


@pytest.mark.parametrize("option", [{"diameter": "large"}, {"channel": "red"}, {"augment": "perhaps"}])
def test_an_option_of_another_type_is_named(service, squares, option):
    (name,) = option
    with pytest.raises(ParameterError, match=name):
        service.segment(squares, **option)
    with pytest.raises(ParameterError, match=name):
        service.segment_batch([squares], **option)


def test_one_channel_can_be_segmented_alone(service, squares):
    channels = np.stack([np.zeros_like(squares), squares])
    assert service.segment(channels, channel=1).count == 3
    assert service.segment(channels, channel=0).count == 0
    with pytest.raises(ImageError, match="channel 2"):
        service.segment(channels, channel=2)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32])
def test_the_answer_does_not_depend_on_the_pixel_type(service, squares, dtype):
    np.testing.assert_array_equal(service.segment((squares > 0).astype(dtype)).labels > 0, squares > 0)


def test_a_single_pixel_and_a_constant_image_hold_no_objects(service):
    assert service.segment(np.ones((1, 1), np.uint8)).count == 0
    assert service.segment(np.full((33, 7), 9.0)).count == 0


def test_pixels_without_a_value_are_background_and_said_aloud(service, squares):
    image = squares.astype(np.float32)
    image[:30] = np.nan
    result = service.segment(Image(image, name="holes.tif"))
    assert result.count == 1
    assert "holes.tif" in result.warnings[0]


def test_a_cancelled_run_raises_and_is_no_failure(service, squares):
    with pytest.raises(Cancelled):
        service.segment(squares, cancel=lambda: True)
    performance = service.health(dummy_inference=False).performance
    assert (performance.runs, performance.failures) == (0, 0)


def test_cancel_works_while_another_image_has_the_device(service, squares):
    holding, release = threading.Event(), threading.Event()

    def hold(_done, _total):
        holding.set()
        release.wait()

    first = threading.Thread(target=service.segment, args=(squares,), kwargs={"progress": hold})
    first.start()
    holding.wait()
    with pytest.raises(Cancelled):
        service.segment(squares, cancel=lambda: True)
    release.set()
    first.join()
    assert service.health(dummy_inference=False).performance.runs == 1


def test_many_threads_get_the_same_answer(service, squares):
    results = []
    threads = [threading.Thread(target=lambda: results.append(service.segment(squares))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for result in results:
        np.testing.assert_array_equal(result.labels, results[0].labels)


def test_a_bad_image_does_not_sink_its_batch(service, squares):
    seen = []
    results = service.segment_batch(
        [squares, np.zeros((2, 3, 4, 5)), Image(squares[:30], name="half")],
        min_size=9,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [type(result) for result in results] == [Segmentation, Failure, Segmentation]
    assert "image 1" in str(results[1])
    assert (results[0].count, results[2].count) == (3, 2)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_cancelled_batch_keeps_what_is_finished(service, squares):
    done = []
    results = service.segment_batch(
        [squares] * 60, progress=lambda n, _total: done.append(n), cancel=lambda: len(done) >= 1
    )
    # A few may be ahead of the first result by then.
    finished = [isinstance(result, Segmentation) for result in results]
    assert finished == sorted(finished, reverse=True)
    assert (finished[0], finished[-1], len(finished)) == (True, False, 60)
    assert all(isinstance(result.error, Cancelled) for result in results if isinstance(result, Failure))


def test_model_info_loads_nothing_until_initialize(service):
    before, after = service.model_info(), service.initialize().info
    assert (before.loaded, before.live_parameters, before.device) == (False, None, None)
    assert (after.loaded, after.device) == (True, "cpu")
    network_parameters = 3 * 4 * 9 + 4 * 4 * 9 + 4 * 8 * 9 + 8 * 8 * 9 + 8 * 4 * 4 + 4 + 8 * 4 * 9 + 4 * 4 * 9 + 8 + 2
    norm_parameters = 2 * (2 * 4 + 2 * 8 + 2 * 4)
    assert after.live_parameters == after.model_parameters == network_parameters + norm_parameters
    assert after.card["name"] == "bright"
    assert not SegmentationService(service.package.path).model_info().loaded


def test_health_counts_runs_and_failures(service, squares):
    assert not service.health(dummy_inference=False).service_healthy
    service.segment(squares)
    with pytest.raises(UnetsegError):
        service.segment(squares, channel=7)
    health = service.health()
    assert health.service_healthy
    assert health.model_loaded
    assert (health.performance.runs, health.performance.failures) == (1, 1)
    assert health.performance.latency_p95_ms >= health.performance.latency_p50_ms > 0
    assert health.dummy_inference_ms > 0
    assert health.problems == ()


def test_health_reports_broken_weights_instead_of_raising(bright_model, tmp_path):
    folder = shutil.copytree(bright_model, tmp_path / "broken")
    (folder / "weights.safetensors").write_bytes(b"nothing")
    health = SegmentationService(folder).health()
    assert not health.service_healthy
    assert str(folder / "weights.safetensors") in health.problems[0]


def test_a_failed_reload_leaves_the_loaded_model_in_place(bright_model, tmp_path, squares):
    folder = shutil.copytree(bright_model, tmp_path / "model")
    service = SegmentationService(folder)
    before = service.segment(squares)
    (folder / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError):
        service.initialize(force_reload=True)
    np.testing.assert_array_equal(service.segment(squares).labels, before.labels)


def test_an_unloaded_model_loads_again(service, squares):
    service.initialize()
    service.unload()
    assert not service.model_info().loaded
    assert service.segment(squares).count == 3


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(ModelError, match="no-such-model"):
        SegmentationService("no-such-model")

"""int8 through the service: only after a calibration that went well."""

import gc
import weakref

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.cli.main import app
from napari_unetseg.errors import Cancelled, ImageError, NotCalibrated, ParameterError
from napari_unetseg.image import Image
from napari_unetseg.inference import int8_calibration
from napari_unetseg.inference.backends.openvino import int8_store, network_conversion
from napari_unetseg.inference.backends.processor import computes_bfloat16
from napari_unetseg.service import SegmentationService, calibrating
from napari_unetseg.service.calibrating import MAX_PLANES, calibrate_package

pytest.importorskip("nncf")


@pytest.fixture(autouse=True)
def in_float32(tmp_path, monkeypatch):
    """An empty cache, and a quantisation that is none; test_int8_calibration.py has the real one."""

    def quantise(work, model, kept, cancel):
        network_conversion.save(network_conversion.read(model), work)

    monkeypatch.setattr(network_conversion, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(int8_calibration, "_quantise", quantise)


@pytest.fixture
def service(bright_model, settings):
    with SegmentationService(bright_model, settings=settings(), precision="int8") as service:
        yield service


def test_int8_runs_after_a_calibration_and_says_how_well(service, squares):
    with pytest.raises(NotCalibrated, match="bright was not calibrated for int8"):
        service.initialize()
    assert service.health(dummy_inference=False).performance.failures == 0
    assert service.calibrate([squares]).accepted
    result = service.segment(squares)
    assert (result.count, result.warnings) == (3, ())
    assert (result.provenance.backend, result.provenance.precision) == ("openvino", "int8")
    assert "Dice of 1.0000" in service.model_info().backend_reason


def test_a_service_that_loads_at_once_is_made_and_says_that_it_was_not_calibrated(bright_model, settings, squares):
    with SegmentationService(bright_model, settings=settings(model__eager_loading=True), precision="int8") as service:
        health = service.health()
        assert not health.service_healthy
        assert "was not calibrated for int8" in health.problems[0]
        assert service.segment(squares).provenance.precision == "int8"
        assert service.health().service_healthy


@pytest.fixture
def calibrated_on(monkeypatch):
    """Names of the images that models are calibrated on, one list a calibration."""
    names = []

    def calibrate(package, images, *rest):
        names.append([Image.of(image).name for image in images])
        return calibrate_package(package, images, *rest)

    monkeypatch.setattr(calibrating, "calibrate_package", calibrate)
    return names


def test_an_uncalibrated_model_is_calibrated_on_the_image_at_hand(service, squares, calibrated_on):
    stages = []
    result = service.segment(Image(squares, name="first"), on_stage=stages.append)
    assert (result.count, result.provenance.precision) == (3, "int8")
    assert len(result.warnings) == 1
    assert "masks of bright agree with float32 to a Dice of 1.0000 (first)" in result.warnings[0]
    assert stages == ["calibrating", "running"]
    assert service.segment(Image(squares, name="second"), on_stage=stages.append).warnings == ()
    assert (calibrated_on, stages) == ([["first"]], ["calibrating", "running"])


def test_a_refused_calibration_is_told_once(service, squares, calibrated_on, monkeypatch):
    monkeypatch.setattr(int8_store, "MIN_DICE", 1.5)
    (warning,) = service.segment(squares).warnings
    assert "bright is not used in int8" in warning
    assert len(calibrated_on) == 1


def test_the_channel_that_is_segmented_is_what_a_model_is_calibrated_on(service, squares, calibrated_on):
    channels = Image(np.stack([np.zeros_like(squares)] * 4 + [squares]), "CYX", name="five")
    assert service.segment(channels, channel=4).count == 3
    assert len(calibrated_on) == 1


def test_a_batch_is_calibrated_on_its_first_readable_image(service, squares, calibrated_on):
    read = []

    def readable(name):
        def take():
            read.append(name)
            if name == "broken":
                raise ImageError("broken: no image")
            return Image(squares, name=name)

        return take

    stages = []
    images = [readable("broken"), readable("good"), Image(squares, name="last")]
    broken, good, last = service.iter_batch(images, on_stage=stages.append)
    assert "no image" in str(broken.error)
    assert [(result.image.name, result.count) for result in (good, last)] == [("good", 3), ("last", 3)]
    assert "Dice of 1.0000 (good)" in good.warnings[0]
    assert last.warnings == ()
    assert calibrated_on == [["good"]]
    assert read == ["broken", "good"]
    assert stages == ["calibrating", "running"]


def test_a_batch_of_nothing_readable_gives_what_is_wrong_with_each(service, squares, calibrated_on):
    (failure,) = service.segment_batch([Image(squares, name="grey")], channel=7)
    assert (failure.image, calibrated_on) == ("grey", [])
    assert "channel 7" in str(failure.error)
    assert service.health(dummy_inference=False).performance.failures == 1
    assert service.segment_batch([]) == []


def test_a_cancelled_calibration_ends_a_batch_with_failures(service, squares):
    names = [
        failure.image
        for failure in service.segment_batch([Image(squares, name="a"), Image(squares, name="b")], cancel=lambda: True)
        if isinstance(failure.error, Cancelled)
    ]
    assert names == ["a", "b"]


def test_a_folder_is_calibrated_on_its_first_image(service, squares, tmp_path, calibrated_on):
    files = tuple(tmp_path / f"{name}.npy" for name in "ab")
    for file in files:
        np.save(file, squares)
    counts = segment_files(service, BatchJob(files, tmp_path / "results"), report=lambda event, counts: None)
    assert counts.count("done") == 2
    assert [len(names) for names in calibrated_on] == [1]


def test_the_command_calibrates_once(bright_model, squares, tmp_path, calibrated_on):
    np.save(tmp_path / "a.npy", squares)
    np.save(tmp_path / "b.npy", squares)
    line = [str(tmp_path / "a.npy"), str(tmp_path / "b.npy"), "--model", str(bright_model), "--precision", "int8"]
    outcome = CliRunner().invoke(app, ["segment", *line, "--output", str(tmp_path / "results"), "--device", "cpu"])
    assert (outcome.exit_code, len(calibrated_on)) == (0, 1), outcome.output


def test_below_the_limit_another_precision_runs_and_says_so(service, squares, monkeypatch):
    monkeypatch.setattr(int8_store, "MIN_DICE", 1.5)
    assert not service.calibrate([squares]).accepted
    result = service.segment(squares)
    instead = "bfloat16" if computes_bfloat16() else "float32"
    assert (result.count, result.provenance.precision) == (3, instead)
    (warning,) = result.warnings
    assert "bright is not used in int8" in warning
    assert warning.endswith(f"{instead} was used instead.")


def test_a_new_calibration_is_used_at_once(service, squares, monkeypatch):
    service.calibrate([squares])
    service.initialize(warm_up=False)
    assert service.model_info().precision == "int8"
    monkeypatch.setattr(int8_store, "MIN_DICE", 1.5)
    service.calibrate([squares])
    assert not service.model_info().loaded
    service.initialize(warm_up=False)
    assert service.model_info().precision != "int8"


def test_a_model_is_converted_once(service, bright_model, settings, squares):
    assert service.needs_conversion()
    service.calibrate([squares])
    assert not service.needs_conversion()
    assert not SegmentationService(bright_model, settings=settings(), backend="torch").needs_conversion()


def test_int8_is_for_openvino(bright_model, settings):
    service = SegmentationService(bright_model, settings=settings(), backend="torch", precision="float32")
    assert service.model_info().precision is None
    with pytest.raises(ParameterError, match="int8"):
        SegmentationService(bright_model, settings=settings(), backend="torch", precision="int8")


def test_a_stack_gives_some_of_its_planes(service, monkeypatch):
    given = []
    monkeypatch.setattr(calibrating, "calibrate", lambda network, card, images, **rest: given.extend(images))
    stack = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((1, 32, 32), np.uint8)
    stack[:, -1, -1] += 1  # blank planes are left out
    calibrate_package(service.package, [Image(stack, "ZYX"), stack[5]])
    levels = [int(image.array[0, 0]) for image in given]
    assert len(levels) - 1 <= MAX_PLANES
    assert levels == [1, 4, 7, 10, 13, 16, 19, 5]


def test_no_model_is_calibrated_for_options_that_it_cannot_take(service, squares, calibrated_on):
    with pytest.raises(ParameterError, match="diameter"):
        service.segment(squares, diameter=-1)
    with pytest.raises(ParameterError, match="diameter"):
        service.segment_batch([squares], diameter=-1)
    assert calibrated_on == []


def test_the_first_image_of_a_batch_is_let_go_after_its_turn(service, squares):
    read = []

    def take():
        image = Image(squares.copy(), name=f"image {len(read)}")
        read.append(weakref.ref(image))
        return image

    results = service.iter_batch([take] * 4)
    for _ in range(3):
        next(results)
    gc.collect()
    assert read[0]() is None


@pytest.mark.parametrize("blank", [np.zeros((40, 40)), np.full((1, 1), 7), np.full((40, 40), np.nan)])
def test_no_model_is_calibrated_on_a_blank_image(service, squares, calibrated_on, blank):
    with pytest.raises(NotCalibrated):
        service.segment(blank)
    assert [type(one.error) for one in service.segment_batch([blank, Image(blank, name="b")])] == [NotCalibrated] * 2
    assert calibrated_on == []
    results = service.segment_batch([blank, lambda: Image(blank, name="b"), Image(squares, name="c")])
    assert [result.count for result in results[2:]] == [3]
    assert [result.count for result in results[:2]] == [0, 0]
    assert calibrated_on == [["c"]]


def test_blank_images_are_left_out_of_a_calibration(service, squares, monkeypatch):
    given = []
    monkeypatch.setattr(calibrating, "calibrate", lambda network, card, planes, **_: given.extend(planes))
    service.calibrate([np.zeros((8, 8)), squares])
    assert [plane.shape for plane in given] == [squares.shape]

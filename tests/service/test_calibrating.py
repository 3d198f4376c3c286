"""int8 through the service: only after a calibration that went well."""

import numpy as np
import pytest

from napari_unetseg.errors import NotCalibrated, ParameterError
from napari_unetseg.image import Image
from napari_unetseg.inference import int8_calibration
from napari_unetseg.inference.backends.openvino import conversion, int8_store
from napari_unetseg.inference.backends.processor import computes_bfloat16
from napari_unetseg.service import SegmentationService, calibrating
from napari_unetseg.service.calibrating import MOST_PLANES, calibrate_package

pytest.importorskip("nncf")


@pytest.fixture(autouse=True)
def in_float32(tmp_path, monkeypatch):
    """An empty cache, and a quantisation that is none; test_quantisation.py has the real one."""

    def quantise(work, model, kept, cancel):
        conversion.save(conversion.read(model), work)

    monkeypatch.setattr(conversion, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(int8_calibration, "_quantise", quantise)


@pytest.fixture
def service(bright_model, settings):
    with SegmentationService(bright_model, settings=settings(), precision="int8") as service:
        yield service


def test_int8_runs_after_a_calibration_and_says_how_well(service, squares):
    with pytest.raises(NotCalibrated, match="bright was not calibrated for int8"):
        service.segment(squares)
    assert service.health(dummy_inference=False).performance.failures == 0
    assert service.calibrate([squares]).accepted
    result = service.segment(squares)
    assert (result.count, result.warnings) == (3, ())
    assert (result.provenance.backend, result.provenance.precision) == ("openvino", "int8")
    assert "Dice of 1.0000" in service.model_info().backend_reason


def test_below_the_limit_another_precision_runs_and_says_so(service, squares, monkeypatch):
    monkeypatch.setattr(int8_store, "LEAST_DICE", 1.5)
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
    monkeypatch.setattr(int8_store, "LEAST_DICE", 1.5)
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
    calibrate_package(service.package, [Image(stack, "ZYX"), stack[5]])
    levels = [int(image.array[0, 0]) for image in given]
    assert len(levels) - 1 <= MOST_PLANES
    assert levels == [1, 4, 7, 10, 13, 16, 19, 5]

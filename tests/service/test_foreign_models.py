"""A model whose network another program wrote serves as any other does."""

import numpy as np
import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.errors import ModelError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.selection import BackendRequest
from napari_unetseg.service.calibrating import calibrate_package, needs_conversion
from napari_unetseg.service.forecast import Workload
from napari_unetseg.zoo.registry import find_model

SIZES = {
    "any size": {},
    "with a halo": {"halo": 4, "step": 4, "smallest": 8, "largest": 24},
    "blended": {"step": 4, "smallest": 8, "largest": 32},
    "one size": {"smallest": 32, "largest": 32, "halo": 4, "batch": False},
}


class Labels:
    """A `LabelTarget` in memory."""

    def __init__(self, *shape):
        self.array = np.zeros(shape, np.int32)

    def write_block(self, plane, block, labels):
        self.array[*plane, *block] = labels

    def read(self, plane, region):
        return self.array[*plane, *region].copy()


@pytest.fixture
def whole(foreign_model, squares, settings):
    """What is found of the squares undivided."""
    with SegmentationService(foreign_model(), settings=settings()) as service:
        return service.segment(squares)


@pytest.mark.parametrize("kind", ["onnx_graph", "torchscript"])
@pytest.mark.parametrize("sizes", SIZES)
def test_an_image_is_divided_as_the_card_says_and_out_of_core_alike(
    foreign_model, squares, settings, whole, tmp_path, kind, sizes
):
    assert whole.count == 3
    with SegmentationService(foreign_model(kind, **SIZES[sizes]), settings=settings()) as service:
        result = service.segment(squares)
        labels = Labels(*squares.shape)
        service.segment_blocks(Image(squares, "YX"), tmp_path / "job", labels)
    assert (result.provenance.tiles > 1) == (sizes != "any size")
    assert result.provenance.halo == (SIZES[sizes].get("halo", 0))
    np.testing.assert_array_equal(result.labels, labels.array)
    # Zeros beyond the border of a window are no part of the image, which only a halo keeps out.
    if sizes != "blended":
        np.testing.assert_array_equal(result.labels, whole.labels)
        np.testing.assert_allclose(result.foreground, whole.foreground, atol=1e-6)


@pytest.mark.parametrize("kind", ["onnx_graph", "torchscript"])
def test_it_is_described_and_found_well(foreign_model, squares, settings, kind):
    with SegmentationService(foreign_model(kind, step=4, smallest=8), settings=settings()) as service:
        forecast = service.forecast(Workload(squares.shape))
        unloaded = service.model_info()
        service.initialize()
        loaded, health = service.model_info(), service.health()
    assert forecast.window == 80
    assert unloaded.architecture_details["step"] == loaded.architecture_details["step"] == 4
    assert loaded.backend == {"onnx_graph": "onnxruntime", "torchscript": "torch"}[kind]
    assert "alone computes" in loaded.backend_reason
    assert health.known_answer.passed
    assert health.problems == ()


def test_what_was_asked_for_but_cannot_be_is_a_warning_of_the_result(foreign_model, squares, settings):
    with SegmentationService(
        foreign_model(), settings=settings(model__backend="openvino", model__precision="int8")
    ) as service:
        result = service.segment(squares)
    assert result.provenance.backend == "onnxruntime"
    assert any("openvino int8 was asked for" in warning for warning in result.warnings)


def test_it_is_not_brought_into_another_form(foreign_model, squares):
    package = find_model(foreign_model("torchscript"))
    with pytest.raises(
        ModelError, match="Blurred cannot be calibrated for int8: its network comes from another program"
    ):
        calibrate_package(package, [squares])
    assert not needs_conversion(package, BackendRequest("openvino"), "cpu")


@pytest.mark.parametrize("kind", ["onnx_graph", "torchscript"])
def test_an_exchanged_file_is_not_read(foreign_model, squares, settings, kind):
    folder = foreign_model(kind)
    weights = find_model(folder).weights
    weights.write_bytes(weights.read_bytes() + b"\0")
    with (
        SegmentationService(folder, settings=settings()) as service,
        pytest.raises(ModelError, match="these are not the weights"),
    ):
        service.segment(squares)

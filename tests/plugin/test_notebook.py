"""A viewer that a notebook makes: results are added to it, and the widget docks in it."""

from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unetseg import Image, SegmentationService
from napari_unetseg.plugin.layers.outputs import MAX_CONTOURS
from napari_unetseg.plugin.layers.outputs import METADATA_KEY as KEY_OF_WINDOW
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import Segmentation
from napari_unetseg.service.viewer_layers import METADATA_KEY, MOST_OUTLINES


def test_layers_are_those_of_the_window() -> None:
    assert (METADATA_KEY, MOST_OUTLINES) == (KEY_OF_WINDOW, MAX_CONTOURS)


def test_a_result_adds_its_layers(
    make_napari_viewer: Any, service: SegmentationService, squares: NDArray[np.uint16]
) -> None:
    viewer = make_napari_viewer(show=False)
    result = service.segment(Image(squares, scale=(0.5, 0.25), unit="micrometer", name="cells"))
    layers = result.add_to(viewer, confidence=True)
    assert [layer.name for layer in viewer.layers] == ["cells confidence", "cells labels", "cells contours"]
    assert layers == list(viewer.layers)
    labels, contours = viewer.layers[1:]
    np.testing.assert_array_equal(labels.data, result.labels)
    assert list(labels.features["index"]) == [1, 2, 3]
    assert len(contours.data) == 3
    for layer in layers:
        np.testing.assert_allclose(layer.scale, (0.5, 0.25))
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
        assert layer.metadata[METADATA_KEY]["model"] == "bright"


def test_a_stack_adds_its_layers(
    make_napari_viewer: Any, service: SegmentationService, squares: NDArray[np.uint16]
) -> None:
    viewer = make_napari_viewer(show=False)
    stack = Image(np.stack([squares, squares * 0, squares]), "ZYX", scale=(0.5, 0.5), unit="micrometer", name="cells")
    service.segment(stack).add_to(viewer)
    labels, contours = viewer.layers
    assert labels.data.shape == stack.array.shape
    assert sorted({float(ring[0, 0]) for ring in contours.data}) == [0, 2]


def test_nothing_and_too_much_can_be_added(
    make_napari_viewer: Any, segmentation: Segmentation, service: SegmentationService, monkeypatch: Any
) -> None:
    viewer = make_napari_viewer(show=False)
    service.segment(np.zeros((40, 40), np.uint8)).add_to(viewer)
    assert viewer.layers["image contours"].data == []
    monkeypatch.setattr("napari_unetseg.service.viewer_layers.MOST_OUTLINES", 2)
    (labels,) = segmentation.add_to(viewer)
    assert isinstance(labels, Labels)
    assert labels.contour == 1


def test_the_widget_docks_by_the_name_of_the_plugin(
    make_napari_viewer: Any, qtbot: Any, squares: NDArray[np.uint16]
) -> None:
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-unetseg", "U-Net Segmentation")
    assert isinstance(widget, SegmentationWidget)
    viewer.add_image(squares, name="cells")
    assert widget.inputs.image.currentText() == "cells"

"""From a segmentation to layers, without a window."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg.plugin.layers.editing import new_areas
from napari_unetseg.plugin.layers.outputs import build_layers, fresh_names, layer_data
from napari_unetseg.plugin.layers.plane import Plane, shown_plane
from napari_unetseg.postprocessing import blocks
from napari_unetseg.postprocessing.layer_data import OUTPUTS, edge_width, label_features, outline_labels, outlines
from napari_unetseg.service import Segmentation, SegmentationService


@pytest.fixture
def plane(squares: NDArray[np.uint16]) -> Plane:
    viewer = ViewerModel()
    layer = viewer.add_image(np.stack([np.zeros_like(squares), squares]), scale=(3, 0.5, 0.5), units="um")
    viewer.dims.set_current_step(0, 1)
    return shown_plane(layer, viewer.dims)


def with_labels(segmentation: Segmentation, labels: NDArray[np.int32]) -> Segmentation:
    return replace(segmentation, labels=labels)


def test_every_output_becomes_its_kind_of_layer(segmentation: Segmentation, plane: Plane) -> None:
    layers = build_layers(layer_data(segmentation, plane, OUTPUTS))
    assert {output: type(layer) for output, layer in layers.items()} == {
        "labels": Labels,
        "contours": Shapes,
        "confidence": ImageLayer,
    }
    assert next(iter(layers)) == "confidence", "the map must not cover the labels"
    assert list(layers["confidence"].contrast_limits) == [0, 1]
    for layer in layers.values():
        assert isinstance(layer, Layer)
        np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), (3, 0, 0))
        assert layer.metadata["napari_unetseg"]["plane"] == {0: 1}


def test_contours_have_a_polygon_for_every_ring(segmentation: Segmentation, plane: Plane) -> None:
    labels = np.zeros_like(segmentation.labels)
    labels[2:12, 2:12] = 1
    labels[5:8, 5:8] = 0
    labels[20:24, 30:40] = 2
    rings = outlines(with_labels(segmentation, labels), plane.placement)
    assert rings is not None
    assert list(rings.features["label"]) == [1, 1, 2]
    assert list(rings.features["ring"]) == ["exterior", "hole", "exterior"]
    assert list(rings.features["area"]) == [91, 91, 40]
    assert rings.features["confidence"].between(0, 1).all()
    assert all((ring[:, 0] == 0).all() for ring in rings.polygons)
    assert rings.polygons[0][:, 1:].min(axis=0).tolist() == [1.5, 1.5]


def test_contours_tell_no_confidence_where_it_is_switched_off(segmentation: Segmentation, plane: Plane) -> None:
    rings = outlines(replace(segmentation, with_confidence=False), plane.placement)
    assert rings is not None
    assert list(rings.features) == ["label", "ring", "area"]


def test_no_object_gives_empty_layers_of_the_right_dimension(segmentation: Segmentation, plane: Plane) -> None:
    empty = with_labels(segmentation, np.zeros_like(segmentation.labels))
    layers = build_layers(layer_data(empty, plane, ("labels", "contours")))
    assert len(layers["contours"].data) == 0
    assert layers["contours"].ndim == 3
    assert len(label_features(empty)) == 0


def test_an_emptied_layer_of_contours_takes_new_areas(segmentation: Segmentation, plane: Plane) -> None:
    found = outlines(segmentation, plane.placement)
    none = outlines(with_labels(segmentation, np.zeros_like(segmentation.labels)), plane.placement)
    assert found is not None
    assert none is not None
    layer = Shapes(found.polygons, shape_type="polygon", features=found.features)
    layer.data, layer.features = none.polygons, none.features
    new_areas(layer)
    layer.add_polygons([found.polygons[0]])
    assert layer.features[["label", "ring"]].to_numpy().tolist() == [[0, "exterior"]]


def test_features_name_the_label_in_the_column_that_napari_looks_for(segmentation: Segmentation) -> None:
    features = label_features(segmentation)
    assert list(features["index"]) == [1, 2, 3]
    assert list(features["area_px"]) == [64, 36, 16]


@pytest.mark.parametrize("pixels_at_once", [9, 20, 1000])
def test_edges_of_objects_are_drawn_inside_them(pixels_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "STRIP", pixels_at_once)
    labels = np.zeros((8, 9), np.int32)
    labels[1:6, 1:5], labels[1:6, 5:8] = 1, 2
    edges = outline_labels(labels)
    expected = labels.copy()
    expected[2:5, 2:4] = 0
    expected[2:5, 6] = 0
    np.testing.assert_array_equal(edges, expected)


def test_lines_are_as_wide_as_objects_need(segmentation: Segmentation) -> None:
    assert edge_width(with_labels(segmentation, np.zeros((4, 4), np.int32))) == 0.5
    assert edge_width(with_labels(segmentation, np.ones((40, 40), np.int32))) == pytest.approx(2)
    assert edge_width(with_labels(segmentation, np.ones((400, 400), np.int32))) == 4


def test_names_are_numbered_together() -> None:
    outputs = ("labels", "contours")
    assert fresh_names("a", outputs, set()) == {"labels": "a labels", "contours": "a contours"}
    taken = {"a contours", "a labels [2]"}
    assert fresh_names("a", outputs, taken) == {"labels": "a labels [3]", "contours": "a contours [3]"}


@given(st.sets(st.sampled_from([f"a {kind}{n}" for kind in OUTPUTS for n in ("", " [2]", " [3]", " [4]")])))
def test_names_are_never_taken(taken: set[str]) -> None:
    assert not set(fresh_names("a", OUTPUTS, taken).values()) & taken


def test_the_agreement_is_a_layer_where_the_network_ran_several_times(
    segmentation: Segmentation, plane: Plane, service: SegmentationService
) -> None:
    averaged = service.segment(segmentation.image, augment=True)
    assert averaged.agreement is not None
    assert list(layer_data(segmentation, plane, ("confidence", "agreement"))) == ["confidence"]
    made = layer_data(averaged, plane, ("confidence", "agreement"))
    assert list(made) == ["confidence", "agreement"]
    np.testing.assert_array_equal(made["agreement"][0], plane.placement.expand(averaged.agreement))

"""Polygons that any GIS or QuPath rasterises to the same objects."""

import json

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from napari_unetseg.io import write_geojson
from napari_unetseg.postprocessing.contours import trace_contours


def polygons_of(feature):
    geometry = feature["geometry"]
    return [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]


def rasterise(collection, shape):
    """Label the pixels whose centre (x + 0.5, y + 0.5) lies inside, by matplotlib's own rule."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    centres = np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5])
    labels = np.zeros(shape, int)
    for feature in collection["features"]:
        for exterior, *holes in polygons_of(feature):
            inside = Outline(exterior).contains_points(centres)
            for hole in holes:
                inside &= ~Outline(hole).contains_points(centres)
            labels[inside.reshape(shape)] = feature["properties"]["label"]
    return labels


def blobs():
    rng = np.random.default_rng(4)
    labels = np.zeros((40, 50), int)
    y, x = np.mgrid[:40, :50]
    for label in range(1, 13):
        centre, radius = rng.uniform(0, (40, 50)), rng.uniform(2, 8)
        labels[np.hypot(y - centre[0], x - centre[1]) < radius] = label
    labels[10:14, 20:24] = 0
    return labels


def write(tmp_path, labels, **kwargs):
    write_geojson(tmp_path / "a.geojson", trace_contours(labels), **kwargs)
    return json.loads((tmp_path / "a.geojson").read_text())


def test_rasterised_back_it_is_the_same_labels(tmp_path):
    labels = blobs()
    collection = write(tmp_path, labels)
    assert collection["type"] == "FeatureCollection"
    np.testing.assert_array_equal(rasterise(collection, labels.shape), labels)


def test_first_pixel_spans_zero_to_one_in_x_and_y(tmp_path):
    labels = np.zeros((3, 4), int)
    labels[0, 2] = 5
    (feature,) = write(tmp_path, labels)["features"]
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    assert {tuple(point) for point in ring} == {(2, 0), (3, 0), (3, 1), (2, 1)}
    assert feature["properties"]["label"] == 5


def test_exterior_and_hole_turn_opposite_ways(tmp_path):
    labels = np.ones((5, 5), int)
    labels[2, 2] = 0
    (feature,) = write(tmp_path, labels)["features"]
    exterior, hole = (np.array(ring) for ring in feature["geometry"]["coordinates"])

    def area(ring):
        x, y = ring.T
        return np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])

    assert area(exterior) == 2 * 25  # positive: counterclockwise as RFC 7946 counts
    assert area(hole) == -2


def test_pieces_of_one_object_stay_one_feature(tmp_path):
    labels = np.zeros((4, 4), int)
    labels[0, 0] = labels[3, 3] = 1
    (feature,) = write(tmp_path, labels)["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    np.testing.assert_array_equal(rasterise({"features": [feature]}, labels.shape), labels)


def test_measurements_go_with_their_object(tmp_path):
    labels = np.array([[1, 0, 2]])
    table = {"label": [2, 1], "confidence": [0.25, 0.75], "area": [3.0, float("nan")], "remark": ["x", "y"]}
    one, two = write(tmp_path, labels, measurements=table)["features"]
    assert one["properties"]["measurements"] == {"confidence": 0.75}
    assert one["properties"]["confidence"] == 0.75
    assert two["properties"]["measurements"] == {"confidence": 0.25, "area": 3.0}


@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_no_objects(tmp_path, shape):
    assert write(tmp_path, np.zeros(shape, int))["features"] == []

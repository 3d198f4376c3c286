"""Polygons that any GIS or QuPath rasterises to the same objects."""

import io
import json
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import Position, geojson_features, read_geojson, write_geojson
from napari_unetseg.io.object_properties import ObjectProperties
from napari_unetseg.postprocessing import contours
from napari_unetseg.postprocessing.contours import trace_contours

label_images = arrays(
    np.int32, st.tuples(st.integers(1, 11), st.integers(1, 11)), elements=st.sampled_from([0, 0, 1, 1, 1, 2, 3, 99999])
)


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


@given(labels=label_images)
@settings(deadline=None)
def test_masks_come_back_equal(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("geojson") / "a.geojson"
    write_geojson(path, trace_contours(labels))
    np.testing.assert_array_equal(rasterise(json.loads(path.read_text()), labels.shape), labels)
    np.testing.assert_array_equal(contours.rasterise(read_geojson(path).contours, labels.shape), labels)


def test_features_are_what_qupath_makes_of_its_own(tmp_path):
    labels = np.array([[1, 0, 2]])
    one, two = write(tmp_path, labels, classification="nuclei", measurements={"label": [1], "area": [1]})["features"]
    assert one["type"] == "Feature"
    assert one["properties"]["objectType"] == "detection"
    assert one["properties"]["name"] == "1"
    assert one["properties"]["classification"] == {"name": "nuclei", "color": [255, 140, 26]}
    assert one["properties"]["measurements"] == {"area": 1}
    assert "measurements" not in two["properties"]
    assert "isLocked" not in one["properties"], "QuPath writes it for what is locked only"
    assert "plane" not in one["geometry"], "QuPath writes it for stacks only"
    assert uuid.UUID(one["id"]) != uuid.UUID(two["id"])
    again = write(tmp_path, labels)["features"]
    assert [feature["id"] for feature in again] == [one["id"], two["id"]]
    assert "classification" not in again[0]["properties"]


def test_planes_go_into_the_geometry_and_come_back(tmp_path):
    labels = np.array([[1, 0, 2]])
    positions = [Position(z=0, t=3), Position(z=2, t=0)]
    one, two = write(tmp_path, labels, positions=positions)["features"]
    assert one["geometry"]["plane"] == {"c": -1, "z": 0, "t": 3}
    assert two["geometry"]["plane"] == {"c": -1, "z": 2, "t": 0}
    assert read_geojson(tmp_path / "a.geojson").positions == positions
    write(tmp_path, labels, positions=[Position(z=0), Position(c=1)])
    assert read_geojson(tmp_path / "a.geojson").positions == [Position(), Position(c=1)]


def test_an_object_of_two_planes_is_a_feature_in_each(tmp_path):
    contours = trace_contours(np.ones((2, 2), int)) * 2
    write_geojson(tmp_path / "a.geojson", contours, positions=[Position(z=0), Position(z=1)])
    one, two = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert one["properties"]["label"] == two["properties"]["label"] == 1
    assert one["id"] != two["id"]


def test_measurements_of_an_object_of_two_planes_come_back_with_each(tmp_path):
    contours = trace_contours(np.ones((2, 2), int)) * 2
    table = {"label": [1, 1], "z": [0, 1], "area": [5.0, 7.0]}
    write_geojson(tmp_path / "a.geojson", contours, positions=[Position(z=0), Position(z=1)], measurements=table)
    assert read_geojson(tmp_path / "a.geojson").measurements == table


def test_pixel_size_and_measurements_come_back(tmp_path):
    table = {"label": [1, 2], "area": [3.5, float("nan")], "confidence": [0.25, 0.5]}
    write(tmp_path, np.array([[1, 0, 2]]), measurements=table, scale=(0.5, 0.25), unit="micrometer")
    read = read_geojson(tmp_path / "a.geojson")
    assert (read.scale, read.unit) == ((0.5, 0.25), "micrometer")
    assert list(read.measurements["label"]) == [1, 2]
    np.testing.assert_array_equal(read.measurements["area"], [3.5, np.nan])
    assert list(read.measurements["confidence"]) == [0.25, 0.5]
    write(tmp_path, np.array([[1, 0, 2]]))
    read = read_geojson(tmp_path / "a.geojson")
    assert (read.scale, read.unit, read.measurements) == (None, None, {})


def test_objects_from_elsewhere(tmp_path):
    square = [[0, 0], [0, 4], [4, 4], [4, 0], [0, 0]]  # anticlockwise on the screen
    hole = [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [square, hole]},
            "properties": {"name": "7"},
        },
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}},
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[9.25, 0], [9.25, 2], [8, 2], [9.25, 0]]]},
            "properties": {"name": "tumour", "measurements": [{"name": "Area", "value": 1.25}]},
        },
    ]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(features))
    read = read_geojson(path)
    assert [contour.label for contour in read.contours] == [7, 8]
    assert [contour.area for contour in read.contours] == [15, 1.25]
    assert read.left_out == ("1 point",)
    np.testing.assert_array_equal(read.measurements["Area"], [np.nan, 1.25])
    path.write_text(json.dumps(features[0]))
    assert len(read_geojson(path).contours) == 1


@pytest.mark.parametrize(
    "content", ["{", "{}", "[1]", '{"type": "FeatureCollection"}', '{"type": "FeatureCollection", "features": [{}]}']
)
def test_what_is_no_geojson(tmp_path, content):
    (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(UnetsegError, match=r"a\.geojson: cannot be read as GeoJSON"):
        read_geojson(tmp_path / "a.geojson")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnetsegError, match=r"gone\.geojson: cannot be read"):
        read_geojson(tmp_path / "gone.geojson")


def square(left, top=0, side=10):
    right, bottom = left + side, top + side
    return {
        "type": "Polygon",
        "coordinates": [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]],
    }


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def read_document(tmp_path, document):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(document))
    return read_geojson(path)


def places(read):
    """Return the left edge and the label of each contour."""
    return [(float(one.exterior[:, 1].min() + 0.5), one.label) for one in read.contours]


COLLECTION = {"type": "GeometryCollection", "geometries": [square(0), square(20)]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (square(0), [(0, 1)]),
        (feature(square(0)), [(0, 1)]),
        ([square(0), feature(square(20))], [(0, 1), (20, 2)]),
        (COLLECTION, [(0, 1), (20, 2)]),
        (feature(COLLECTION, label=5), [(0, 5), (20, 5)]),
        (feature({"type": "GeometryCollection", "geometries": [COLLECTION, square(40)]}), [(0, 1), (20, 1), (40, 1)]),
        ({"type": "FeatureCollection", "features": [{"type": "FeatureCollection", "features": [feature(square(3))]}]},
         [(3, 1)]),
        (feature({"type": "MultiPolygon", "coordinates": [square(0)["coordinates"], [[]], square(9)["coordinates"]]}),
         [(0, 1), (9, 1)]),
    ],
)  # fmt: skip
def test_every_legal_root_and_collection_is_read(tmp_path, document, expected):
    read = read_document(tmp_path, document)
    assert places(read) == expected
    assert read.left_out == ()


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        (None, "1 unplaced object"),
        ({"type": "Polygon", "coordinates": []}, "1 empty polygon"),
        ({"type": "Polygon", "coordinates": [[]]}, "1 empty polygon"),
        ({"type": "Polygon", "coordinates": [[[1, 1], [2, 2], [1, 1]]]}, "1 empty polygon"),
        ({"type": "MultiPolygon", "coordinates": []}, "1 empty polygon"),
        ({"type": "GeometryCollection", "geometries": []}, "1 empty geometry"),
        ({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, "1 linestring"),
        ({"type": "MultiPoint", "coordinates": [[0, 0]]}, "1 multipoint"),
        ({"type": "Circle", "radius": 3}, "1 unknown geometry"),
    ],
)
def test_what_has_no_area_is_counted_and_the_others_are_read(tmp_path, geometry, said):
    read = read_document(tmp_path, [feature(geometry), feature(square(7))])
    assert places(read) == [(7, 1)]
    assert read.left_out == (said,)


def test_an_empty_place_in_a_list_of_features_is_counted(tmp_path):
    read = read_document(tmp_path, {"type": "FeatureCollection", "features": [None, feature(square(7))]})
    assert (places(read), read.left_out) == ([(7, 1)], ("1 unplaced object",))


def test_points_beside_areas_in_a_collection_are_counted(tmp_path):
    points = [{"type": "Point", "coordinates": [0, 0]}] * 2
    read = read_document(tmp_path, feature({"type": "GeometryCollection", "geometries": [*points, square(4)]}))
    assert (places(read), read.left_out) == ([(4, 1)], ("2 points",))


@pytest.mark.parametrize("label", [3, 3.0, "3", "3.0", " 3 "])
def test_a_label_is_a_whole_number_however_it_is_written(tmp_path, label):
    assert places(read_document(tmp_path, [feature(square(0), label=label)])) == [(0, 3)]
    assert places(read_document(tmp_path, [feature(square(0), name=label)])) == [(0, 3)]


@pytest.mark.parametrize("label", [3.5, "3.5", -1, 0, True, None, "nan", float("inf"), 2**40, 1e300, [3], "cell"])
def test_what_is_no_label_leaves_the_next_number(tmp_path, label):
    read = read_document(tmp_path, [feature(square(0), label=label), feature(square(20), label=8)])
    assert places(read) == [(0, 9), (20, 8)]


def test_a_label_that_measured_objects_share_joins_none_of_them(tmp_path):
    measured = [feature(square(left), label=3, measurements={"area": left}) for left in (0, 20)]
    read = read_document(tmp_path, [*measured, feature(square(40), label=4)])
    assert places(read) == [(0, 5), (20, 6), (40, 4)]
    np.testing.assert_array_equal(read.measurements["area"], [0, 20, np.nan])


def test_pieces_that_share_a_label_and_were_not_measured_are_one_object(tmp_path):
    pieces = [feature(square(left), label=3) for left in (0, 20)]
    assert places(read_document(tmp_path, pieces)) == [(0, 3), (20, 3)]


def test_a_measurement_that_is_called_label_is_no_label(tmp_path):
    measured = feature(square(0), label=4, measurements={"label": 9, "area": 1})
    assert read_document(tmp_path, measured).measurements == {"label": [4], "area": [1.0]}


def test_a_name_that_several_objects_share_joins_none_of_them(tmp_path):
    named = [feature(square(left), name=name) for left, name in ((0, "1"), (20, "1"), (40, "1.0"), (60, "7"))]
    assert places(read_document(tmp_path, named)) == [(0, 8), (20, 9), (40, 10), (60, 7)]
    taken = [feature(square(0), name="4"), feature(square(20), label=4)]
    assert places(read_document(tmp_path, taken)) == [(0, 5), (20, 4)]
    deep = [feature(square(0) | {"plane": {"c": -1, "z": z, "t": 0}}, name="2") for z in range(3)]
    assert places(read_document(tmp_path, deep)) == [(0, 2)] * 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_of_the_encoding_is_no_content(tmp_path, encoding):
    (tmp_path / "a.geojson").write_text(json.dumps([feature(square(0), name="Zelle µ")]), encoding=encoding)
    read = read_geojson(tmp_path / "a.geojson")
    assert read.properties[0].name == "Zelle µ"


def test_points_with_a_height_and_rings_that_are_not_closed(tmp_path):
    ring = [[0, 0, 5], [4, 0], [4, 4, 5], [0, 4]]
    read = read_document(tmp_path, {"type": "Polygon", "coordinates": [ring]})
    assert [contour.area for contour in read.contours] == [16]


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "1e300", '"far"', "null", "[1]"])
def test_a_coordinate_that_is_no_place_is_refused(tmp_path, bad):
    (tmp_path / "a.geojson").write_text(f'{{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,{bad}],[0,0]]]}}')
    with pytest.raises(UnetsegError, match=r"a\.geojson: cannot be read as GeoJSON"):
        read_geojson(tmp_path / "a.geojson")


@pytest.mark.parametrize("root", ["geometries", "features"])
def test_collections_without_end_are_refused_in_a_sentence(tmp_path, root):
    kind = "GeometryCollection" if root == "geometries" else "FeatureCollection"
    document = square(0)
    for _ in range(40):
        document = {"type": kind, root: [document]}
    with pytest.raises(UnetsegError, match=r"a\.geojson: is nested too deeply"):
        read_document(tmp_path, document)
    (tmp_path / "a.geojson").write_text("[" * 200_000)
    with pytest.raises(UnetsegError, match=r"a\.geojson: is nested too deeply"):
        read_geojson(tmp_path / "a.geojson")


def test_a_file_beyond_all_measure_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(geojson_features, "MAX_BYTES", 2**20)
    (tmp_path / "a.geojson").write_text(" " * (2**20 + 1))
    with pytest.raises(UnetsegError, match=r"a\.geojson: is larger than 1 MB"):
        read_geojson(tmp_path / "a.geojson")


TUMOUR = {"name": "Tumour", "color": [200, 0, 10]}


@pytest.mark.parametrize(
    "classification", [TUMOUR, {"name": "Stroma"}, {"names": ["Tumour", "Positive"], "color": [1, 2, 3]}, None]
)
def test_class_identifier_type_and_name_survive(tmp_path, classification):
    properties = {"objectType": "annotation", "name": "left lobe"}
    if classification:
        properties["classification"] = classification
    read = read_document(tmp_path, feature(square(0), **properties) | {"id": "0d1b-7"})
    path = tmp_path / "again.geojson"
    write_geojson(path, read.contours, properties=read.properties, classification="nuclei")
    (again,) = json.loads(path.read_text())["features"]
    assert again["id"] == "0d1b-7"
    assert {key: again["properties"].get(key) for key in properties} == properties
    assert again["properties"].get("classification") == classification
    assert again["geometry"] == square(0)


def test_the_colour_of_older_programs_is_unpacked(tmp_path):
    old = {"name": "Tumor", "colorRGB": -3670016}
    assert read_document(tmp_path, feature(square(0), classification=old)).properties == [
        ObjectProperties(classification="Tumor", colour=(200, 0, 0))
    ]


def test_a_copied_object_gets_an_identifier_of_its_own(tmp_path):
    read = read_document(tmp_path, [feature(square(0)) | {"id": "same"}, feature(square(20)) | {"id": "same"}])
    write_geojson(tmp_path / "b.geojson", read.contours, properties=read.properties)
    one, two = (one["id"] for one in json.loads((tmp_path / "b.geojson").read_text())["features"])
    assert one == "same" != two


def test_nucleus_and_cell_stay_together(tmp_path):
    known = {"objectType": "cell", "color": [1, 2, 3], "isLocked": True, "metadata": {"batch": "7"}}
    cells = [
        feature(square(0), **known) | {"nucleusGeometry": square(2, 2, 3)},
        # As early versions had it.
        feature(square(40), objectType="cell", nucleusGeometry=square(42, 42, 43)),
    ]
    read = read_document(tmp_path, cells)
    assert (len(read.contours), read.left_out) == (2, ())
    write_geojson(tmp_path / "b.geojson", read.contours, properties=read.properties)
    first, second = json.loads((tmp_path / "b.geojson").read_text())["features"]
    assert first["nucleusGeometry"] == square(2, 2, 3)
    assert {key: first["properties"][key] for key in known} == known
    assert second["nucleusGeometry"] == square(42, 42, 43)
    again = read_geojson(tmp_path / "b.geojson")
    assert [one.rest for one in again.properties] == [one.rest for one in read.properties]


def test_what_is_kept_for_qupath_has_to_be_json(tmp_path):
    contours_ = trace_contours(np.ones((2, 2), int))
    for changed in ("{", "[1]", '{"properties": 1}', '{"a": NaN}'):
        with pytest.raises(UnetsegError, match=r"Object 1: .* is no JSON any more"):
            write_geojson(tmp_path / "a.geojson", contours_, properties=[ObjectProperties(rest=changed)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [(float("nan"), 1), (0, 1), (1, float("inf"))])
def test_no_pixel_size_is_better_than_one_that_is_no_json(tmp_path, scale):
    write(tmp_path, np.array([[1]]), scale=scale, unit="micrometer")
    assert "pixel_size" not in json.loads((tmp_path / "a.geojson").read_text(), parse_constant=pytest.fail)


def test_numbers_of_tables_are_written_as_json_has_them(tmp_path):
    table = {"label": np.array([1], np.int64), "area": np.array([2.5], np.float32), "n": np.array([np.inf])}
    (one,) = write(tmp_path, np.array([[1]]), measurements=table, scale=np.array([0.5, -0.5], np.float32), unit="mm")[
        "features"
    ]
    assert one["properties"]["measurements"] == {"area": 2.5}
    assert read_geojson(tmp_path / "a.geojson").scale == (0.5, 0.5)


def test_in_memory_it_is_the_same_file(tmp_path):
    found, memory = trace_contours(np.kron(np.eye(3, dtype=int), np.ones((4, 4), int))), io.BytesIO()
    write_geojson(tmp_path / "a.geojson", found, classification="cell")
    write_geojson(memory, found, classification="cell")
    assert memory.getvalue() == (tmp_path / "a.geojson").read_bytes()

"""Which files are ours to open, and what is told of what is not."""

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from napari.layers import Layer, Shapes
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from napari_unetseg.io import write_rois
from napari_unetseg.plugin import readers
from napari_unetseg.plugin.readers import get_reader, open_geojson, open_rois
from napari_unetseg.plugin.writers import save_shapes_as_geojson


def test_archives_of_other_things_are_left_to_others(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    roiwrite(tmp_path / "rois.zip", [ImagejRoi.frompoints([(0, 0), (4, 0), (4, 4)], name="a")], mode="w")
    assert get_reader(str(tmp_path / "other.zip")) is None
    assert get_reader(str(tmp_path / "rois.zip")) is readers.open_rois
    assert get_reader("a.ROI") is readers.open_rois
    assert get_reader("a.geojson") is readers.open_geojson
    assert get_reader("a.csv") is None
    assert get_reader(["a.geojson", "b.geojson"]) is None


def test_lines_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr(readers, "show_warning", texts.append)
    line = ImagejRoi(roitype=ROI_TYPE.LINE, x2=4.0, name="line")
    roiwrite(tmp_path / "a.zip", [line, ImagejRoi.frompoints([(0, 0), (4, 0), (4, 4)], name="a")], mode="w")
    ((polygons, _, _),) = open_rois(str(tmp_path / "a.zip"))
    np.testing.assert_array_equal(polygons[0], np.array([(0, 0), (0, 4), (4, 4)]) - 0.5)
    assert texts == [f"{tmp_path / 'a.zip'}: 1 line not opened, since only areas are."]


def test_an_archive_of_nothing_is_an_empty_layer(tmp_path: Path) -> None:
    write_rois(tmp_path / "a.zip", [])
    (data,) = open_rois(str(tmp_path / "a.zip"))
    layer = Layer.create(*data)
    assert isinstance(layer, Shapes)
    assert len(layer.data) == 0


def test_what_qupath_knows_of_an_object_survives_the_layer(tmp_path: Path) -> None:
    ring = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    hole = [[2, 2], [2, 4], [4, 4], [4, 2], [2, 2]]
    known = {"objectType": "annotation", "name": "lobe", "classification": {"name": "Tumour", "color": [200, 0, 10]}}
    features = [
        {"type": "Feature", "id": "0d1b", "geometry": {"type": "Polygon", "coordinates": rings}, "properties": own}
        for rings, own in (([ring, hole], known), ([[[x + 20, y] for x, y in ring]], {}))
    ]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (data,) = open_geojson(str(tmp_path / "a.geojson"))
    layer = Layer.create(*data)
    assert layer.features["class"].tolist()[:2] == ["Tumour"] * 2
    save_shapes_as_geojson(str(tmp_path / "b.geojson"), layer.data, layer.as_layer_data_tuple()[1])
    one, two = json.loads((tmp_path / "b.geojson").read_text())["features"]
    assert one["id"] == "0d1b" != two["id"]
    assert {key: one["properties"][key] for key in known} == known
    assert "classification" not in two["properties"]


def test_an_object_has_in_each_plane_what_was_measured_there(tmp_path: Path) -> None:
    ring = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring], "plane": {"c": -1, "z": z, "t": 0}},
            "properties": {"label": 3, "measurements": {"area": area}},
        }
        for z, area in ((0, 5), (2, 7))
    ]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (data,) = open_geojson(str(tmp_path / "a.geojson"))
    layer = Layer.create(*data)
    assert [polygon[0, 0] for polygon in layer.data] == [0, 2]
    assert layer.features[["label", "z", "area"]].to_numpy().tolist() == [[3, 0, 5], [3, 2, 7]]
    save_shapes_as_geojson(str(tmp_path / "b.geojson"), layer.data, layer.as_layer_data_tuple()[1])
    written = json.loads((tmp_path / "b.geojson").read_text())["features"]
    assert [one["properties"]["measurements"]["area"] for one in written] == [5, 7]


def test_measurements_named_as_columns_of_ours_leave_those_alone(tmp_path: Path) -> None:
    ring = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    own = {
        "label": 4,
        "classification": {"name": "Tumour"},
        "measurements": {"ring": 2, "class": 3, "label": 9, "a": 1},
    }
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": own}
    (tmp_path / "a.geojson").write_text(json.dumps(feature))
    ((_, arguments, _),) = open_geojson(str(tmp_path / "a.geojson"))
    assert arguments["features"].to_dict("list") == {
        "label": [4],
        "ring": ["exterior"],
        "a": [1.0],
        "class": ["Tumour"],
    }

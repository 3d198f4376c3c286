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

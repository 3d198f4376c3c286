"""Which files are ours to open, and what is told of what is not."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from napari.layers import Layer, Shapes
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from napari_unetseg.io import write_rois
from napari_unetseg.plugin import readers
from napari_unetseg.plugin.readers import get_reader, open_rois


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

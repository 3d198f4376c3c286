"""Label images with axes and units that any reader of OME-TIFF finds."""

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.io import read_image, write_ome_labels

planes = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2**31 - 1))


@given(labels=planes)
@settings(deadline=None)
def test_labels_come_back_equal(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("ome") / "a.ome.tif"
    write_ome_labels(path, labels)
    np.testing.assert_array_equal(read_image(path).array, labels)
    np.testing.assert_array_equal(tifffile.imread(path), labels)


def pixels(path):
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        return tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"], file.series[0]


@pytest.mark.parametrize(("largest", "dtype"), [(65535, np.uint16), (65536, np.uint32)])
def test_type_size_and_provenance(tmp_path, largest, dtype):
    provenance = {"image": "Zähl-µm.tif", "parameters": {"threshold": 0.5}}
    labels = np.array([[0, 1, 1], [0, largest, 0]])
    path = tmp_path / "a.ome.tif"
    write_ome_labels(path, labels, scale=(0.5, 0.25), units=("micrometer", "nanometer"), provenance=provenance)
    reported, series = pixels(path)
    assert series.dtype == dtype
    assert series.axes == "YX"
    assert (reported["PhysicalSizeY"], reported["PhysicalSizeYUnit"]) == (0.5, "µm")
    assert (reported["PhysicalSizeX"], reported["PhysicalSizeXUnit"]) == (0.25, "nm")
    with tifffile.TiffFile(path) as file:
        described = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Description"]
    assert (described if isinstance(described, dict) else json.loads(described)) == provenance


@pytest.mark.parametrize("axes", ["ZYX", "TYX", "CYX", "TZYX", "CZYX", "TCZYX"])
def test_stacks_keep_their_axes(tmp_path, axes):
    shape = tuple({"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}[axis] for axis in axes)
    labels = np.arange(np.prod(shape)).reshape(shape)
    units = {"T": "second", "C": "pixel", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"}
    scale = [float(i) for i in range(1, len(axes) + 1)]
    path = tmp_path / "a.ome.tif"
    write_ome_labels(path, labels, axes=axes, scale=scale, units=[units[axis] for axis in axes])
    reported, series = pixels(path)
    assert series.axes == axes
    np.testing.assert_array_equal(series.asarray(), labels)
    if "Z" in axes:
        assert reported["PhysicalSizeZ"] == scale[axes.index("Z")]
    if "T" in axes:
        assert (reported["TimeIncrement"], reported["TimeIncrementUnit"]) == (1, "s")


def test_a_size_in_pixels_is_none(tmp_path):
    write_ome_labels(tmp_path / "a.ome.tif", np.ones((3, 4), int), scale=(2, 2), units=("pixel", None))
    reported, _ = pixels(tmp_path / "a.ome.tif")
    assert not [key for key in reported if key.startswith("PhysicalSize")]


def test_labels_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="labels run from -1 to 3"):
        write_ome_labels(tmp_path / "a.ome.tif", np.array([[-1, 3]]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [0, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_size_is_left_out(tmp_path, bad):
    path = tmp_path / "a.ome.tif"
    units = ("second", "micrometer", "micrometer", "micrometer")
    write_ome_labels(path, np.ones((2, 3, 4, 5), int), axes="TZYX", scale=(bad, 2, bad, 0.5), units=units)
    reported, _ = pixels(path)
    assert "TimeIncrement" not in reported
    assert "PhysicalSizeY" not in reported
    assert (reported["PhysicalSizeZ"], reported["PhysicalSizeX"]) == (2, 0.5)


@pytest.mark.parametrize(
    ("unit", "symbol", "name"),
    [("micron", "µm", "micrometer"), ("angstrom", "Å", "angstrom"), ("picometer", "pm", "picometer"),
     ("inch", "in", "inch")],
)  # fmt: skip
def test_flipped_layers_and_rare_units_make_valid_files(tmp_path, unit, symbol, name):
    path = tmp_path / "a.ome.tif"
    write_ome_labels(path, np.ones((4, 5), int), scale=(np.float32(-0.5), 0.25), units=(unit, unit))
    reported, _ = pixels(path)
    assert (reported["PhysicalSizeY"], reported["PhysicalSizeYUnit"]) == (0.5, symbol)
    assert (read_image(path).scale, read_image(path).unit) == ((0.5, 0.25), name)


def test_a_record_of_numbers_that_json_does_not_hold(tmp_path):
    path = tmp_path / "a.ome.tif"
    write_ome_labels(path, np.ones((4, 5), int), provenance={"mean": np.float32("nan"), "image": "zelle_\udcfc"})
    with tifffile.TiffFile(path) as file:
        described = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Description"]
    assert (described if isinstance(described, dict) else json.loads(described)) == {"mean": None, "image": "zelle_%FC"}

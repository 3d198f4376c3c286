"""Layers saved through napari, as File > Save does it, and opened again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import roifile
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from npe2 import PluginManager, io_utils
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import Position, read_geojson, read_image, read_rois
from napari_unetseg.plugin import writers
from napari_unetseg.plugin.converting import contours_from_labels, measured_again
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import shown_plane, shown_stack
from napari_unetseg.postprocessing.contours import rasterise
from napari_unetseg.service import Segmentation, SegmentationService

PLUGIN = "napari-unetseg"
READERS = {".zip": read_rois, ".geojson": read_geojson}
label_images = arrays(
    np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 0, 1, 1, 1, 2, 70_000])
)


@pytest.fixture(autouse=True)
def plugins() -> Iterator[PluginManager]:
    """The plugins of this environment, as napari finds them at its start."""
    manager = PluginManager.instance()
    manager.discover()
    assert PLUGIN in manager
    return manager


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the writers tell the user."""
    texts: list[str] = []
    monkeypatch.setattr(writers, "show_warning", texts.append)
    return texts


def holed() -> NDArray[np.int32]:
    """A ring, two pieces of one object that touch another, one pixel, and an object at the border."""
    labels = np.zeros((9, 12), np.int32)
    labels[1:6, 1:6] = 1
    labels[3, 3] = 0
    labels[0, 8] = 2
    labels[7:, 3:6] = 3
    labels[7:, 6:8] = 4
    labels[7, 8] = 3
    return labels


@given(labels=label_images)
@settings(deadline=None)
def test_saved_labels_come_back_equal(tmp_path_factory: pytest.TempPathFactory, labels: NDArray[np.int32]) -> None:
    folder = tmp_path_factory.mktemp("saved")
    layer = Labels(labels)
    assert layer.save(folder / "a.ome.tif") == [str(folder / "a.ome.tif")]
    np.testing.assert_array_equal(read_image(folder / "a.ome.tif").array, labels)
    for ending, read in READERS.items():
        if labels.any():
            assert layer.save(folder / f"a{ending}") == [str(folder / f"a{ending}")]
            np.testing.assert_array_equal(rasterise(list(read(folder / f"a{ending}").contours), labels.shape), labels)


@pytest.mark.parametrize("ending", READERS)
def test_saved_and_opened_again_they_are_shapes_with_labels(tmp_path: Path, ending: str) -> None:
    viewer = ViewerModel()
    viewer.add_labels(holed(), name="cells", scale=(0.5, 0.25), units="um")
    viewer.layers.save(str(tmp_path / f"cells{ending}"), plugin=PLUGIN)
    viewer.layers.clear()
    (shapes,) = viewer.open(tmp_path / f"cells{ending}", plugin=PLUGIN)
    assert isinstance(shapes, Shapes)
    assert shapes.name == "cells"
    assert list(shapes.features["label"]) == [1, 1, 2, 3, 3, 4]
    assert list(shapes.features["ring"]) == ["exterior", "hole", *["exterior"] * 4]
    assert set(shapes.shape_type) == {"polygon"}
    if ending == ".geojson":
        assert list(shapes.scale) == [0.5, 0.25]
        assert [str(unit) for unit in shapes.units] == ["micrometer"] * 2
    shapes.save(tmp_path / f"again{ending}")
    again = READERS[ending](tmp_path / f"again{ending}")
    np.testing.assert_array_equal(rasterise(list(again.contours), (9, 12)), holed())


def test_napari_opens_what_was_saved_without_being_told_by_whom(tmp_path: Path) -> None:
    for ending in READERS:
        Labels(holed()).save(tmp_path / f"a{ending}")
        (data,) = io_utils.read([str(tmp_path / f"a{ending}")], stack=False)
        assert data[2] == "shapes"


def test_names_without_our_endings_stay_with_napari(tmp_path: Path) -> None:
    assert Labels(holed()).save(tmp_path / "a.tif") == [str(tmp_path / "a.tif")]
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not file.is_ome
    Shapes([np.eye(4, 2)], shape_type="polygon").save(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().startswith("index,shape-type")


def test_scale_units_and_provenance_of_an_ome_tiff(tmp_path: Path) -> None:
    stack = np.stack([holed(), 2 * holed()])
    layer = Labels(stack, scale=(3, 0.5, 0.25), units="um", metadata={"napari_unetseg": {"model": "nuclei"}})
    layer.save(tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        reported = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
        assert file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.series[0].asarray(), stack)
    assert [reported["Pixels"][f"PhysicalSize{axis}"] for axis in "ZYX"] == [3, 0.5, 0.25]
    assert [reported["Pixels"][f"PhysicalSize{axis}Unit"] for axis in "ZYX"] == ["µm"] * 3
    assert "nuclei" in str(reported["Description"])


@pytest.mark.parametrize("ending", READERS)
def test_each_plane_of_a_stack_keeps_its_place(tmp_path: Path, ending: str) -> None:
    stack = np.zeros((2, 3, 9, 12), np.int32)
    stack[1, 0] = holed()
    stack[0, 2] = 2 * holed()
    Labels(dask.array.from_array(stack), axis_labels=("time", "z", "y", "x")).save(tmp_path / f"a{ending}")
    read = READERS[ending](tmp_path / f"a{ending}")
    for (t, z), plane in {(1, 0): stack[1, 0], (0, 2): stack[0, 2]}.items():
        here = [c for c, place in zip(read.contours, read.positions, strict=True) if place == Position(z=z, t=t)]
        np.testing.assert_array_equal(rasterise(here, (9, 12)), plane)
    (shapes,) = ViewerModel().open(tmp_path / f"a{ending}", plugin=PLUGIN)
    assert shapes.axis_labels == ("t", "z", "y", "x")
    assert {tuple(polygon[0, :2]) for polygon in shapes.data} == {(1, 0), (0, 2)}


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("kind", ["labels", "shapes"])
@pytest.mark.parametrize("name", ["frames", "Timepoint"])
def test_a_time_series_keeps_its_times(tmp_path: Path, name: str, kind: str, ending: str) -> None:
    stack = np.zeros((4, 20, 20), np.int32)
    stack[2, 3:9, 3:9] = 1
    layer = Labels(stack, axis_labels=(name, "y", "x"))
    if kind == "shapes":
        layer = Layer.create(*contours_from_labels(layer))
    layer.save(tmp_path / f"a{ending}")
    if ending == ".geojson":
        (feature,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
        assert feature["geometry"]["plane"] == {"c": -1, "z": 0, "t": 2}
        assert read_geojson(tmp_path / "a.geojson").positions == [Position(t=2)]
    else:
        # ImageJ's place in a plain stack, where z and t are the same.
        assert [roi.position for roi in roifile.roiread(tmp_path / "a.zip")] == [3]


def test_a_time_series_of_channels_keeps_both(tmp_path: Path) -> None:
    stack = np.zeros((4, 3, 20, 20), np.int32)
    stack[2, 1, 3:9, 3:9] = 1
    layer = Labels(stack, axis_labels=("frames", "channels", "y", "x"), scale=(5, 1, 1, 1), units=("s", *["pixel"] * 3))
    layer.save(tmp_path / "a.zip")
    (roi,) = roifile.roiread(tmp_path / "a.zip")
    assert (roi.t_position, roi.c_position, roi.z_position) == (3, 2, 0)
    layer.save(tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert file.series[0].axes == "TCYX"
        assert tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]["TimeIncrement"] == 5
    assert set(measured_again(layer, ImageLayer(stack)).columns) > {"t", "c"}


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("output", ["labels", "contours"])
def test_what_the_plugin_made_of_a_plane_names_the_plane(
    tmp_path: Path, segmentation: Segmentation, squares: NDArray[np.uint16], ending: str, output: str
) -> None:
    viewer = ViewerModel()
    image = ImageLayer(np.stack([squares] * 4), scale=(3, 0.5, 0.5), units="um")
    viewer.add_layer(image)
    viewer.dims.set_current_step(0, 2)
    layers = build_layers(layer_data(segmentation, shown_plane(image, viewer.dims), ("labels", "contours")))
    layers[output].save(tmp_path / f"a{ending}")
    read = READERS[ending](tmp_path / f"a{ending}")
    assert set(read.positions) == {Position(z=2)}
    np.testing.assert_array_equal(rasterise(list(read.contours), squares.shape), segmentation.labels)


def test_measurements_model_and_pixel_size_go_into_geojson(
    tmp_path: Path, segmentation: Segmentation, squares: NDArray[np.uint16]
) -> None:
    viewer = ViewerModel()
    image = ImageLayer(squares, scale=(0.5, 0.5), units="um")
    layers = build_layers(layer_data(segmentation, shown_plane(image, viewer.dims), ("labels", "contours")))
    for layer in layers.values():
        layer.save(tmp_path / "a.geojson")
        content = json.loads((tmp_path / "a.geojson").read_text())
        assert content["pixel_size"] == {"y": 0.5, "x": 0.5, "unit": "micrometer"}
        measured = [feature["properties"]["measurements"] for feature in content["features"]]
        assert [one.get("area_px", one.get("area")) for one in measured] == [64, 36, 16]
        assert {feature["properties"]["classification"]["name"] for feature in content["features"]} == {"bright"}


def test_planes_shown_from_the_side(tmp_path: Path, segmentation: Segmentation, squares: NDArray[np.uint16]) -> None:
    viewer = ViewerModel()
    image = ImageLayer(np.stack([squares] * 4, axis=1), axis_labels=("y", "z", "x"))
    viewer.add_layer(image)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 3)
    made = build_layers(layer_data(segmentation, shown_plane(image, viewer.dims), ("labels",)))["labels"]
    made.save(tmp_path / "a.zip")
    read = read_rois(tmp_path / "a.zip")
    assert set(read.positions) == {Position(z=3)}
    np.testing.assert_array_equal(rasterise(list(read.contours), squares.shape), segmentation.labels)
    made.save(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").array, segmentation.labels)


@pytest.mark.parametrize("ending", [".ome.tif", *READERS])
def test_a_name_typed_without_ending_gets_it_and_replaces_nothing(
    tmp_path: Path, plugins: PluginManager, ending: str
) -> None:
    (writer,) = [w for w in plugins.iter_compatible_writers(["labels"]) if ending in w.filename_extensions]
    layers = ViewerModel().layers
    layers.append(Labels(holed()))
    assert layers.save(str(tmp_path / "cells"), _writer=writer) == [str(tmp_path / f"cells{ending}")]
    before = (tmp_path / f"cells{ending}").stat().st_mtime_ns
    with pytest.raises(UnetsegError, match="is there already"):
        layers.save(str(tmp_path / "cells"), _writer=writer)
    assert (tmp_path / f"cells{ending}").stat().st_mtime_ns == before
    assert layers.save(str(tmp_path / f"cells{ending}"), _writer=writer)


def drawn(**arguments: Any) -> Shapes:
    square = np.array([(0, 0), (0, 4), (4, 4), (4, 0)]) - 0.5
    layer = Shapes(name="drawn", **arguments)
    layer.add_polygons(square)
    layer.add_rectangles(square + np.array([0, 10]))
    layer.add_ellipses(np.array([(20, 0), (20, 40), (40, 40), (40, 0)]))
    layer.add_lines(np.array([(0, 0), (5, 5)]))
    layer.add_paths([np.array([(0, 0), (5, 5), (9, 9)])] * 2)
    return layer


@pytest.mark.parametrize("ending", READERS)
def test_drawn_areas_are_numbered_and_lines_are_told(tmp_path: Path, reported: list[str], ending: str) -> None:
    drawn().save(tmp_path / f"a{ending}")
    read = READERS[ending](tmp_path / f"a{ending}")
    assert [contour.label for contour in read.contours] == [1, 2, 3]
    assert [contour.area for contour in read.contours] == pytest.approx([16, 16, np.pi * 200], rel=1e-4)
    (text,) = reported
    assert text.startswith("The layer 'drawn': 1 line and 2 paths not exported.")


def test_new_shapes_among_labelled_ones_get_numbers_of_their_own(tmp_path: Path) -> None:
    squares = [np.array([(0, 0), (0, 2), (2, 2), (2, 0)]) + np.array([0, 10 * i]) for i in range(3)]
    features = {"label": [7, np.nan, 7]}
    Shapes(squares, shape_type="polygon", features=features).save(tmp_path / "a.zip")
    assert [roi.name for roi in roifile.roiread(tmp_path / "a.zip")] == ["0007", "0007-2", "0008"]


def test_a_shape_that_crosses_planes_is_told(tmp_path: Path, reported: list[str]) -> None:
    flat = np.array([(1, 0, 0), (1, 0, 2), (1, 2, 2)])
    tilted = np.array([(1, 0, 0), (1, 0, 2), (2, 2, 2)])
    Shapes([flat, tilted], shape_type="polygon", name="drawn").save(tmp_path / "a.geojson")
    assert [place.z for place in read_geojson(tmp_path / "a.geojson").positions] == [1]
    (text,) = reported
    assert text.startswith("The layer 'drawn': 1 shape that crosses planes not exported.")


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Labels(np.zeros((4, 5), int), name="cells"), "The layer 'cells' has no object to export"),
        (Shapes(name="cells"), "The layer 'cells' has no polygon, rectangle or ellipse to export"),
        (Shapes([np.eye(2)], shape_type="line", name="cells"), "It has 1 line"),
        (Labels(np.ones((1, 1, 1, 1, 2, 2), int), name="cells"), "has 6 dimensions"),
    ],
)
def test_nothing_to_export_is_an_error_in_words(tmp_path: Path, layer: Layer, words: str, ending: str) -> None:
    with pytest.raises(UnetsegError, match=words):
        layer.save(tmp_path / f"a{ending}")
    assert not list(tmp_path.iterdir())


def test_negative_labels_are_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(UnetsegError, match="The layer 'cells' has negative labels"):
        Labels(np.array([[-1, 2]]), name="cells").save(tmp_path / "a.ome.tif")


def test_labels_without_objects_are_an_ome_tiff_all_the_same(tmp_path: Path) -> None:
    Labels(np.zeros((4, 5), int)).save(tmp_path / "a.ome.tif")
    assert read_image(tmp_path / "a.ome.tif").array.max() == 0


def test_what_others_write_with_few_attributes(tmp_path: Path) -> None:
    writers.save_labels_as_ome_tiff(str(tmp_path / "a.ome.tif"), holed(), {})
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").array, holed())
    writers.save_labels_as_rois(str(tmp_path / "a.zip"), holed(), {})
    assert len(read_rois(tmp_path / "a.zip").contours) == 5


def whole(path: Path) -> NDArray[Any]:
    """The label image that a file holds, of contours as large as the image of `parts`."""
    if path.suffix in READERS:
        return rasterise(list(READERS[path.suffix](path).contours), (48, 64))
    return read_image(path).array


@pytest.fixture
def parts(service: SegmentationService, squares: NDArray[np.uint16]) -> dict[Any, Layer]:
    """The result of rows 10 to 44 and columns 20 to 60, in which lie two of the three squares."""
    image = ImageLayer(squares, name="cells", scale=(-0.5, 0.5), translate=(3, 4), units="um")
    plane = shown_plane(image, ViewerModel().dims, region=((10, 45), (20, 61)))
    return build_layers(layer_data(service.segment(plane.read()), plane, ("labels", "contours")))


@pytest.mark.parametrize(
    ("output", "ending"),
    [*(("labels", ending) for ending in (".zip", ".geojson", ".ome.tif", ".tif")), *(("contours", e) for e in READERS)],
)
def test_a_result_of_a_region_is_saved_where_it_lies_in_its_image(
    tmp_path: Path, parts: dict[Any, Layer], squares: NDArray[np.uint16], output: str, ending: str
) -> None:
    parts[output].save(tmp_path / f"a{ending}")
    expected = squares > 0
    expected[4:12, 4:12] = False
    np.testing.assert_array_equal(whole(tmp_path / f"a{ending}") > 0, expected)
    if ending == ".geojson":
        content = json.loads((tmp_path / "a.geojson").read_text())
        assert content["pixel_size"] == {"y": 0.5, "x": 0.5, "unit": "micrometer"}


def test_the_table_of_a_region_counts_from_the_image(parts: dict[Any, Layer], tmp_path: Path) -> None:
    layer = parts["labels"]
    assert layer.features["centroid_y_px"].tolist() == [22.5, 41.5]
    assert layer.features["centroid_x_um"].tolist() == [16.25, 25.75]
    assert layer.features["bbox_min_x_px"].tolist() == [30, 50]
    layer.save(tmp_path / "a.geojson")
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [one["properties"]["measurements"]["centroid_x_px"] for one in features] == [32.5, 51.5]


def test_what_is_painted_on_a_region_is_saved_with_its_own_measurements(
    parts: dict[Any, Layer], tmp_path: Path
) -> None:
    parts["labels"].data[0:3, 0:5] = 7
    parts["labels"].save(tmp_path / "a.geojson")
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    (drawn,) = (one["properties"]["measurements"] for one in features if one["properties"]["label"] == 7)
    assert (drawn["area_px"], drawn["area_um2"]) == (15, 3.75)
    assert (drawn["centroid_y_px"], drawn["centroid_x_px"]) == (11, 22)
    assert "confidence" not in drawn
    assert "mean_intensity" not in drawn


def test_a_region_of_a_plane_of_a_stack_keeps_plane_and_place(
    tmp_path: Path, service: SegmentationService, squares: NDArray[np.uint16]
) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.stack([squares] * 4), scale=(3, 0.5, 0.5), units="um")
    viewer.dims.set_current_step(0, 2)
    plane = shown_plane(image, viewer.dims, region=((16, 48), (24, 64)))
    layer = build_layers(layer_data(service.segment(plane.read()), plane, ("labels",)))["labels"]
    layer.save(tmp_path / "a.geojson")
    read = read_geojson(tmp_path / "a.geojson")
    assert set(read.positions) == {Position(z=2)}
    assert [tuple(contour.exterior.min(axis=0)) for contour in read.contours] == [(19.5, 29.5), (39.5, 49.5)]


def test_a_record_without_the_size_of_the_image_gives_a_frame_that_is_large_enough(tmp_path: Path) -> None:
    meta = {"metadata": {"napari_unetseg": {"region": [[5, 14], [7, 19]]}}}
    writers.save_labels_as_ome_tiff(str(tmp_path / "a.ome.tif"), holed(), meta)
    found = read_image(tmp_path / "a.ome.tif").array
    assert found.shape == (14, 19)
    np.testing.assert_array_equal(found[5:, 7:], holed())


def test_a_flipped_layer_has_sizes_that_files_can_state(tmp_path: Path) -> None:
    layer = Labels(np.stack([holed()] * 2), scale=(-3, -0.5, 0.25), units="um")
    layer.save(tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"] == [3, 0.5, 0.25]


@pytest.mark.parametrize("ending", [".ome.tif", ".geojson"])
def test_a_sheared_layer_is_saved_without_a_pixel_size_and_that_is_told(
    tmp_path: Path, reported: list[str], ending: str
) -> None:
    Labels(holed(), name="cells", shear=[0.2], units="um").save(tmp_path / f"a{ending}")
    (text,) = reported
    assert text.startswith("The layer 'cells' is sheared")
    assert "PhysicalSize" not in (tmp_path / f"a{ending}").read_bytes().decode("latin1")
    assert "pixel_size" not in (tmp_path / f"a{ending}").read_bytes().decode("latin1")


@pytest.mark.parametrize("kind", ["labels", "shapes"])
def test_an_object_of_several_planes_has_the_measurements_of_each(
    tmp_path: Path, service: SegmentationService, squares: NDArray[np.uint16], kind: str
) -> None:
    smaller = squares.copy()
    smaller[4:6] = 0
    viewer = ViewerModel()
    image = viewer.add_image(np.stack([squares, smaller]), axis_labels=("z", "y", "x"))
    plane = shown_stack(image, viewer.dims)
    layers = build_layers(layer_data(service.segment(plane.read(), link=True), plane, ("labels", "contours")))
    layers["labels" if kind == "labels" else "contours"].save(tmp_path / "a.geojson")
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    one = {
        f["geometry"]["plane"]["z"]: f["properties"]["measurements"] for f in features if f["properties"]["label"] == 1
    }
    assert {z: values.get("area_px", values.get("area")) for z, values in one.items()} == {0: 64, 1: 48}


def test_opened_outlines_that_are_changed_lose_the_measurements_of_before(tmp_path: Path) -> None:
    features = {"index": [1, 2, 3, 4], "area_px": [24, 1, 7, 4], "mean_intensity": [5.0, 6, 7, 8]}
    Labels(holed(), features=features).save(tmp_path / "a.geojson")
    (shapes,) = ViewerModel().open(tmp_path / "a.geojson", plugin=PLUGIN)
    row = list(shapes.features["label"]).index(4)
    shapes.data = [polygon + (0.0 if at != row else 1.0) for at, polygon in enumerate(shapes.data)]
    shapes.save(tmp_path / "b.geojson")
    written = json.loads((tmp_path / "b.geojson").read_text())["features"]
    measured = {one["properties"]["label"]: one["properties"].get("measurements", {}) for one in written}
    assert "mean_intensity" not in measured[4]
    assert measured[4]["area_px"] == 4
    assert measured[2] == {"area_px": 1, "mean_intensity": 6} | measured[2]

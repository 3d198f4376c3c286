"""`napari-unetseg segment --axes`: stacks of files."""

import csv

import numpy as np
import pytest
import tifffile

from napari_unetseg import Image, SegmentationService
from napari_unetseg.io import read_geojson, read_image, read_rois
from napari_unetseg.postprocessing.contours import rasterise


@pytest.fixture
def stack(save_squares, tmp_path):
    """Write two time points, two channels and three planes, in which squares move; return them."""
    plane = np.where(save_squares(tmp_path / "plane.tif"), 900, 100).astype(np.uint16)
    volume = np.stack([np.roll(plane, step, axis=1) for step in range(3)])
    array = np.stack([np.stack([np.full_like(volume, 100), np.roll(volume, step, axis=2)]) for step in range(2)])
    tifffile.imwrite(tmp_path / "stack.tif", array, metadata={"axes": "TCZYX"}, ome=True)
    return array


def test_stacks_give_what_the_service_gives(call, stack, bright_model, tmp_path):
    out = tmp_path / "out"
    options = ("--axes", "tczyx", "--channel", 1, "--link", "--save", "contours,rois,ome-tiff,table")
    run = call("segment", tmp_path / "stack.tif", "--model", bright_model, "--output", out, *options)
    assert run.exit_code == 0, run.output
    expected = SegmentationService(bright_model, "cpu").segment(Image(stack, "TCZYX"), channel=1, link=True)
    assert expected.count == 3
    for name in ("stack_labels.tif", "stack_labels.ome.tif"):
        with tifffile.TiffFile(out / name) as file:
            assert file.series[0].axes == "TZYX"
        np.testing.assert_array_equal(read_image(out / name, "TZYX").array, expected.labels)
    for found in (read_geojson(out / "stack_contours.geojson"), read_rois(out / "stack_rois.zip")):
        assert len(found.contours) == 2 * 3 * 3
        second = [
            contour for contour, at in zip(found.contours, found.positions, strict=True) if (at.t, at.z) == (1, 2)
        ]
        np.testing.assert_array_equal(rasterise(second, stack.shape[-2:]), expected.labels[1, 2])
    with (out / "stack_table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["t"], row["z"]) for row in rows] == [
        (str(t), str(z)) for t in range(2) for z in range(3) for _ in "123"
    ]


def test_axes_that_do_not_fit_the_file_are_said(call, stack, bright_model, tmp_path):
    run = call("segment", tmp_path / "stack.tif", "--model", bright_model, "--axes", "ZYX")
    assert run.exit_code == 1
    assert "5 dimensions cannot be read as ZYX" in run.stderr


@pytest.mark.parametrize("axes", ["ZY", "QYX", "YXX", ""])
def test_letters_that_are_no_axes_are_refused(call, tmp_path, axes):
    run = call("segment", tmp_path, "--axes", axes)
    assert run.exit_code == 2
    assert "--axes" in run.stderr


def test_a_stack_whose_axes_nobody_states_is_refused_with_the_way_out(call, stack, bright_model, tmp_path):
    tifffile.imwrite(tmp_path / "pages.tif", stack[0, 1], photometric="minisblack")
    run = call("segment", tmp_path / "pages.tif", "--model", bright_model)
    assert run.exit_code == 1
    assert "say what its axes are" in run.stderr


def test_axes_and_steps_that_a_file_states_are_believed(call, stack, bright_model, tmp_path):
    metadata = {"axes": "TZYX", "unit": "nm", "spacing": 250, "finterval": 4.5}
    path, out = tmp_path / "stated.tif", tmp_path / "out"
    tifffile.imwrite(path, stack[:, 1], imagej=True, resolution=(0.01, 0.01), metadata=metadata)
    run = call("segment", path, "--model", bright_model, "--output", out, "--save", "ome-tiff")
    assert run.exit_code == 0, run.output
    expected = SegmentationService(bright_model, "cpu").segment(Image(stack[:, 1], "TZYX"))
    for name in ("stated_labels.tif", "stated_labels.ome.tif"):
        labels = read_image(out / name)
        assert labels.axes == "TZYX"
        np.testing.assert_array_equal(labels.array, expected.labels)
        assert labels.steps_along("TZYX") == ((4.5, 250, 100, 100), ("second", "nanometer", "nanometer", "nanometer"))


def test_axes_in_another_order_than_the_file_states_mix_nothing_up(call, stack, bright_model, tmp_path):
    options = ("--model", bright_model, "--channel", 1)
    for axes in ("TCZYX", "ZCTYX"):
        run = call("segment", tmp_path / "stack.tif", "--output", tmp_path / axes, "--axes", axes, *options)
        assert run.exit_code == 0, run.output
    first, second = (read_image(tmp_path / axes / "stack_labels.tif") for axes in ("TCZYX", "ZCTYX"))
    assert first.axes == second.axes == "TZYX"
    np.testing.assert_array_equal(first.array, second.array)

"""Labels and confidence survive the way to disk and back."""

import io
import json

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import read_image, read_label_image, write_confidence, write_labels

RNG = np.random.default_rng(0)


@given(labels=arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 2**31 - 1)))
def test_labels_come_back_equal(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("labels") / "a_labels.tif"
    write_labels(path, labels)
    np.testing.assert_array_equal(read_image(path).array, labels)


@pytest.mark.parametrize(("largest", "dtype", "imagej"), [(65535, np.uint16, True), (65536, np.uint32, False)])
def test_type_scale_and_provenance(tmp_path, largest, dtype, imagej):
    labels = np.array([[0, 1, 1], [0, largest, 0]], np.int64)
    provenance = {"model": "nuclei", "image": "Zähl-µm.tif", "parameters": {"threshold": 0.5}}
    path = tmp_path / "a_labels.tif"
    write_labels(path, labels, scale=(0.5, 0.25), unit="micrometer", provenance=provenance)
    image = read_image(path)
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, labels)
    assert image.scale == pytest.approx((0.5, 0.25))
    assert image.unit == "micrometer"
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej == imagej
        assert file.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        if imagej:
            text = file.imagej_metadata["Info"]
        else:
            text = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Description"]
    assert (text if isinstance(text, dict) else json.loads(text)) == provenance


def test_tags_are_those_that_imagej_reads(tmp_path):
    write_labels(tmp_path / "a.tif", np.ones((3, 4), int), scale=(0.5, 0.25), unit="micrometer")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = {tag.name: tag.value for tag in file.pages.first.tags}
        assert file.imagej_metadata["unit"] == "um"
    # Pixels a unit, as numerator and denominator; the unit is in ImageJ's own text.
    assert tags["XResolution"][0] / tags["XResolution"][1] == 4
    assert tags["YResolution"][0] / tags["YResolution"][1] == 2
    assert tags["ResolutionUnit"] == tifffile.RESUNIT.NONE


@pytest.mark.parametrize(("largest", "shown_to"), [(1, 255), (255, 255), (3000, 3000)])
def test_imagej_gets_a_table_of_colours_and_the_numbers_stay(tmp_path, largest, shown_to):
    labels = np.array([[0, 1, 1], [0, largest, 0]])
    write_labels(tmp_path / "a.tif", labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        colours = np.reshape(page.tags["ColorMap"].value, (3, 256)).T
        assert (file.imagej_metadata["min"], file.imagej_metadata["max"]) == (0, shown_to)
    assert not colours[0].any()
    assert len(np.unique(colours[1:], axis=0)) == 255
    assert colours[1:].max(axis=1).min() > 50_000  # bright on black
    for image in (read_image(tmp_path / "a.tif"), read_label_image(tmp_path / "a.tif")):
        np.testing.assert_array_equal(image.array, labels)


def test_unknown_pixel_size_stays_unknown(tmp_path):
    write_labels(tmp_path / "a.tif", np.ones((3, 4), int))
    assert read_image(tmp_path / "a.tif").scale is None


def test_labels_out_of_range_are_refused(tmp_path):
    for value in (-1, 2**32):
        with pytest.raises(ValueError, match="labels run from"):
            write_labels(tmp_path / "a.tif", np.array([[0, value]]))
    assert not list(tmp_path.iterdir())


def test_confidence_is_exact_float32(tmp_path):
    confidence = RNG.random((5, 6), dtype=np.float32)
    write_confidence(tmp_path / "a.tif", confidence, scale=(2.0, 2.0), unit="nanometer")
    image = read_image(tmp_path / "a.tif")
    assert image.array.dtype == np.float32
    np.testing.assert_array_equal(image.array, confidence)
    assert (image.scale, image.unit) == (pytest.approx((2.0, 2.0)), "nanometer")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UnetsegError, match=r"a\.tif: cannot be written"):
        write_labels(tmp_path / "taken" / "a.tif", np.ones((2, 2), int))


@pytest.mark.parametrize("unit", ["angstrom", "picometer", "micron", "inch"])
def test_rare_units_come_back(tmp_path, unit):
    scale = (0.5, 0.25) if unit != "inch" else (1e-5, 2e-5)
    write_labels(tmp_path / "a.tif", np.ones((4, 5), int), scale=scale, unit=unit)
    image = read_image(tmp_path / "a.tif")
    assert image.scale == pytest.approx(scale)
    assert image.unit == {"micron": "micrometer"}.get(unit, unit)


@pytest.mark.parametrize("scale", [(0, 1), (float("nan"), 1), (1, float("inf"))])
def test_what_is_no_pixel_size_is_left_out(tmp_path, scale):
    write_labels(tmp_path / "a.tif", np.ones((4, 5), int), scale=scale, unit="micrometer")
    assert read_image(tmp_path / "a.tif").scale is None


@pytest.mark.parametrize("most", [7, 70_000])
def test_in_memory_it_is_the_same_file(tmp_path, most):
    labels = np.array([[0, 1, most], [2, 2, 0]])
    write_labels(tmp_path / "a.tif", labels, scale=(0.5, 0.25), unit="micrometer", provenance={"model": "m"})
    memory = io.BytesIO()
    write_labels(memory, labels, scale=(0.5, 0.25), unit="micrometer", provenance={"model": "m"})
    (tmp_path / "b.tif").write_bytes(memory.getvalue())
    first, second = (read_image(tmp_path / name) for name in ("a.tif", "b.tif"))
    np.testing.assert_array_equal(second.array, labels)
    assert (first.scale, first.unit, first.array.dtype) == (second.scale, second.unit, second.array.dtype)

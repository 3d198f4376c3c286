"""From any format to any other: pixels of objects stay, and what a format cannot say is told."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from tests.io.exchange.label_images import ring_and_pieces

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import write_labels, write_rois
from napari_unetseg.io.contour_file import Position
from napari_unetseg.io.exchange.label_files import (
    LabelFormat,
    format_of,
    image_name,
    read_labels,
    with_class,
    write_labels_as,
)
from napari_unetseg.io.exchange.labelled_image import LabelledImage
from napari_unetseg.postprocessing.contours import trace_contours

SIZED = {LabelFormat.TIFF, LabelFormat.COCO, LabelFormat.CELLPOSE}


@pytest.fixture
def images(tmp_path):
    """Finds the image by which those files get their size that do not say it."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 34), np.uint8))
    return lambda name: tmp_path / "a.tif" if name == "a" else None


@pytest.mark.parametrize("kind", LabelFormat)
def test_pixels_and_classes_survive_every_format(tmp_path, images, kind):
    labels = ring_and_pieces()
    image = LabelledImage("a.tif", labels, {7: "ring", 2: "pair", 300: "pair"})
    first, *_ = write_labels_as(kind, [image], tmp_path / "out")
    assert format_of(first) is kind
    (read,) = read_labels(first, images)
    expected = np.searchsorted([0, 2, 7, 300], labels) if kind is LabelFormat.YOLO else labels
    np.testing.assert_array_equal(read.labels, expected)
    assert (read.name, read.remarks) == ("a.tif", ())
    if kind in (LabelFormat.COCO, LabelFormat.YOLO, LabelFormat.QUPATH):
        assert [read.classes[label] for label in np.unique(read.labels[read.labels > 0]).tolist()] == [
            image.classes[label] for label in (2, 7, 300)
        ]


@pytest.mark.parametrize("kind", sorted(set(LabelFormat) - SIZED))
def test_without_an_image_areas_lie_where_they_were(tmp_path, kind):
    labels = ring_and_pieces()[:, :32]
    first, *_ = write_labels_as(kind, [LabelledImage("b.tif", labels)], tmp_path / "out")
    if kind is LabelFormat.YOLO:
        with pytest.raises(UnetsegError, match=r"b\.txt: YOLO does not say how large its image is"):
            next(read_labels(first))
        return
    (read,) = read_labels(first)
    height, width = read.labels.shape
    np.testing.assert_array_equal(read.labels, labels[:height, :width])
    assert not labels[height:].any()
    assert not labels[:, width:].any()
    assert "does not say how large its image is" in read.remarks[0]


def test_yolo_finds_its_image_beside(tmp_path):
    labels = ring_and_pieces()
    path, *_ = write_labels_as(LabelFormat.YOLO, [LabelledImage("b [1].tif", labels)], tmp_path)
    (tmp_path / "images").mkdir()
    Pillow.new("L", (34, 20)).save(tmp_path / "images" / "b [1].png")
    (read,) = read_labels(path)
    assert (read.labels.shape, read.name) == ((20, 34), "b [1].png")


def test_label_images_of_ours_know_their_image_and_class(tmp_path):
    record = {"image": "x.png", "model": "nuclei", "parameters": {}}
    write_labels(tmp_path / "y_labels.tif", ring_and_pieces(), provenance=record)
    (read,) = read_labels(tmp_path / "y_labels.tif")
    assert (read.name, read.class_of(7)) == ("x.png", "nuclei")
    scene = record | {"image": "x.lif/Series 3"}
    write_labels(tmp_path / "x_Series 3_labels.tif", ring_and_pieces(), provenance=scene)
    (read,) = read_labels(tmp_path / "x_Series 3_labels.tif")
    assert read.name == "x_Series 3.tif"
    write_labels(tmp_path / "y_labels.tif", ring_and_pieces())
    (read,) = read_labels(tmp_path / "y_labels.tif")
    assert (read.name, read.class_of(7)) == ("y.tif", "object")
    assert with_class(read, "cell").classes == {2: "cell", 7: "cell", 300: "cell"}


def test_a_mask_of_yes_and_no_is_one_object(tmp_path):
    Pillow.fromarray(ring_and_pieces() > 0).save(tmp_path / "a.png")
    (read,) = read_labels(tmp_path / "a.png")
    assert np.unique(read.labels).tolist() in ([0, 1], [0, 255])


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "grey.tif", np.full((4, 4), 0.5, np.float32))
    tifffile.imwrite(tmp_path / "less.tif", np.full((4, 4), -1, np.int16))
    contours = trace_contours(ring_and_pieces())
    planes = [Position(z=at % 2) for at in range(len(contours))]
    write_rois(tmp_path / "stack.zip", contours, positions=planes)
    for name, reason in (
        ("grey.tif", "is no label image of one plane"),
        ("less.tif", "has negative numbers"),
        ("stack.zip", "has objects of several planes"),
        ("a.doc", "is no label file"),
        ("classes.txt", "is no label file"),
    ):
        with pytest.raises(UnetsegError, match=rf"{name}: {reason}"):
            next(read_labels(tmp_path / name))
    twice = [LabelledImage("a.tif", ring_and_pieces()), LabelledImage("A.png", ring_and_pieces())]
    with pytest.raises(UnetsegError, match=r"A\.png: two images are called so"):
        write_labels_as(LabelFormat.ROIS, twice, tmp_path / "out")


def test_nuclei_that_a_label_image_cannot_hold_are_told(tmp_path):
    ring = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    cell = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "geometry": cell, "nucleusGeometry": cell, "properties": {"objectType": "cell"}}
    (tmp_path / "a.json").write_text(json.dumps([feature]))
    assert format_of(tmp_path / "a.json") is LabelFormat.QUPATH
    (read,) = read_labels(tmp_path / "a.json")
    assert any("outlines of 1 nuclei are left out" in remark for remark in read.remarks)


def test_names_of_images(tmp_path):
    for name in ("a.b_labels.tif", "a.b_labels.ome.tif", "a.b_seg.npy", "a.b_rois.zip", "a.b.png", "a.b_coco.json"):
        assert image_name(tmp_path / name) == "a.b"


def test_whole_numbers_stored_as_fractions_are_labels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", ring_and_pieces().astype(np.float32))
    (found,) = read_labels(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.labels, ring_and_pieces())
    tifffile.imwrite(tmp_path / "a.tif", ring_and_pieces() + np.float32(0.5))
    with pytest.raises(UnetsegError, match="no label image"):
        next(read_labels(tmp_path / "a.tif"))


def test_numbers_that_no_label_image_can_hold_are_told(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", ring_and_pieces().astype(np.uint64) << np.uint64(40))
    with pytest.raises(UnetsegError, match="Count the objects anew"):
        next(read_labels(tmp_path / "a.tif"))


def test_the_image_of_yolo_is_beside_the_last_folder_of_labels_whatever_else_is_called_so(tmp_path):
    labels, images = tmp_path / "labels" / "set" / "labels", tmp_path / "labels" / "set" / "images"
    labels.mkdir(parents=True)
    images.mkdir()
    (labels / "a.txt").write_text("0 0 0 0.5 0 0.5 0.5 0 0.5\n")
    (images / "a.json").write_text("{}")
    tifffile.imwrite(images / "a.tif", np.zeros((8, 10), np.uint8))
    (found,) = read_labels(labels / "a.txt")
    assert (found.name, found.labels.shape) == ("a.tif", (8, 10))


def test_odd_classes_of_yolo_are_told_or_passed_over(tmp_path, images):
    line = "0.5 0 0.5 0.5 0 0.5\n"
    (tmp_path / "classes.txt").write_bytes("zellkörper".encode("latin-1"))
    (tmp_path / "a.txt").write_text(f"0 {line}")
    (found,) = read_labels(tmp_path / "a.txt", images)
    assert found.labels.any()
    (tmp_path / "a.txt").write_text(f"inf {line}")
    with pytest.raises(UnetsegError, match=r"a\.txt: cannot be read"):
        next(read_labels(tmp_path / "a.txt", images))


@pytest.mark.parametrize("number", [-7, 2**40])
def test_numbers_of_cellpose_that_no_label_image_can_hold_are_told(tmp_path, number):
    content = np.array({"masks": np.full((4, 5), number)}, dtype=object)
    np.save(tmp_path / "a_seg.npy", content, allow_pickle=True)
    with pytest.raises(UnetsegError, match="its masks run from"):
        next(read_labels(tmp_path / "a_seg.npy"))

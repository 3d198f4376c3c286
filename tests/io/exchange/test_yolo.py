"""Outlines of YOLO: one ring an object, parts of width and height."""

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from matplotlib.path import Path as Outline
from tests.io.exchange.label_images import label_images, ring_and_pieces

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.exchange.labelled_image import LabelledImage
from napari_unetseg.io.exchange.yolo import read_yolo, write_yolo, write_yolo_classes


def numbered(labels):
    """The same objects, numbered from 1."""
    found = np.unique(np.append(labels, 0))
    return np.searchsorted(found, labels)


@given(labels=label_images)
@settings(deadline=None, max_examples=60)
def test_holes_and_pieces_come_back_though_yolo_knows_neither(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("yolo") / "a.txt"
    write_yolo(path, LabelledImage("a.tif", labels), ["object"])
    back = read_yolo(path, labels.shape)
    np.testing.assert_array_equal(back.labels, numbered(labels))
    assert back.remarks == ()
    assert len(path.read_text().splitlines()) == len(np.unique(labels[labels > 0]))


def test_another_library_finds_the_same_pixels_inside(tmp_path):
    labels = ring_and_pieces()
    write_yolo(tmp_path / "a.txt", LabelledImage("a.tif", labels), ["object"])
    y, x = np.mgrid[:20, :34] + 0.5
    centres = np.column_stack([x.ravel() / 34, y.ravel() / 20])
    drawn = np.zeros(20 * 34, np.int32)
    for number, line in enumerate((tmp_path / "a.txt").read_text().splitlines(), 1):
        corners = np.array([float(word) for word in line.split()[1:]]).reshape(-1, 2)
        drawn[Outline(corners).contains_points(centres)] = number
    np.testing.assert_array_equal(drawn.reshape(20, 34), numbered(labels))


def test_classes_are_named_beside_the_labels(tmp_path):
    labels, classes = ring_and_pieces(), {7: "it's a: ring", 2: "pair"}
    write_yolo(
        tmp_path / "labels" / "a.txt", LabelledImage("a.tif", labels, classes), ["object", "pair", "it's a: ring"]
    )
    write_yolo_classes(tmp_path, ["object", "pair", "it's a: ring"])
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert data["names"] == {0: "object", 1: "pair", 2: "it's a: ring"}
    assert (data["train"], data["val"]) == ("images", "images")
    assert (tmp_path / "classes.txt").read_text() == "object\npair\nit's a: ring\n"
    assert read_yolo(tmp_path / "labels" / "a.txt", labels.shape).classes == {1: "pair", 2: "it's a: ring", 3: "object"}
    (tmp_path / "data.yaml").unlink()
    assert read_yolo(tmp_path / "labels" / "a.txt", labels.shape).classes[2] == "it's a: ring"


def test_boxes_are_rectangles(tmp_path):
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.25\n\n3 0 0 0.25 0 0.25 0.25\n")
    read = read_yolo(tmp_path / "a.txt", (8, 16))
    assert (read.labels == 1).sum() == 8 * 2
    assert (read.labels[3:5, 4:12] == 1).all()
    assert read.classes == {1: "object", 2: "class 3"}


@pytest.mark.parametrize("text", ["0 0.1 0.2 0.3", "x 0 0 1 0 1 1", "0 0 0 1 0 1 nan", "0 0 0 9 0 9 9", "0 0 0 1"])
def test_what_is_no_outline_is_refused_by_name(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(UnetsegError, match=r"a\.txt: cannot be read as outlines of YOLO"):
        read_yolo(tmp_path / "a.txt", (8, 8))


def test_names_that_are_none_are_told(tmp_path):
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "data.yaml").write_text("names: 3")
    with pytest.raises(UnetsegError, match=r"data\.yaml: names no classes"):
        read_yolo(tmp_path / "a.txt", (8, 8))

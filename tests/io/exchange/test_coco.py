"""What pycocotools reads of our files, and what we read of files as other programs write them."""

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from pycocotools import mask as foreign
from pycocotools.coco import COCO
from tests.io.exchange.label_images import label_images, ring_and_pieces

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.exchange.coco import is_coco, merge_coco, read_coco, write_coco
from napari_unetseg.io.exchange.labelled_image import LabelledImage

# pycocotools 2.0.11 hands NumPy 2 arrays in a way that it will not have.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def opened(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def decoded(coco, image):
    """The label image that pycocotools makes of the annotations of an image."""
    said = coco.imgs[image]
    labels = np.zeros((said["height"], said["width"]), np.int32)
    for annotation in coco.loadAnns(coco.getAnnIds(image)):
        mask = coco.annToMask(annotation).astype(bool)
        assert not labels[mask].any()
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == foreign.toBbox(coco.annToRLE(annotation)).tolist()
        labels[mask] = annotation["label"]
    return labels


@given(labels=label_images)
@settings(deadline=None, max_examples=60)
def test_pycocotools_decodes_the_very_pixels_and_so_do_we(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("coco") / "a.json"
    write_coco(path, [LabelledImage("a.tif", labels)])
    np.testing.assert_array_equal(decoded(opened(path), 1), labels)
    (back,) = read_coco(path)
    np.testing.assert_array_equal(back.labels, labels)
    assert back.remarks == ()


def test_holes_are_run_lengths_and_pieces_polygons(tmp_path):
    labels = ring_and_pieces()
    classes, scores = {7: "ring", 2: "pair", 300: "pair"}, {7: 0.75}
    write_coco(
        tmp_path / "a.json", [LabelledImage("one.png", labels), LabelledImage("two.png", labels, classes, scores)]
    )
    document = json.loads((tmp_path / "a.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["one.png", "two.png"]
    assert [category["name"] for category in document["categories"]] == ["object", "pair", "ring"]
    of_two = {one["label"]: one for one in document["annotations"] if one["image_id"] == 2}
    assert len(of_two[2]["segmentation"]) == 2
    assert of_two[7]["segmentation"]["size"] == [20, 34]
    assert all(one["iscrowd"] == 0 for one in document["annotations"])
    assert len({one["id"] for one in document["annotations"]}) == 6
    np.testing.assert_array_equal(decoded(opened(tmp_path / "a.json"), 2), labels)
    one, two = read_coco(tmp_path / "a.json")
    np.testing.assert_array_equal(two.labels, labels)
    assert (dict(two.classes), dict(two.scores), two.name) == (classes, scores, "two.png")
    assert set(one.classes.values()) == {"object"}


@pytest.mark.parametrize("compressed", [True, False])
def test_run_lengths_that_pycocotools_wrote(tmp_path, compressed):
    rng = np.random.default_rng(3)
    masks = [np.asfortranarray(rng.random((61, 300)) > level) for level in (0.2, 0.5, 0.99)]
    masks += [np.zeros((61, 300), bool, order="F"), np.ones((61, 300), bool, order="F")]
    for mask in masks:
        encoded = foreign.encode(mask.astype(np.uint8))
        counts = encoded["counts"].decode()
        if not compressed:
            flat = np.concatenate([[0], mask.ravel(order="F").astype(int), [2]])
            edges = np.flatnonzero(np.diff(flat) != 0)
            counts = np.diff(np.concatenate([[0], edges])).tolist()
        annotation = {"id": 9, "image_id": 4, "category_id": 1, "segmentation": {"size": [61, 300], "counts": counts}}
        image = {"id": 4, "file_name": "sub/a.png", "height": 61, "width": 300}
        (tmp_path / "a.json").write_text(json.dumps({"images": [image], "annotations": [annotation]}))
        (read,) = read_coco(tmp_path / "a.json")
        np.testing.assert_array_equal(read.labels > 0, mask)
        assert read.name == "a.png"


def test_outlines_that_somebody_drew_are_as_pycocotools_fills_them_but_at_their_edge(tmp_path):
    rng = np.random.default_rng(5)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 14))
    radius = rng.uniform(20, 40, 14)
    points = np.column_stack([60 + radius * np.cos(angle), 50 + radius * np.sin(angle)])
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [points.ravel().tolist()], "iscrowd": 0}
    image = {"id": 1, "file_name": "a.png", "height": 100, "width": 120}
    document = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "cell"}]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    (read,) = read_coco(tmp_path / "a.json")
    theirs = opened(tmp_path / "a.json").annToMask(annotation).astype(bool)
    perimeter = np.hypot(*(points - np.roll(points, 1, axis=0)).T).sum()
    assert (read.labels.astype(bool) != theirs).sum() < 0.15 * perimeter
    assert read.classes == {1: "cell"}


def test_of_objects_that_overlap_a_pixel_goes_to_the_smallest(tmp_path):
    squares = [[2, 2, 12, 2, 12, 12, 2, 12], [4, 4, 8, 4, 8, 8, 4, 8], [30, 30, 31, 30, 31, 31]]
    annotations = [{"id": at, "image_id": 1, "segmentation": [square]} for at, square in enumerate(squares)]
    annotations += [{"id": 7, "image_id": 1, "segmentation": [squares[0]], "iscrowd": 1}, {"id": 8, "image_id": 1}]
    image = {"id": 1, "file_name": "a.png", "height": 20, "width": 20}
    (tmp_path / "a.json").write_text(json.dumps({"images": [image], "annotations": annotations}))
    (read,) = read_coco(tmp_path / "a.json")
    assert np.bincount(read.labels.ravel()).tolist() == [300, 84, 16]
    assert read.remarks == (
        "a.png: objects overlap in 16 pixels; each of these went to the smallest object.",
        "a.png: 1 objects cover no pixel, or lie under others.",
        "a.png: 1 areas that mark a crowd are left out.",
        "a.png: 1 objects that have no outline are left out.",
    )


def test_files_of_several_runs_become_one(tmp_path):
    labels = ring_and_pieces()
    for name, kind in (("a", "nuclei"), ("b", "cells"), ("c", "nuclei")):
        write_coco(tmp_path / f"{name}.json", [LabelledImage(f"{name}.tif", labels, dict.fromkeys((2, 7, 300), kind))])
    merge_coco(tmp_path / "all.json", [tmp_path / f"{name}.json" for name in "abc"])
    coco = opened(tmp_path / "all.json")
    assert sorted(coco.imgs) == [1, 2, 3]
    assert len(coco.anns) == 9
    for image in coco.imgs:
        np.testing.assert_array_equal(decoded(coco, image), labels)
    kinds = [set(image.classes.values()) for image in read_coco(tmp_path / "all.json")]
    assert kinds == [{"nuclei"}, {"cells"}, {"nuclei"}]


def test_an_object_of_no_image_is_not_lost_without_a_word(tmp_path):
    document = {"images": [IMAGE], "annotations": [{"id": 1, "image_id": 2, "segmentation": [[0, 0, 2, 0, 2, 2]]}]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(UnetsegError, match="no image has the id 2"):
        merge_coco(tmp_path / "all.json", [tmp_path / "a.json"])
    assert not (tmp_path / "all.json").exists()


IMAGE = {"id": 1, "file_name": "a.png", "height": 4, "width": 4}


def annotated(segmentation):
    return {"images": [IMAGE], "annotations": [{"id": 1, "image_id": 1, "segmentation": segmentation}]}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"images": []},
        {"images": [1], "annotations": []},
        {"images": [IMAGE, IMAGE], "annotations": []},
        {"images": [IMAGE | {"height": 10**9, "width": 10**9}], "annotations": []},
        {"images": [{"id": 1}], "annotations": []},
        annotated([[0, 0, 1, 1, 2]]),
        annotated([["x", 0, 1, 1, 2, 2]]),
        annotated({"size": [4, 4], "counts": [0, 17]}),
        annotated({"size": [4, 4], "counts": [4, -2]}),
        annotated({"size": [4, 5], "counts": [20]}),
        annotated({"size": [4, 4], "counts": "\u00ff"}),
        annotated({"size": [4, 4], "counts": "0P"}),
        annotated({"counts": [16]}),
        annotated("text"),
        {"images": [IMAGE], "annotations": [{"id": 1, "image_id": [1]}]},
    ],
)
def test_what_is_no_coco_is_refused_by_name(tmp_path, document):
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(UnetsegError, match=r"a\.json: cannot be read as COCO"):
        list(read_coco(tmp_path / "a.json"))


def test_a_file_that_was_cut_short_is_refused(tmp_path):
    write_coco(tmp_path / "a.json", [LabelledImage("a.tif", ring_and_pieces())])
    content = (tmp_path / "a.json").read_bytes()
    assert is_coco(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnetsegError, match="cannot be read as COCO"):
        list(read_coco(tmp_path / "a.json"))
    (tmp_path / "b.json").write_text('{"type": "FeatureCollection", "features": []}')
    assert not is_coco(tmp_path / "b.json")
    assert not is_coco(tmp_path / "missing.json")

"""Label files of one program as those of another."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.io import read_image, write_labels, write_ome_labels
from napari_unetseg.io.exchange.coco import read_coco


@pytest.fixture
def labels(tmp_path: Path) -> np.ndarray:
    """The objects of two label images of ours, in a folder with other results."""
    found = np.zeros((12, 20), np.int32)
    found[1:4, 1:5], found[6:10, 8:18], found[7:9, 10:12] = 1, 2, 0
    for name in ("a", "b"):
        write_labels(tmp_path / "out" / f"{name}_labels.tif", found)
    (tmp_path / "out" / "a_table.csv").write_text("label\n1\n2\n")
    return found


def test_a_folder_of_results_becomes_one_file_of_coco_and_comes_back(call, labels, tmp_path):
    run = call("labels", tmp_path / "out", "--to", "coco", "-o", tmp_path / "coco", "--class", "cell")
    assert run.exit_code == 0, run.output
    assert run.stdout == f"Wrote 4 objects of 2 images: 1 file in {tmp_path / 'coco'}.\n"
    document = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["a.tif", "b.tif"]
    assert [category["name"] for category in document["categories"]] == ["cell"]
    run = call("labels", tmp_path / "coco", "--to", "tiff", "-o", tmp_path / "back")
    assert run.exit_code == 0, run.output
    for name in ("a", "b"):
        np.testing.assert_array_equal(read_image(tmp_path / "back" / f"{name}_labels.tif").array, labels)


def test_a_bad_file_is_told_and_the_others_are_converted(call, labels, tmp_path):
    (tmp_path / "out" / "c_labels.tif").write_bytes(b"II*\0")
    run = call("labels", tmp_path / "out", "--to", "coco", "-o", tmp_path)
    assert run.exit_code == 1
    assert "c_labels.tif: cannot be read as an image" in run.output
    assert [image.name for image in read_coco(tmp_path / "annotations.json")] == ["a.tif", "b.tif"]


def test_outlines_without_an_image_say_what_is_needed(call, labels, tmp_path):
    assert call("labels", tmp_path / "out", "--to", "yolo", "-o", tmp_path / "yolo").exit_code == 0
    run = call("labels", tmp_path / "yolo", "--to", "tiff", "-o", tmp_path / "back")
    assert run.exit_code == 1
    assert "Name the folder of images" in " ".join(run.output.split())
    named = call("labels", tmp_path / "yolo", "--to", "tiff", "-o", tmp_path / "back", "--images", tmp_path / "out")
    assert named.exit_code == 1, "the label images are called otherwise"
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        write_labels(tmp_path / "images" / f"{name}.tif", labels)
    named = call("labels", tmp_path / "yolo", "--to", "tiff", "-o", tmp_path / "back", "--images", tmp_path / "images")
    assert named.exit_code == 0, named.output
    np.testing.assert_array_equal(read_image(tmp_path / "back" / "a_labels.tif").array, labels)


def test_a_folder_without_label_files_is_told(call, tmp_path):
    (tmp_path / "notes.md").write_text("text")
    run = call("labels", tmp_path, "--to", "rois", "-o", tmp_path)
    assert run.exit_code == 1
    assert "holds no label files" in run.output


def test_a_result_that_is_ome_tiff_alone_is_taken_too(call, labels, tmp_path):
    for name in ("b", "c"):
        write_ome_labels(tmp_path / "out" / f"{name}_labels.ome.tif", labels)
    run = call("labels", tmp_path / "out", "--to", "coco", "-o", tmp_path)
    assert run.exit_code == 0, run.output
    assert [Path(image.name).stem for image in read_coco(tmp_path / "annotations.json")] == ["a", "b", "c"]

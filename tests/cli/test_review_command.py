"""`napari-unetseg review FOLDER`."""

import json

import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.folder_review import open_review


@pytest.fixture
def plate(call, save_squares, tmp_path, bright_model):
    folder = tmp_path / "plate"
    save_squares(folder / "a.tif")
    tifffile.imwrite(folder / "b.tif", np.full((40, 48), 100, np.uint16))
    (folder / "c.tif").write_bytes(b"no image")
    assert call("segment", folder, "--model", bright_model).exit_code == 1
    return folder


def test_it_lists_images_by_doubt_and_counts_decisions(call, plate):
    answer = call("review", plate)
    assert answer.exit_code == 0, answer.output
    title, first, second, counts = answer.stdout.splitlines()
    assert title.split() == ["image", "decision", "doubt", "objects", "why"]
    assert first.startswith("b.tif ")
    assert first.endswith("No object was found.")
    assert second.split()[0] == "a.tif"
    assert counts == "2 images: 0 accepted, 0 fixed, 0 rejected, 2 not reviewed."
    assert "c.tif: cannot be reviewed" in answer.stderr


def test_it_prints_json(call, plate):
    review = open_review(plate)
    review.decide(review.items[1], "accepted")
    answer = call("review", plate / "segmented", "--json")
    told = json.loads(answer.stdout)
    assert told["counts"] == {"total": 2, "accepted": 1, "fixed": 0, "rejected": 0, "waiting": 1, "voided": 0}
    assert [image["decision"] for image in told["images"]] == [None, "accepted"]
    assert told["images"][0]["reasons"] == ["No object was found."]
    assert told["left_out"][0]["file"].endswith("c.tif")


def test_it_writes_the_report(call, plate):
    answer = call("review", plate, "--report")
    assert (plate / "segmented" / "review.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "review.html" in answer.stderr


def test_it_exports_what_was_accepted(call, plate, tmp_path):
    nothing = call("review", plate, "--export", tmp_path / "set")
    assert nothing.exit_code == 1
    assert "no image is accepted or fixed yet" in nothing.stderr
    review = open_review(plate)
    review.decide(review.items[1], "accepted")
    answer = call("review", plate, "--export", tmp_path / "set")
    assert answer.exit_code == 0, answer.output
    assert "1 image and its label image in" in answer.stderr
    assert (tmp_path / "set" / "masks" / "a.tif").is_file()


def test_without_results_it_says_what_to_do(call, tmp_path):
    answer = call("review", tmp_path)
    assert answer.exit_code == 1
    assert "there are no results to review. Segment the folder first." in answer.stderr
    assert call("review", tmp_path / "nowhere").exit_code == 2

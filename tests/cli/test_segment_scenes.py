"""`napari-unetseg segment` on microscopes' files that hold several scenes."""

import csv

import numpy as np
import pytest
import tifffile

from napari_unetseg.io import read_image, read_label_image


def squares(count, depth=0):
    """The first ones of three bright squares."""
    image = np.full((40, 48), 100, np.uint16)
    for y, x in [(4, 5), (6, 30), (25, 12)][:count]:
        image[y : y + 9, x : x + 8] = 900
    return np.stack([image] * depth) if depth else image


@pytest.fixture
def cells(tmp_path, write_czi):
    return write_czi(tmp_path / "cells.czi", squares(1), squares(2, depth=2), squares(3))


@pytest.fixture
def segment(call, bright_model):
    return lambda *words: call("segment", *words, "--model", bright_model, "--device", "cpu", "--min-size", 4)


def test_every_scene_or_those_that_are_named(segment, cells, tmp_path):
    run = segment(tmp_path, "--scenes", "0,scene 2", "--output", tmp_path / "some")
    assert run.exit_code == 0, run.stderr
    assert [line.split(",")[0] for line in run.stdout.splitlines()[:2]] == [
        f"{cells}/Scene 0: 1 object",
        f"{cells}/Scene 2: 3 objects",
    ]
    run = segment(cells, "--output", tmp_path / "some")
    assert "1 of 3 images segmented, 2 done before" in run.stdout
    stack = read_image(tmp_path / "some/cells_Scene 1_labels.tif")
    assert (stack.axes, stack.array.shape, stack.scale) == ("ZYX", (2, 40, 48), (0.5, 0.5))
    with (tmp_path / "some/segmentation_objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["scene"] for row in rows] == ["Scene 0", *["Scene 1"] * 4, *["Scene 2"] * 3]


def test_a_path_leads_to_a_scene_by_its_number_or_a_pattern(segment, cells):
    assert segment(f"{cells}/2").exit_code == 0
    assert {path.name for path in (cells.parent / "segmented").glob("*_labels.tif")} == {"cells_Scene 2_labels.tif"}
    assert "2 of 3 images segmented, 1 done before" in segment(f"{cells}/*").stdout
    unknown = segment(f"{cells}/Scene 9")
    assert unknown.exit_code == 1
    assert "has no scene 'Scene 9'. There are 0: Scene 0, 1: Scene 1, 2: Scene 2" in unknown.stderr


def test_what_an_option_says_nothing_of_is_told(segment, cells, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", squares(1))
    run = segment(tmp_path / "a.tif", cells, "--wells", "A1", "--fields", "0", "--scenes", "0")
    assert run.exit_code == 0
    assert "--wells and --fields: 2 images, such as " in run.stderr
    assert f"--scenes: {tmp_path / 'a.tif'} is not of a file with scenes" in run.stderr
    assert "2 of 2 images segmented" in run.stdout


def test_labels_as_ome_zarr_block_by_block(segment, cells, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_unetseg.batch.segment_files.is_beyond_memory", lambda image: True)
    run = segment(cells, "--scenes", "0,2", "--save", "ome-zarr", "--output", tmp_path / "out")
    assert run.exit_code == 0, run.stderr
    whole = segment(cells, "--scenes", "2", "--output", tmp_path / "whole")
    assert whole.exit_code == 0
    np.testing.assert_array_equal(
        read_image(tmp_path / "out/cells_Scene 2_labels.ome.zarr").array,
        read_label_image(tmp_path / "whole/cells_Scene 2_labels.tif").array,
    )


@pytest.mark.nightly
def test_workers_open_the_file_themselves(shell, bright_model, cells, tmp_path):
    words = (cells, "--scenes", "0,2", "--model", bright_model, "--device", "cpu", "--workers", 1)
    run = shell("segment", *words, "--output", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert {path.name for path in (tmp_path / "out").glob("*.tif")} == {
        "cells_Scene 0_labels.tif",
        "cells_Scene 2_labels.tif",
    }

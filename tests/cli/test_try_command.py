"""`napari-unetseg try` lists what every model finds, the best fit first."""

import numpy as np
import pytest
import tifffile

from napari_unetseg.io import read_image
from napari_unetseg.service import packages as service_module
from napari_unetseg.zoo.registry import read_package


@pytest.fixture(autouse=True)
def _one_model(bright_model, monkeypatch):
    monkeypatch.setattr(service_module, "usable_models", lambda: [read_package(bright_model, "user")])


@pytest.fixture
def two_channels(tmp_path, save_squares):
    save_squares(tmp_path / "one.tif")
    squares = tifffile.imread(tmp_path / "one.tif")
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, np.stack([np.zeros_like(squares), squares]), photometric="minisblack", ome=True)
    assert read_image(path).axes == "CYX"
    return path


def test_a_table_with_the_channel_that_has_objects_first(two_channels, call):
    run = call("try", two_channels, "--device", "cpu")
    titles, first, second = (line.split() for line in run.stdout.splitlines())
    assert run.exit_code == 0
    assert titles == ["model", "channel", "objects", "confidence", "fit"]
    assert first[:3] == ["bright", "1", "3"]
    assert second[:3] == ["bright", "0", "0"]


def test_a_scene_is_tried_by_its_path(write_czi, save_squares, call, tmp_path):
    save_squares(tmp_path / "one.tif")
    squares = tifffile.imread(tmp_path / "one.tif")
    path = write_czi(tmp_path / "cells.czi", np.zeros_like(squares), squares)
    run = call("try", path / "1", "--device", "cpu", "--save", tmp_path / "tried")
    assert run.exit_code == 0, run.stderr
    assert run.stdout.splitlines()[1].split()[:2] == ["bright", "3"]
    assert [saved.name for saved in (tmp_path / "tried").iterdir()] == ["cells_1_bright.png"]
    assert "holds 2 scenes" in call("try", path, "--device", "cpu").stderr


def test_outlines_are_saved_for_each_trial(two_channels, call, tmp_path):
    call("try", two_channels, "--save", tmp_path / "tried" / "now")
    names = {path.name for path in (tmp_path / "tried" / "now").iterdir()}
    assert names == {"two_bright_channel0.png", "two_bright_channel1.png"}
    assert read_image(tmp_path / "tried" / "now" / "two_bright_channel1.png").shape == read_image(two_channels).shape


def test_nothing_found_and_a_file_that_is_not_there(call, tmp_path):
    tifffile.imwrite(tmp_path / "black.tif", np.zeros((30, 30), np.uint8))
    assert call("try", tmp_path / "black.tif").exit_code == 1
    run = call("try", tmp_path / "none.tif")
    assert run.exit_code == 1
    assert "there is no such file" in run.stderr

"""A layer opened from a file that states its axes is read so, whatever its lengths suggest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from npe2 import PluginManager

from napari_unetseg.plugin.layers import axes as layer_axes
from napari_unetseg.plugin.layers.axes import guess


@pytest.fixture(autouse=True)
def plugins() -> None:
    """The readers of this environment, as napari finds them at its start."""
    PluginManager.instance().discover()


def opened(path: Path, **wanted: Any) -> Image:
    viewer = ViewerModel()
    viewer.open(path, plugin="napari", **wanted)
    layer = viewer.layers[0]
    assert isinstance(layer, Image)
    return layer


@pytest.mark.parametrize("kind", ["ome", "imagej"])
@pytest.mark.parametrize("axes", ["ZYX", "TYX", "CYX", "ZCYX", "TCYX", "TZCYX", "TZYX"])
def test_stated_axes_are_believed(tmp_path: Path, kind: str, axes: str) -> None:
    lengths = {"T": 2, "Z": 3, "C": 4, "Y": 20, "X": 30}
    array = np.zeros([lengths[axis] for axis in axes], np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, metadata={"axes": axes}, photometric="minisblack", **{kind: True})
    layer = opened(path)
    axes_read = guess(layer, (layer.ndim - 2, layer.ndim - 1))
    assert "".join(axes_read.roles) == axes
    assert not axes_read.guessed


def test_names_that_a_layer_has_itself_come_first(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 20, 30), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    layer = opened(tmp_path / "a.tif", axis_labels=("time", "y", "x"))
    assert guess(layer, (1, 2)).roles == ("T", "Y", "X")


def test_a_file_that_states_nothing_or_is_gone_leaves_the_guess(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 20, 30), np.uint8), photometric="minisblack")
    assert guess(opened(tmp_path / "a.tif"), (1, 2)).guessed == {0}
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((3, 20, 30), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    layer = opened(tmp_path / "b.tif")
    (tmp_path / "b.tif").unlink()
    assert guess(layer, (1, 2)).roles == ("C", "Y", "X")


def test_the_file_of_a_plane_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((20, 30), np.uint8), metadata={"axes": "YX"})
    layer = opened(tmp_path / "a.ome.tif")
    monkeypatch.setattr(layer_axes, "axes_in_file", lambda layer: pytest.fail("was asked"))
    assert guess(layer, (0, 1)).roles == ("Y", "X")

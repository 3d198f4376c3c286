"""What channels are called in TIFF files and stores of OME-Zarr."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_unetseg.io import read_image

PIXELS = np.arange(2 * 3 * 8 * 8, dtype=np.uint16).reshape(3, 2, 8, 8)


def test_ome_tiff_names_its_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PIXELS, ome=True, metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP µ"]}})
    assert read_image(path).channels == ("DAPI", "GFP µ")


def test_channels_without_a_name_have_none(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PIXELS, ome=True, metadata={"axes": "ZCYX"})
    assert read_image(path).channels == ()
    tifffile.imwrite(path, np.zeros((8, 8, 3), np.uint8), ome=True, metadata={"Channel": {"Name": ["slide"]}})
    assert read_image(path).channels == ()


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([f"c:{c}/2 z:{z}/3 - {name}" for z in (1, 2, 3) for c, name in ((1, "DAPI"), (2, "GFP"))], ("DAPI", "GFP")),
        (["red", "green"] * 3, ("red", "green")),
        (["a.tif"] * 6, ()),
        (["one"], ()),
    ],
)
def test_labels_of_imagej_name_channels_where_they_differ(
    tmp_path: Path, labels: list[str], names: tuple[str, ...]
) -> None:
    path = tmp_path / "a.tif"
    metadata: dict[str, Any] = {"axes": "ZCYX", "Labels": labels}
    tifffile.imwrite(path, PIXELS, imagej=True, metadata=metadata)
    image = read_image(path)
    assert (image.axes, image.channels) == ("ZCYX", names)

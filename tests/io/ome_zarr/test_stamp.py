"""Labels that somebody changed are told from those that are as they were written."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from tests.io.ome_zarr.written_labels import LABELS, SIDE, TABLE, image_store, labelled, write_blocks

from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.label_creation import create_label_store, create_labels
from napari_unetseg.io.ome_zarr.labels import open_labels
from napari_unetseg.io.ome_zarr.stamp import is_as_written

VERSIONS = pytest.mark.parametrize("version", ["0.4", "0.5"])


@pytest.mark.filterwarnings("ignore:Consolidated metadata:UserWarning")
@VERSIONS
def test_labels_are_as_written_until_somebody_changes_a_pixel_or_what_is_said(tmp_path: Path, version: str) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    path = Path(create_labels(store, "nuclei", read_image(store), block_side=SIDE).path)
    assert is_as_written(path) is None
    path = Path(labelled(store, version, "cells", table=TABLE).path)
    # Finished once more, of another table; another list of labels, and a copy, change nothing.
    open_labels(path).finish(table={"label": np.array([1, 1]), "area_px": np.array([3, 4])})
    labelled(store, version, "others")
    zarr.consolidate_metadata(path)
    assert is_as_written(path)
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    group["0"][0, 0, 30, 30] = 2
    assert is_as_written(path) is False
    group["0"][0, 0, 30, 30] = 1
    assert is_as_written(path)
    group.attrs["note"] = "mine"
    assert is_as_written(path) is False


def test_a_store_of_labels_says_so_of_all_that_is_in_it(tmp_path: Path) -> None:
    labels = create_label_store(tmp_path / "a", "nuclei", Image(LABELS, axes="ZYX"), block_side=SIDE)
    write_blocks(labels, LABELS)
    assert is_as_written(tmp_path / "a") is None
    for _ in range(2):
        labels = labels.finish(table=TABLE)
        assert is_as_written(tmp_path / "a")
        assert is_as_written(Path(labels.path))
    zarr.open_group(labels.path, mode="r+", use_consolidated=False)["0"][0, 30, 30] = 2
    assert is_as_written(tmp_path / "a") is False


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_nothing_tells_of_damaged_metadata(tmp_path: Path, text: str) -> None:
    path = Path(labelled(image_store(tmp_path / "a.zarr", "0.5"), "0.5").path)
    (path / "zarr.json").write_text(text)
    assert is_as_written(path) is None

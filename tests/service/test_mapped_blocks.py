"""A dask array becomes an array of its labels, whoever computes it."""

from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from napari_unetseg.errors import ParameterError
from napari_unetseg.image import Image
from napari_unetseg.service import SegmentationService


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    """uint8 (2, 60, 90): two planes of squares."""
    pixels = np.zeros((2, 60, 90), np.uint8)
    for row in range(2, 60, 14):
        pixels[:, row : row + 9, 5:85:2] = 200
        pixels[0, row : row + 9, 20:40] = 200
    return pixels


@pytest.fixture(scope="module")
def service(bright_model: Path) -> SegmentationService:
    return SegmentationService(bright_model, "cpu", "torch")


def test_labels_are_those_of_the_whole_image(
    service: SegmentationService, squares: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unetseg.service.mapped_blocks.BLOCK_SIDE", 32)
    monkeypatch.setattr("napari_unetseg.service.mapped_blocks._CHUNK", 16)
    labels = service.map_blocks(da.from_array(squares, chunks=(1, 25, 40)), axes="ZYX", link=True, min_size=5)
    assert (labels.shape, labels.dtype) == (squares.shape, np.int32)
    found = labels.compute(scheduler="threads")
    expected = service.segment(Image(squares, "ZYX"), link=True, min_size=5).labels
    assert expected.max() > 4
    np.testing.assert_array_equal(found, expected)


def test_what_is_done_with_labels_goes_on_lazily(
    service: SegmentationService, squares: np.ndarray, tmp_path: Path
) -> None:
    colours = np.stack([squares[0], squares[0], np.zeros_like(squares[0])], axis=-1)
    labels = service.map_blocks(da.from_array(colours, chunks=(30, 90, 3)), tmp_path)
    assert not list(tmp_path.iterdir())
    count = (labels > 0).sum().compute(scheduler="sync")
    assert count == np.count_nonzero(service.segment(colours).labels) > 0


def test_what_is_no_dask_array_is_refused(service: SegmentationService, squares: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"takes a dask array, not ndarray"):
        service.map_blocks(squares[0])

"""Large images: read in tiles, maps in a file, objects read off in blocks; the result is the same."""

import dask.array as da
import numpy as np
import pytest

from napari_unetseg import Image, SegmentationService, probability_maps
from napari_unetseg.inference import intensity_range, normalisation
from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.postprocessing import blocks, decoding, object_groups


@pytest.fixture
def small_limits(monkeypatch):
    """Limits at which a small image is a large one."""
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 1000)
    monkeypatch.setattr(normalisation, "READ_AT_ONCE", 1000)
    monkeypatch.setattr(decoding, "BLOCK_SIDE", 32)
    monkeypatch.setattr(blocks, "STRIP", 500)
    monkeypatch.setattr(object_groups, "GROUP_SIDE", 16)


@pytest.fixture
def pixels(squares):
    return np.tile(squares, (3, 2))


@pytest.mark.parametrize("stored", ["in memory", "in chunks", "left where it is", "in the other byte order"])
def test_a_large_image_gives_what_it_would_give_in_memory(bright_model, settings, pixels, stored, request):
    service = SegmentationService(bright_model, settings=settings(inference__window=64))
    expected = service.segment(Image(pixels, name="scan"))
    request.getfixturevalue("small_limits")
    stored_pixels = {
        "in memory": pixels,
        "in chunks": da.from_array(pixels, chunks=20),
        "left where it is": LazyArray(lambda box: pixels[box], pixels.shape, pixels.dtype, (20, 20)),
        "in the other byte order": pixels.astype(pixels.dtype.newbyteorder()),
    }
    result = service.segment(Image(stored_pixels[stored], name="scan"))
    assert isinstance(result.probability, np.memmap)
    np.testing.assert_array_equal(result.labels, expected.labels)
    np.testing.assert_array_equal(
        result.relabel(min_size=50, smoothing=1).labels, expected.relabel(min_size=50, smoothing=1).labels
    )
    assert list(result.measurements) == list(expected.measurements)
    for name, column in expected.measurements.items():
        np.testing.assert_allclose(result.measurements[name], column, rtol=1e-6, err_msg=name)
    assert [c.exterior.tolist() for c in result.contours] == [c.exterior.tolist() for c in expected.contours]


def test_what_was_sampled_is_recorded(bright_model, settings, pixels, monkeypatch):
    service = SegmentationService(bright_model, settings=settings())
    assert service.segment(Image(pixels)).provenance.sampled == 1
    monkeypatch.setattr(intensity_range, "EXACT_PIXELS", pixels.size // 4)
    assert service.segment(Image(pixels)).provenance.sampled == 2

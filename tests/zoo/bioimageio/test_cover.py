"""The cover of a package."""

import numpy as np
import pytest
from PIL import Image as Picture

from napari_unetseg.image import Image
from napari_unetseg.zoo.bioimageio.cover import draw_cover, write_cover


def one_object() -> tuple[Image, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.zeros((90, 120), np.int32)
    labels[30:60, 40:80] = 1
    return Image((labels * 100 + rng.integers(0, 20, labels.shape)).astype(np.uint8), "YX"), labels


def test_the_right_half_shows_the_outlines_and_the_left_none():
    image, labels = one_object()
    left, right = np.split(draw_cover(image, labels).astype(int), 2, axis=1)
    assert left.shape == right.shape == (512, 512, 3)
    colourful = [np.ptp(half, axis=2) > 60 for half in (left, right)]
    assert not colourful[0].any()
    # The object is 30 x 40 of 90 pixels that are shown at 512.
    rows, columns = np.nonzero(colourful[1])
    assert np.ptp(rows) == pytest.approx(30 * 512 / 90, abs=8)
    assert np.ptp(columns) == pytest.approx(40 * 512 / 90, abs=8)


def test_outlines_stay_in_the_file_and_it_is_small(tmp_path):
    image, labels = one_object()
    cover = draw_cover(image, labels)
    write_cover(tmp_path / "cover.jpg", cover)
    assert (tmp_path / "cover.jpg").stat().st_size < 500_000
    with Picture.open(tmp_path / "cover.jpg") as picture:
        read = np.asarray(picture).astype(int)
    assert read.shape == cover.shape
    outline = np.ptp(cover.astype(int), axis=2) > 100
    assert (np.ptp(read, axis=2)[outline] > 50).mean() > 0.95

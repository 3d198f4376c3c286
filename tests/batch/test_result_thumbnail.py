"""Small pictures show image and outlines, whatever the size."""

import numpy as np
import pytest

from napari_unetseg.batch.result_thumbnail import read_thumbnail
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.io import write_labels, write_ome_labels


@pytest.mark.parametrize(("shape", "side"), [((100, 60), 200), ((100, 60), 50), ((401, 333), 50), ((1, 500), 100)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_as_large_as_asked_and_outlines_lie_where_the_objects_do(shape, side, channels, tmp_path):
    labels = np.zeros(shape, np.uint16)
    labels[: shape[0] // 2] = 1
    write_labels(tmp_path / "labels.tif", labels)
    pixels = np.random.default_rng(0).integers(0, 255, (*shape, channels), np.uint8)
    image = Image(pixels[..., 0]) if channels == 1 else Image(pixels, "YXC", rgb=True)
    picture = read_thumbnail(image, tmp_path / "labels.tif", side)
    step = max(1, -(-max(shape) // side))
    assert picture.dtype == np.uint8
    assert max(picture.shape) <= max(side, 3)
    assert abs(picture.shape[0] - shape[0] / step) <= 1
    coloured = np.ptp(picture.astype(int), axis=-1) > 40
    if channels == 1 and shape[0] > 1:
        assert coloured[: picture.shape[0] // 2 - 1].any()
        assert not coloured[picture.shape[0] // 2 + 2 :].any()


def test_pixels_are_averaged_and_keep_their_place(tmp_path):
    pixels = np.zeros((400, 400), np.float32)
    pixels[:, 200:] = 100
    write_labels(tmp_path / "labels.tif", np.zeros((400, 400), np.uint16))
    picture = read_thumbnail(Image(pixels), tmp_path / "labels.tif", 100)
    assert picture.shape == (100, 100, 3)
    assert (picture[:, :50] == 0).all()
    assert (picture[:, 50:] == 255).all()


def test_of_a_stack_the_middle_plane_is_shown(tmp_path):
    labels = np.zeros((3, 20, 20), np.uint16)
    labels[1, 5:15, 5:15] = 1
    write_ome_labels(tmp_path / "labels.ome.tif", labels, axes="ZYX")
    picture = read_thumbnail(Image(np.zeros((3, 20, 20)), "ZYX"), tmp_path / "labels.ome.tif", 100)
    assert picture[6:14, 6].any()


def test_an_image_of_another_size_is_refused(tmp_path):
    write_labels(tmp_path / "labels.tif", np.zeros((20, 20), np.uint16))
    with pytest.raises(ImageError, match=r"labels.tif: is of another size than image"):
        read_thumbnail(Image(np.zeros((20, 21))), tmp_path / "labels.tif", 100)

"""Pictures and arrays, and files that are neither."""

import os
import sys

import imagecodecs
import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read, read_image, read_tiff
from napari_unetseg.lazy_array import LazyArray

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_png_keeps_its_values(tmp_path, dtype):
    array = RNG.integers(0, np.iinfo(dtype).max, (7, 9), dtype=dtype)
    imageio.imwrite(tmp_path / "a.png", array)
    image = read_image(tmp_path / "a.png")
    assert image.axes == "YX"
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, array)
    assert image.name == "a.png"
    assert image.scale is None


@pytest.mark.parametrize(("suffix", "channels"), [(".png", 3), (".png", 4), (".bmp", 3)])
def test_colour_pictures_are_rgb(tmp_path, suffix, channels):
    array = RNG.integers(0, 256, (3, 4, channels), dtype=np.uint8)
    imageio.imwrite(tmp_path / f"a{suffix}", array)
    image = read_image(str(tmp_path / f"a{suffix}"))
    assert image.axes == "YXC"
    assert image.rgb
    np.testing.assert_array_equal(image.array, array)


@pytest.mark.parametrize(("channels", "axes", "kept"), [(2, "YX", 1), (3, "YXC", 3), (4, "YXC", 4)])
def test_deep_png_keeps_all_its_bits(tmp_path, channels, axes, kept):
    array = RNG.integers(0, 65536, (5, 6, channels), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    image = read_image(tmp_path / "a.png")
    assert (image.axes, image.rgb, image.array.dtype) == (axes, axes == "YXC", np.uint16)
    np.testing.assert_array_equal(image.array, array[..., 0] if kept == 1 else array)


@pytest.mark.parametrize("length", [40, 400])
def test_truncated_deep_png_is_named(tmp_path, length):
    array = RNG.integers(0, 65536, (30, 40, 3), dtype=np.uint16)
    (tmp_path / "half.png").write_bytes(imagecodecs.png_encode(array)[:length])
    with pytest.raises(ImageError, match=r"half\.png"):
        read_image(tmp_path / "half.png")


def test_deep_ppm_is_refused_rather_than_cut_down(tmp_path):
    array = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    (tmp_path / "plain.ppm").write_bytes(b"P6\n# a camera\n5 4\n255\n" + array.tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "plain.ppm").array, array)
    (tmp_path / "deep.ppm").write_bytes(b"P6\n# a camera\n5 4\n4095\n" + array.astype(">u2").tobytes())
    with pytest.raises(ImageError, match=r"deep\.ppm: has colours of more than 8 bits"):
        read_image(tmp_path / "deep.ppm")


def test_jpeg_is_read(tmp_path):
    imageio.imwrite(tmp_path / "a.JPG", np.full((8, 9, 3), 100, np.uint8))
    image = read_image(tmp_path / "a.JPG")
    assert image.shape == (8, 9)
    assert np.abs(image.array.astype(int) - 100).max() <= 2


def test_palette_becomes_colours(tmp_path):
    picture = Pillow.new("P", (4, 3), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    picture.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.array[..., :3], np.broadcast_to([200, 100, 50], (3, 4, 3)))


def test_alpha_of_a_grey_picture_is_no_channel(tmp_path):
    Pillow.new("LA", (4, 3), (77, 255)).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.array, np.full((3, 4), 77))


def test_cmyk_is_not_taken_for_rgba(tmp_path):
    Pillow.new("CMYK", (4, 3), (0, 0, 0, 0)).save(tmp_path / "white.jpg")
    image = read_image(tmp_path / "white.jpg")
    assert image.array.shape == (3, 4, 3)
    assert image.array.min() >= 250


def test_one_bit_picture(tmp_path):
    Pillow.new("1", (4, 3), 1).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").array.all()


def test_several_frames_are_refused(tmp_path):
    imageio.imwrite(tmp_path / "a.gif", RNG.integers(0, 256, (3, 8, 8), dtype=np.uint8))
    with pytest.raises(ImageError, match=r"a\.gif: holds 3 frames"):
        read_image(tmp_path / "a.gif")


@pytest.mark.parametrize(("shape", "axes"), [((5, 6), "YX"), ((2, 5, 6), "CYX"), ((9, 8, 3), "YXC")])
def test_npy_is_read_as_arrays_are(tmp_path, shape, axes):
    array = RNG.random(shape)
    np.save(tmp_path / "a.npy", array)
    image = read_image(tmp_path / "a.npy")
    assert image.axes == axes
    np.testing.assert_array_equal(image.array, array)


def test_npy_never_unpickles(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match=r"a\.npy"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.jpg", "a"])
@pytest.mark.parametrize("content", [b"", b"no image", b"II*\0"])
def test_what_is_no_image_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_truncated_files_are_named(tmp_path, suffix):
    array = RNG.integers(0, 255, (60, 70), dtype=np.uint8)
    whole, half = tmp_path / f"whole{suffix}", tmp_path / f"half{suffix}"
    if suffix == ".npy":
        np.save(whole, array)
    else:
        imageio.imwrite(whole, array)
    np.testing.assert_array_equal(read_image(whole).array, array)
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(ImageError, match=f"half{suffix}"):
        read_image(half)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.tif: there is no such file"):
        read_image(tmp_path / "nowhere.tif")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


def test_pixels_of_a_large_array_stay_in_its_file(tmp_path, monkeypatch):
    pixels = RNG.integers(0, 65535, (30, 40), dtype=np.uint16)
    path = tmp_path / "large.npy"
    np.save(path, pixels)
    monkeypatch.setattr(read, "READ_AT_ONCE", 1000)
    array = read_image(path).array
    assert isinstance(array, LazyArray)
    np.testing.assert_array_equal(array, pixels)
    np.testing.assert_array_equal(array[3::7, ::-2], pixels[3::7, ::-2])
    np.save(path, pixels.T[np.newaxis])
    np.testing.assert_array_equal(read_image(path, "YX").array, pixels.T)


def test_pixels_of_a_large_tiff_stay_in_it(tmp_path, monkeypatch):
    pixels = RNG.integers(0, 65535, (30, 40), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "large.tif", pixels)
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 1000)
    array = read_image(tmp_path / "large.tif").array
    assert isinstance(array, LazyArray)
    np.testing.assert_array_equal(array, pixels)
    np.testing.assert_array_equal(array[3::7, ::-2], pixels[3::7, ::-2])


def test_so_do_those_of_the_other_byte_order(tmp_path, monkeypatch):
    pixels = RNG.integers(0, 65535, (30, 40), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "large.tif", pixels, imagej=True, byteorder=">")
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 1000)
    array = read_image(tmp_path / "large.tif").array
    assert isinstance(array, LazyArray)
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, pixels)


def test_a_large_compressed_file_is_read(tmp_path, monkeypatch):
    pixels = RNG.integers(0, 65535, (30, 40), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "large.tif", pixels, compression="zlib")
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 1000)
    np.testing.assert_array_equal(read_image(tmp_path / "large.tif").array, pixels)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such names")
@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
def test_a_name_that_is_no_utf8_is_read_and_said(tmp_path, suffix):
    pixels = RNG.integers(0, 255, (5, 6), dtype=np.uint8)
    plain = tmp_path / f"a.{suffix}"
    np.save(plain, pixels) if suffix == "npy" else imageio.imwrite(plain, pixels)
    path = plain.rename(tmp_path / os.fsdecode(b"zelle_\xfc." + suffix.encode()))
    image = read_image(path)
    np.testing.assert_array_equal(image.array, pixels)
    assert (image.name, image.path) == (f"zelle_%FC.{suffix}", str(path))
    assert image.remarks == (f"The name of the file is not UTF-8; results and tables write it as zelle_%FC.{suffix}.",)


def test_a_level_of_a_pyramid_is_chosen_and_what_is_none_has_one(tmp_path):
    pixels = RNG.integers(0, 255, (64, 48), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(pixels, subifds=1, metadata={"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5})
        file.write(pixels[::2, ::2], subfiletype=1)
    for level in (1, "-1", "1 µm", "40 px"):
        image = read_image(tmp_path / "a.ome.tif", level=level)
        assert image.scale == (1.0, 1.0)
        np.testing.assert_array_equal(image.array, pixels[::2, ::2])
    with pytest.raises(ImageError, match="level 2 does not exist; there are 0 to 1"):
        read_image(tmp_path / "a.ome.tif", level=2)
    np.save(tmp_path / "a.npy", pixels)
    with pytest.raises(ImageError, match="level 1 does not exist; there are 0 to 0"):
        read_image(tmp_path / "a.npy", level=1)

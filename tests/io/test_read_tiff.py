"""Axes and pixel sizes of TIFF files."""

import numpy as np
import pytest
import tifffile

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image

RNG = np.random.default_rng(0)


def noise(*shape, dtype=np.uint16):
    return RNG.integers(0, 200, shape, dtype=dtype)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 6)])
def test_plain_plane(tmp_path, shape):
    array = noise(*shape)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.array, array)
    assert (image.scale, image.unit, image.name) == (None, None, "a.tif")


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "f4", "f8"])
def test_pixels_are_in_native_byte_order(tmp_path, byteorder, dtype):
    array = noise(4, 5).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tiff", array, byteorder=byteorder)
    image = read_image(tmp_path / "a.tiff")
    assert image.array.dtype == np.dtype(dtype)
    assert image.array.dtype.isnative
    np.testing.assert_array_equal(image.array, array)


def test_rgb_interleaved_and_planar(tmp_path):
    array = noise(6, 7, 3, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "interleaved.tif", array, photometric="rgb")
    image = read_image(tmp_path / "interleaved.tif")
    assert (image.axes, image.rgb) == ("YXC", True)
    np.testing.assert_array_equal(image.array, array)
    tifffile.imwrite(tmp_path / "planar.tif", np.moveaxis(array, -1, 0), photometric="rgb", planarconfig="separate")
    image = read_image(tmp_path / "planar.tif")
    assert (image.axes, image.rgb) == ("CYX", True)
    np.testing.assert_array_equal(np.moveaxis(image.channels_first, 0, -1), array)


def test_singleton_axes_go_and_channels_stay(tmp_path):
    array = noise(1, 1, 2, 5, 6)
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "TZCYX"}, photometric="minisblack")
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.axes, image.rgb) == ("CYX", False)
    np.testing.assert_array_equal(image.array, array[0, 0])
    tifffile.imwrite(tmp_path / "b.tif", noise(1, 1, 5, 6), photometric="minisblack")
    assert read_image(tmp_path / "b.tif").array.shape == (5, 6)


def test_imagej_channels_and_stack(tmp_path):
    array = noise(3, 5, 6)
    tifffile.imwrite(tmp_path / "c.tif", array, imagej=True, metadata={"axes": "CYX"})
    assert read_image(tmp_path / "c.tif").axes == "CYX"
    tifffile.imwrite(tmp_path / "z.tif", array, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(ImageError, match=r"z\.tif: shape \(3, 5, 6\) with axes ZYX is not one plane"):
        read_image(tmp_path / "z.tif")


def test_unequal_images_in_one_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(noise(8, 9))
        writer.write(noise(9, 8))
    with pytest.raises(ImageError, match="holds 2 images"):
        read_image(tmp_path / "two.tif")
    array = noise(80, 90)
    with tifffile.TiffWriter(tmp_path / "thumbnail.tif") as writer:
        writer.write(array)
        writer.write(noise(8, 9))
    np.testing.assert_array_equal(read_image(tmp_path / "thumbnail.tif").array, array)


def test_pyramid_is_read_at_full_resolution(tmp_path):
    array = noise(64, 64)
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as writer:
        writer.write(array, subifds=1, tile=(16, 16), photometric="minisblack")
        writer.write(array[::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "p.ome.tif").array, array)


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_imagej_pixel_size(tmp_path, unit):
    tifffile.imwrite(
        tmp_path / "a.tif", noise(4, 5), imagej=True, resolution=(1 / 0.32, 1 / 0.5), metadata={"unit": unit}
    )
    image = read_image(tmp_path / "a.tif")
    assert image.scale == pytest.approx((0.5, 0.32))
    assert image.unit == "micrometer"


@pytest.mark.parametrize("unit", ["inch", "pixel", ""])
def test_units_that_are_no_length_of_a_sample(tmp_path, unit):
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 5), imagej=True, resolution=(72, 72), metadata={"unit": unit})
    image = read_image(tmp_path / "a.tif")
    assert (image.scale, image.unit) == (None, None)


def test_printing_resolution_is_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 5), resolution=(72, 72), resolutionunit="INCH")
    assert read_image(tmp_path / "a.tif").scale is None


@pytest.mark.parametrize(("unit", "name"), [("µm", "micrometer"), ("nm", "nanometer"), (None, "micrometer")])
def test_ome_pixel_size(tmp_path, unit, name):
    metadata = {"axes": "YX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.3}
    if unit:
        metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(4, 5), metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif")
    assert image.scale == pytest.approx((0.3, 0.2))
    assert image.unit == name


@pytest.mark.parametrize("compression", ["lzw", "zstd", "deflate", "packbits", "lerc"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compressed_tiff(tmp_path, compression, dtype):
    array = noise(40, 50, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, array)


def test_tiff_compressed_as_jpeg(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((40, 50, 3), 100, np.uint8), compression="jpeg")
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "YXC"
    assert np.abs(image.array.astype(int) - 100).max() <= 2


def test_truncated_compressed_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "whole.tif", noise(200, 200), compression="zlib", rowsperstrip=20)
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "half.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"half\.tif"):
        read_image(tmp_path / "half.tif")

"""Axes and pixel sizes of TIFF files."""

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image, read_label_image

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
    assert read_image(tmp_path / "z.tif").axes == "ZYX"
    tifffile.imwrite(tmp_path / "pages.tif", array, photometric="minisblack")
    with pytest.raises(ImageError, match=r"pages\.tif: shape \(3, 5, 6\) with axes QYX is not one plane"):
        read_image(tmp_path / "pages.tif")
    assert read_image(tmp_path / "pages.tif", "TYX").axes == "TYX"


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


@pytest.mark.parametrize("kind", ["ome", "imagej"])
@pytest.mark.parametrize("axes", ["ZYX", "TYX", "ZCYX", "TZYX", "TZCYX"])
def test_axes_that_a_file_states_are_believed(tmp_path, kind, axes):
    array = noise(*(dict(zip("TZCYX", (2, 3, 4, 5, 6), strict=True))[axis] for axis in axes))
    tifffile.imwrite(tmp_path / "a.tif", array, metadata={"axes": axes}, photometric="minisblack", **{kind: True})
    image = read_image(tmp_path / "a.tif")
    assert image.axes == axes
    np.testing.assert_array_equal(image.array, array)
    # Named in another order, the file knows better.
    other = f"{axes[:-2][::-1]}YX"
    assert read_image(tmp_path / "a.tif", other).axes == axes
    renamed = read_image(tmp_path / "a.tif", axes.replace("Z", "P"))
    assert renamed.axes == axes.replace("Z", "P")


def test_an_order_of_dimensions_other_than_the_usual_one(tmp_path):
    pixels = noise(2, 3, 4, 5)  # C, Z, Y, X: in OME's words XYZCT
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, ome=True, metadata={"axes": "CZYX"}, photometric="minisblack")
    image = read_image(tmp_path / "a.ome.tif", "ZCYX")
    assert image.axes == "CZYX"
    np.testing.assert_array_equal(image.plane((1,)).array, pixels[:, 1])


def test_columns_before_rows_are_turned(tmp_path):
    array = noise(5, 6, 3)
    tifffile.imwrite(tmp_path / "a.tif", array, metadata={"axes": "XYZ"}, photometric="minisblack")
    image = read_image(tmp_path / "a.tif")
    assert (image.axes, image.shape) == ("YXZ", (6, 5))
    np.testing.assert_array_equal(image.plane((2,)).array, array[..., 2].T)


def test_a_stack_of_colours(tmp_path):
    array = noise(3, 8, 9, 3, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "ZYXS"})
    for named in (None, "ZYX", "ZYXC"):
        image = read_image(tmp_path / "a.tif", named)
        assert (image.axes, image.rgb) == ("ZYXC", True)
        np.testing.assert_array_equal(image.array, array)


def test_axes_of_length_one_may_be_named_or_left_out(tmp_path):
    array = noise(1, 3, 2, 5, 6)
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "TZCYX"}, photometric="minisblack")
    for named in ("TZCYX", "ZCYX", None):
        assert read_image(tmp_path / "a.ome.tif", named).axes == "ZCYX"
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif", "TZCYX").array, array[0])


@pytest.mark.parametrize(
    "shapes", [[(80, 90), (70, 60)], [(80, 90), (40, 40)], [(80, 90), (40, 45)], [(80, 90), (79, 90), (78, 90)]]
)
def test_smaller_images_are_not_passed_over(tmp_path, shapes):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for shape in shapes:
            writer.write(noise(*shape))
    with pytest.raises(ImageError, match=rf"a\.tif: holds {len(shapes)} images of shapes \(80, 90\), \({shapes[1][0]}"):
        read_image(tmp_path / "a.tif")


def test_levels_beside_each_other_are_one_image(tmp_path):
    array = noise(81, 90)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(array)
        writer.write(array[::2, ::2], subfiletype=1)
        writer.write(array[::10, ::10])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, array)


def test_planes_that_lie_in_missing_files_are_not_black(tmp_path):
    array = noise(2, 5, 6)
    tifffile.imwrite(
        tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "ZYX"}, photometric="minisblack", compression="zlib"
    )
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        xml = file.ome_metadata
    first = '<TiffData IFD="0" FirstZ="0" PlaneCount="1"/>'
    second = '<TiffData IFD="0" FirstZ="1" PlaneCount="1"><UUID FileName="b.ome.tif">urn:uuid:1</UUID></TiffData>'
    start, end = xml.index("<TiffData"), xml.index("</Pixels>")
    tifffile.imwrite(
        tmp_path / "part.ome.tif", array[0], description=xml[:start] + first + second + xml[end:], metadata=None
    )
    with pytest.raises(ImageError, match=r"part\.ome\.tif: some of its planes lie in other files"):
        read_image(tmp_path / "part.ome.tif")


GREYS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def colormap():
    table = np.zeros((3, 256), np.uint16)
    table[0] = np.arange(256) * 257
    table[1] = 65535 - table[0]
    table[2, ::2] = 65535
    return table


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inverted_greys_are_turned_round(tmp_path, dtype):
    array = GREYS.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", np.iinfo(dtype).max - array, photometric="miniswhite")
    image = read_image(tmp_path / "a.tif")
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, array)


def test_inverted_bits_and_signed_numbers_keep_their_order(tmp_path):
    bits = GREYS > 20
    Pillow.fromarray(bits).save(tmp_path / "bits.tif", tiffinfo={262: 0})
    np.testing.assert_array_equal(
        read_image(tmp_path / "bits.tif").array, np.asarray(Pillow.open(tmp_path / "bits.tif"))
    )
    for dtype in (np.int16, np.float32):
        tifffile.imwrite(tmp_path / "a.tif", GREYS.astype(dtype), photometric="miniswhite")
        assert (np.diff(read_image(tmp_path / "a.tif").array.ravel()) == -1).all()


def test_a_large_inverted_file_is_turned_round_too(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_unetseg.io.read_tiff.READ_AT_ONCE", 10)
    tifffile.imwrite(tmp_path / "a.tif", 255 - GREYS, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, GREYS)


def test_a_palette_is_read_as_the_same_picture_in_png(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREYS, photometric="palette", colormap=colormap())
    Pillow.open(tmp_path / "a.tif").save(tmp_path / "a.png")
    image, picture = read_image(tmp_path / "a.tif"), read_image(tmp_path / "a.png")
    assert (image.axes, image.rgb) == (picture.axes, picture.rgb) == ("YXC", True)
    np.testing.assert_array_equal(image.array, picture.array)


@pytest.mark.parametrize("photometric", ["palette", "miniswhite"])
def test_a_lookup_table_of_imagej_changes_no_measured_value(tmp_path, photometric):
    table = {"colormap": colormap()} if photometric == "palette" else {}
    tifffile.imwrite(tmp_path / "a.tif", GREYS, imagej=True, photometric=photometric, **table)
    image = read_image(tmp_path / "a.tif")
    assert (image.axes, image.rgb) == ("YX", False)
    np.testing.assert_array_equal(image.array, GREYS)


@pytest.mark.parametrize("suffix", ["tif", "png", "gif", "bmp"])
def test_the_indices_of_a_palette_are_labels(tmp_path, suffix):
    labels = np.zeros((8, 9), np.uint8)
    labels[1:3, 1:3], labels[5:7, 5:8] = 3, 7
    picture = Pillow.fromarray(labels, "L").convert("P")
    picture.putdata(labels.ravel())
    picture.putpalette([0, 0, 0, 9, 9, 9, 8, 8, 8, 255, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 255, 0])
    picture.save(tmp_path / f"a.{suffix}", **({"optimize": False} if suffix == "gif" else {}))
    mask = read_label_image(tmp_path / f"a.{suffix}")
    assert mask.axes == "YX"
    np.testing.assert_array_equal(mask.array, labels)
    colours = read_image(tmp_path / f"a.{suffix}")
    assert colours.rgb
    np.testing.assert_array_equal(colours.array[1, 1, :3], [255, 0, 0])


@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_labels_are_as_they_are_numbered(tmp_path, photometric):
    tifffile.imwrite(tmp_path / "a.tif", GREYS, photometric=photometric)
    np.testing.assert_array_equal(read_label_image(tmp_path / "a.tif").array, GREYS)
    tifffile.imwrite(tmp_path / "bits.tif", GREYS > 20)
    np.testing.assert_array_equal(read_label_image(tmp_path / "bits.tif").array, GREYS > 20)
    np.save(tmp_path / "a.npy", GREYS)
    np.testing.assert_array_equal(read_label_image(tmp_path / "a.npy").array, GREYS)


def test_inks_become_the_colours_that_pillow_sees(tmp_path):
    inks = noise(8, 9, 4, dtype=np.uint8)
    Pillow.fromarray(inks, "CMYK").save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    assert (image.axes, image.rgb, image.array.shape) == ("YXC", True, (8, 9, 3))
    with Pillow.open(tmp_path / "a.tif") as picture:
        expected = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(image.array.astype(int) - expected).max() <= 1


def test_colours_of_another_kind_are_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(8, 9, 3, dtype=np.uint8), photometric="cielab")
    with pytest.raises(ImageError, match=r"a\.tif: its colours are stored as CIELAB"):
        read_image(tmp_path / "a.tif")


def test_the_alpha_of_greys_is_no_channel(tmp_path):
    array = noise(8, 9, 2, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", extrasamples=["unassalpha"])
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.array, array[..., 0])
    np.testing.assert_array_equal(read_label_image(tmp_path / "a.tif").array, array[..., 0])
    tifffile.imwrite(tmp_path / "b.tif", array, photometric="minisblack", extrasamples=["unspecified"])
    assert read_image(tmp_path / "b.tif").array.shape == (8, 9, 2)


@pytest.mark.parametrize(("unit", "size"), [("um", 2.5), ("nm", 300), ("Angstrom", 7), ("pm", 4)])
def test_the_steps_of_an_imagej_stack(tmp_path, unit, size):
    metadata = {"axes": "TZYX", "unit": unit, "spacing": -size, "finterval": 30.5}
    tifffile.imwrite(tmp_path / "a.tif", noise(2, 3, 4, 5), imagej=True, resolution=(4, 2), metadata=metadata)
    image = read_image(tmp_path / "a.tif")
    names = {"um": "micrometer", "nm": "nanometer", "Angstrom": "angstrom", "pm": "picometer"}
    assert image.steps == {"Z": (size, names[unit]), "T": (30.5, "second")}
    assert (image.scale, image.unit) == ((0.5, 0.25), names[unit])
    assert image.remarks == ()


def write_ome(path, xml_sizes):
    """Write a stack whose OME-XML has just these sizes."""
    tifffile.imwrite(path, noise(2, 3, 4, 5), ome=True, metadata={"axes": "TZYX"}, photometric="minisblack")
    tifffile.tiffcomment(path, tifffile.tiffcomment(path).replace("<Pixels ", f"<Pixels {xml_sizes} ").encode())


@pytest.mark.parametrize(
    ("xml", "scale", "unit", "steps", "remarks"),
    [
        ('PhysicalSizeX="0.2" PhysicalSizeY="0.3" PhysicalSizeZ="2"',
         (0.3, 0.2), "micrometer", {"Z": (2, "micrometer")}, 0),
        ('PhysicalSizeX="-2" PhysicalSizeXUnit="Å" PhysicalSizeY="-3" PhysicalSizeYUnit="Å"',
         (3, 2), "angstrom", {}, 0),
        ('PhysicalSizeX="500" PhysicalSizeXUnit="nm" PhysicalSizeY="0.5"', (0.5, 0.5), "micrometer", {}, 0),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pm" PhysicalSizeY="1" PhysicalSizeYUnit="pm" PhysicalSizeZ="3" '
         'PhysicalSizeZUnit="in" TimeIncrement="4" TimeIncrementUnit="ms"',
         (1, 1), "picometer", {"Z": (3, "inch"), "T": (4, "millisecond")}, 0),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pixel" PhysicalSizeY="1" PhysicalSizeYUnit="pixel"', None, None, {}, 0),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="ly" PhysicalSizeY="1" PhysicalSizeYUnit="ly"', None, None, {}, 1),
        ('PhysicalSizeX="0" PhysicalSizeY="1" PhysicalSizeZ="2"', None, None, {"Z": (2, "micrometer")}, 1),
        ('PhysicalSizeX="NaN" PhysicalSizeY="INF"', None, None, {}, 2),
    ],
)  # fmt: skip
def test_the_sizes_of_an_ome_stack(tmp_path, xml, scale, unit, steps, remarks):
    write_ome(tmp_path / "a.ome.tif", xml)
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.scale, image.unit, image.steps) == (pytest.approx(scale) if scale else None, unit, steps)
    assert len(image.remarks) == remarks
    assert all(remark.startswith("a.ome.tif: states a size of ") for remark in image.remarks)


@pytest.mark.parametrize(
    ("resolution", "unit", "size"),
    [
        (20_000, "CENTIMETER", 0.5),
        (50_800, "INCH", 0.5),
        (72, "INCH", None),
        (28.35, "CENTIMETER", None),
        (1, "NONE", None),
    ],
)
def test_tags_that_no_printer_could_follow_are_a_pixel_size(tmp_path, resolution, unit, size):
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 5), resolution=(resolution, resolution / 2), resolutionunit=unit)
    image = read_image(tmp_path / "a.tif")
    assert image.scale == (pytest.approx((2 * size, size)) if size else None)
    assert image.unit == ("micrometer" if size else None)


def test_a_file_of_a_header_alone_holds_no_image(tmp_path):
    path = tmp_path / "begun.tif"
    path.write_bytes(b"II*\0\0\0\0\0")
    with pytest.raises(ImageError, match=r"begun\.tif: holds no image\."):
        read_image(path)

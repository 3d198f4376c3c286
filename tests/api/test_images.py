"""Images of requests: what files on a desk give, and no more than the limits allow."""

import base64
import io
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_unetseg.api.images import ImageLimits, decode_base64, decode_image
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.io import read_image

LIMITS = ImageLimits(max_values=1_000_000, max_compression=1000)
RNG = np.random.default_rng(0)


def decode(data: bytes, name: str = "a", limits: ImageLimits = LIMITS, **options: str) -> Image:
    return decode_image(data, limits, **{"media_type": None, "name": name, **options})


def tiff(array, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def pillow(picture: Pillow.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_it_gives_what_the_file_gives(tmp_path, fuzz_corpus):
    healthy = fuzz_corpus.healthy_files()
    assert len(healthy) > 40
    for file in healthy:
        path = tmp_path / file.name
        path.write_bytes(file.data)
        axes = "ZYX" if file.name == "planes.tif" else None
        on_disk, sent = (
            read_image(path, axes),
            decode_image(file.data, LIMITS, media_type=None, name=file.name, axes=axes),
        )
        np.testing.assert_array_equal(sent.array, on_disk.array, err_msg=file.name)
        assert sent.array.dtype == on_disk.array.dtype
        for fact in ("axes", "rgb", "scale", "unit", "name", "steps", "remarks"):
            assert getattr(sent, fact) == getattr(on_disk, fact), file.name
        assert sent.path is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_no_bit_of_a_deep_png_is_lost(channels):
    array = RNG.integers(0, 65536, (7, 9, channels), dtype=np.uint16).squeeze()
    image = decode(imagecodecs.png_encode(array))
    np.testing.assert_array_equal(image.array, array[..., 0] if channels == 2 else array)


def test_no_orientation_turns_a_picture():
    turned = Pillow.Exif()
    turned[274] = 6
    array = np.zeros((16, 24, 3), np.uint8)
    array[:8] = 200
    picture = Pillow.fromarray(array)
    sent = {
        "JPEG": pillow(picture, "JPEG", exif=turned, quality=100),
        "PNG": pillow(picture, "PNG", exif=turned),
        "TIFF": tiff(array, photometric="rgb", extratags=[(274, 3, 1, 6, True)]),
    }
    for kind, data in sent.items():
        image = decode(data)
        assert image.shape == (16, 24), kind
        assert abs(int(image.array[2, 2, 0]) - 200) < 5, kind
        assert image.array[13, 20, 0] < 5, kind


def test_the_content_decides_and_not_the_type_that_was_said():
    data = imagecodecs.png_encode(np.zeros((4, 5), np.uint8))
    assert decode(data, media_type="image/tiff").shape == (4, 5)


@pytest.mark.parametrize(
    ("kind", "media_type", "said"),
    [
        ("GIF", "image/png", r"^a: was sent as image/png, and is a GIF file\. Send a PNG, JPEG"),
        ("WEBP", None, r"^a: is a WebP file\. Send a PNG, JPEG"),
        ("WEBP", "<script>", r"^a: is a WebP file\. Send a PNG, JPEG"),
    ],
)
def test_other_kinds_are_named(kind, media_type, said):
    with pytest.raises(ImageError, match=said):
        decode_image(pillow(Pillow.new("RGB", (8, 8)), kind), LIMITS, media_type=media_type, name="a")


@pytest.mark.parametrize("name", ["/home/somebody/cells.png", "C:\\Users\\somebody\\cells.png", "../../cells.png"])
def test_of_a_name_that_is_a_path_the_last_part_is_taken(name):
    assert decode(imagecodecs.png_encode(np.zeros((4, 5), np.uint8)), name).name == "cells.png"
    with pytest.raises(ImageError, match=r"^cells\.png: "):
        decode(b"nothing", name)


def test_an_image_without_a_name_has_one():
    assert decode(imagecodecs.png_encode(np.zeros((4, 5), np.uint8)), "\n/").name == "image"


def test_what_is_declared_counts_before_anything_is_decoded(monkeypatch):
    def never(*_, **__):
        raise AssertionError

    png = imagecodecs.png_encode(np.zeros((1000, 1001), np.uint8))
    deep = imagecodecs.png_encode(np.zeros((600, 600, 3), np.uint16))
    planes = tiff(np.zeros((11, 300, 310), np.uint8), photometric="minisblack", compression="zlib")
    array = npy(np.zeros((1001, 1000), np.float32))
    monkeypatch.setattr("imagecodecs.png_decode", never)
    monkeypatch.setattr("PIL.Image.open", never)
    monkeypatch.setattr("tifffile.TiffPageSeries.asarray", never)
    monkeypatch.setattr("numpy.load", never)
    for data, millions in ((png, "1.001"), (deep, "1.08"), (planes, "1.023"), (array, "1.001")):
        with pytest.raises(ImageError, match=rf"^a: has {millions} million values .*; at most 1 million are taken"):
            decode(data)


def test_the_limit_itself_is_taken():
    array = np.zeros((1000, 1000), np.uint8)
    assert decode(imagecodecs.png_encode(array)).shape == (1000, 1000)


def test_a_small_file_is_not_believed_to_hold_much():
    array = np.zeros((3000, 3000), np.uint8)
    wide = ImageLimits(max_values=10_000_000, max_compression=1000)
    packed = tiff(array, compression="zstd")
    assert array.size / len(packed) > 1000
    with pytest.raises(ImageError, match=r"values for each of its bytes; at most 1000 are taken"):
        decode(packed, limits=wide)
    assert decode(imagecodecs.png_encode(array), limits=ImageLimits(10_000_000, 2000)).shape == (3000, 3000)


def test_an_empty_picture_of_usual_size_is_taken():
    array = np.zeros((1024, 1024), np.uint8)
    packed = tiff(array, compression="zstd")
    assert array.size / len(packed) > 1000
    assert decode(packed, limits=ImageLimits(2_000_000, 1000)).shape == (1024, 1024)


def test_a_stack_needs_axes():
    data = tiff(RNG.integers(0, 99, (3, 8, 9), dtype=np.uint16), photometric="minisblack", metadata=None)
    assert decode(data, axes="ZYX").stack_shape == (3,)
    with pytest.raises(ImageError, match="not one plane"):
        decode(data)


def test_axes_that_are_none_are_told():
    with pytest.raises(ImageError, match="name no image"):
        decode(npy(np.zeros((3, 8, 9))), axes="ABC")


def test_another_file_that_a_tiff_names_is_never_opened(tmp_path, monkeypatch):
    secret = tmp_path / "other.tif"
    secret.write_bytes(tiff(np.full((8, 8), 77, np.uint8)))
    monkeypatch.chdir(tmp_path)
    pixels = 'DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="8" SizeZ="1" SizeC="1" SizeT="1"'
    part = f'<TiffData IFD="0"><UUID FileName="{secret}">urn:uuid:1</UUID></TiffData>'
    text = f'<?xml version="1.0"?><OME UUID="urn:uuid:2"><Image><Pixels {pixels}>{part}</Pixels></Image></OME>'
    data = tiff(np.zeros((8, 8), np.uint8), description=text, metadata=None)
    opened: list[str] = []
    watched = [True]

    def watch(event, arguments):
        if watched and event == "open":
            opened.append(str(arguments[0]))

    # It sees every file that is opened, by whomever, and cannot be taken away again.
    sys.addaudithook(watch)
    try:
        image = decode(data)
        secret.read_bytes()
    finally:
        watched.clear()
    assert not image.array.any()
    assert [path for path in opened if path.endswith("other.tif")] == [str(secret)]


def test_pickles_are_never_opened(tmp_path):
    class Opened:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    file = io.BytesIO()
    np.save(file, np.array([Opened()], object), allow_pickle=True)
    with pytest.raises(ImageError, match="never opened"):
        decode(file.getvalue())
    assert not (tmp_path / "opened").exists()


def test_nothing_is_sent():
    with pytest.raises(ImageError, match="the file is empty"):
        decode(b"")


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "DATA:image/svg+xml;base64,"])
@pytest.mark.parametrize("between", ["", "\n", "\r\n", " \t"])
def test_base64_as_programs_write_it(prefix, between):
    data = bytes(range(256)) * 3
    text = base64.b64encode(data).decode()
    lines = between.join(text[start : start + 76] for start in range(0, len(text), 76))
    assert decode_base64(prefix + lines + between) == data


def test_bytes_are_counted_before_they_are_decoded(monkeypatch):
    text = base64.b64encode(bytes(1000)).decode()
    assert len(decode_base64(text, max_bytes=1000)) == 1000
    monkeypatch.setattr("base64.b64decode", None)
    with pytest.raises(ImageError, match=r"more than 0\.000999 MB"):
        decode_base64(text, max_bytes=999)

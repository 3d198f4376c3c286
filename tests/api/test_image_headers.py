"""What a file declares is read off its first bytes."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from napari_unetseg.api.image_headers import (
    Declared,
    declared_bmp,
    declared_jpeg,
    declared_npy,
    declared_png,
    kind_of,
)


def pillow(mode: str, kind: str, **options) -> bytes:
    file = io.BytesIO()
    Pillow.new(mode, (30, 20)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "found"),
    [("PNG", "PNG"), ("JPEG", "JPEG"), ("BMP", "BMP"), ("TIFF", "TIFF"), ("GIF", "GIF"), ("WEBP", "WebP")],
)
def test_the_kind_is_told_by_the_beginning(kind, found):
    assert kind_of(pillow("RGB", kind)) == found


def test_what_begins_like_nothing_has_no_kind():
    assert kind_of(b"") is None
    assert kind_of(b"<svg/>") is None


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 2), ("P", 3), ("RGB", 3), ("RGBA", 4)])
def test_png(mode, channels):
    assert declared_png(pillow(mode, "PNG")) == Declared(20, 30, channels)


@pytest.mark.parametrize(("colour", "channels"), [(0, 2), (2, 4)])
def test_a_transparent_colour_of_a_deep_png_is_a_channel(fuzz_corpus, colour, channels):
    transparent = (b"tRNS", bytes(2 if colour == 0 else 6))
    data = fuzz_corpus.png_of(fuzz_corpus.png_header(8, 4, 16, colour), transparent, (b"IDAT", b""), (b"IEND", b""))
    assert declared_png(data) == Declared(4, 8, channels)


def test_frames_of_a_png_are_counted():
    animated = pillow("RGB", "PNG", save_all=True, append_images=[Pillow.new("RGB", (30, 20), 9)] * 2)
    assert declared_png(animated).frames == 3


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg(mode, channels, progressive):
    assert declared_jpeg(pillow(mode, "JPEG", progressive=progressive, comment=b"\xff\xc0" * 50)) == Declared(
        20, 30, channels
    )


def test_the_frame_of_a_thumbnail_is_not_that_of_the_picture():
    data, thumbnail = pillow("RGB", "JPEG"), io.BytesIO()
    Pillow.new("RGB", (5, 5)).save(thumbnail, "JPEG")
    segment = b"Exif\0\0" + thumbnail.getvalue()
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    assert declared_jpeg(data) == Declared(20, 30, 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp(mode):
    declared = declared_bmp(pillow(mode, "BMP"))
    assert (declared.height, declared.width) == (20, 30)


def test_npy():
    file = io.BytesIO()
    np.save(file, np.zeros((3, 4, 5), np.float32))
    assert declared_npy(file.getvalue()) == ((3, 4, 5), np.dtype(np.float32))
    with pytest.raises(ValueError, match="ends before its last value"):
        declared_npy(file.getvalue()[:-1])


@pytest.mark.parametrize("read", [declared_png, declared_jpeg, declared_bmp, declared_npy])
def test_what_ends_too_early_has_no_size(read):
    kinds = {declared_png: b"\x89PNG\r\n\x1a\n\0\0", declared_jpeg: b"\xff\xd8\xff", declared_bmp: b"BM"}
    with pytest.raises((ValueError, struct.error)):
        read(kinds.get(read, b"\x93NUMPY\1"))


def test_a_png_of_endless_parts_is_not_gone_through():
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    part = b"\0\0\0\0teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    with pytest.raises(ValueError, match="far more parts"):
        declared_png(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + bytes(4) + part * 100_001)

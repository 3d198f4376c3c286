"""The directories of a TIFF file are walked through before a library reads it."""

import io
import struct

import numpy as np
import pytest
import tifffile

from napari_unetseg.api.image_headers import Declared
from napari_unetseg.api.tiff_structure import jpeg_parts, open_tiff, walk_directories


def tiff(array, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_every_directory_declares_its_size(byteorder, bigtiff):
    array = np.zeros((3, 20, 30), np.uint16)
    data = tiff(array, byteorder=byteorder, bigtiff=bigtiff, photometric="minisblack", metadata=None)
    assert list(walk_directories(data)) == [Declared(20, 30, 1)] * 3


def test_tiles_declare_theirs():
    data = tiff(np.zeros((20, 30, 3), np.uint8), tile=(64, 32), photometric="rgb")
    assert list(walk_directories(data)) == [Declared(20, 30, 3), Declared(64, 32, 3)]


def test_lower_resolutions_are_found():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.zeros((64, 64), np.uint8), subifds=2)
        writer.write(np.zeros((32, 32), np.uint8), subfiletype=1)
        writer.write(np.zeros((16, 16), np.uint8), subfiletype=1)
    assert {declared.height for declared in walk_directories(file.getvalue())} == {64, 32, 16}


def test_many_planes_are_walked_through_and_more_are_not(fuzz_corpus):
    directory = [(256, 4, 1, 5), (257, 4, 1, 6)]
    assert len(list(walk_directories(fuzz_corpus.tiff_of(*[directory] * 4096)))) == 4096
    with pytest.raises(ValueError, match="more planes"):
        list(walk_directories(fuzz_corpus.tiff_of(*[directory] * 4097)))


def test_directories_that_share_a_long_text_are_not_read_again_and_again(fuzz_corpus):
    data = fuzz_corpus.tiff_of(*[[(256, 4, 1, 5), (257, 4, 1, 6), (270, 2, 100_000, 8)]] * 400) + bytes(100_000)
    with pytest.raises(ValueError, match="more planes or tags"):
        list(walk_directories(data))


def test_numbers_are_counted(fuzz_corpus):
    data = fuzz_corpus.tiff_of([(256, 4, 1, 5), (257, 4, 1, 6), (273, 4, 2_000_001, 8)]) + bytes(8_100_000)
    with pytest.raises(ValueError, match="more planes or tags"):
        list(walk_directories(data))


def test_a_file_that_ends_within_a_directory():
    with pytest.raises(struct.error):
        list(walk_directories(tiff(np.zeros((8, 8), np.uint8))[:30]))


def test_streams_in_strips_declare_their_size():
    data = tiff(np.zeros((64, 48, 3), np.uint8), photometric="rgb", compression="jpeg", tile=(32, 32))
    with open_tiff(data, io.BytesIO(data)) as file:
        assert list(jpeg_parts(data, file.series[0])) == [Declared(32, 32, 3)] * 4


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma", "packbits", "jpeg", None])
def test_usual_compressions_are_read(compression):
    data = tiff(np.zeros((16, 16), np.uint8), compression=compression)
    with open_tiff(data, io.BytesIO(data)) as file:
        assert file.series[0].shape == (16, 16)


@pytest.mark.parametrize("compression", ["jpeg2000", "webp", "png", "lerc", "jpegxl"])
def test_others_are_refused(compression):
    data = tiff(np.zeros((16, 16, 3), np.uint8), compression=compression, photometric="rgb")
    with pytest.raises(ValueError, match=rf"compressed as {compression.upper()}, which"):
        open_tiff(data, io.BytesIO(data))

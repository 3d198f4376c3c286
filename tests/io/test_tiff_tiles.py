"""Pixels that stay in their TIFF file are those of the file that is read whole."""

import numpy as np
import pytest
import tifffile

from napari_unetseg.io import read_image, read_label_image, read_tiff, tiff_tiles
from napari_unetseg.lazy_array import LazyArray

RNG = np.random.default_rng(0)
TILE = {"tile": (16, 32)}


def smooth(*shape, dtype=np.uint8):
    """Pixels that survive a compression that loses some."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    plane = 100 + 60 * np.sin(rows / 9) * np.cos(columns / 7)
    return np.broadcast_to(plane[(...,) + (None,) * (len(shape) - 2)], shape).astype(dtype)


def noise(*shape, dtype=np.uint16):
    return RNG.integers(0, 200, shape).astype(dtype)


def sparse(*shape):
    """Of which most tiles show nothing."""
    array = np.zeros(shape, np.uint16)
    array[20:25, 40:45] = 7
    return array


PALETTE = RNG.integers(0, 2**16, (3, 256)).astype(np.uint16)
FILES = {
    "tiles": (noise(50, 70), {**TILE, "compression": "zlib"}),
    "tiles as they are": (noise(50, 70), TILE),
    "strips": (noise(50, 70), {"rowsperstrip": 7, "compression": "lzw", "predictor": True}),
    "one row a strip": (noise(50, 70, dtype=np.int16), {"rowsperstrip": 1, "compression": "packbits"}),
    "floats": (RNG.normal(size=(50, 70)).astype(np.float32), {**TILE, "compression": "zstd", "predictor": True}),
    "the other byte order": (noise(50, 70), {**TILE, "compression": "deflate", "byteorder": ">"}),
    "above 4 GB": (noise(50, 70), {**TILE, "compression": "zlib", "bigtiff": True}),
    "JPEG": (smooth(50, 70, 3), {**TILE, "compression": "jpeg", "photometric": "rgb"}),
    "JPEG of grey": (smooth(50, 70), {**TILE, "compression": "jpeg"}),
    "JPEG 2000": (smooth(50, 70, 3), {**TILE, "compression": "jpeg2000", "photometric": "rgb"}),
    "colours apart": (
        noise(3, 50, 70),
        {**TILE, "compression": "zlib", "photometric": "rgb", "planarconfig": "separate"},
    ),
    "colours and alpha": (
        noise(50, 70, 4, dtype=np.uint8),
        {**TILE, "compression": "zlib", "photometric": "rgb", "extrasamples": ["unassalpha"]},
    ),
    "grey and alpha": (
        noise(50, 70, 2, dtype=np.uint8),
        {"compression": "zlib", "rowsperstrip": 9, "extrasamples": ["unassalpha"], "planarconfig": "contig"},
    ),
    "inverted": (noise(50, 70), {**TILE, "compression": "zlib", "photometric": "miniswhite"}),
    "inverted as they are": (noise(50, 70), {"photometric": "miniswhite"}),
    "palette": (noise(50, 70, dtype=np.uint8), {**TILE, "compression": "zlib", "colormap": PALETTE}),
    "inks": (noise(50, 70, 4, dtype=np.uint8), {**TILE, "compression": "zlib", "photometric": "separated"}),
    "bits": (noise(50, 70) > 100, {"compression": "packbits", "rowsperstrip": 8}),
    "stack": (noise(3, 2, 50, 70), {**TILE, "compression": "zlib", "ome": True, "metadata": {"axes": "ZCYX"}}),
    "colour stack": (
        noise(3, 50, 70, 3, dtype=np.uint8),
        {**TILE, "compression": "zlib", "ome": True, "metadata": {"axes": "TYXS"}, "photometric": "rgb"},
    ),
    "deep tiles": (
        noise(5, 50, 70),
        {"tile": (2, 16, 32), "compression": "zlib", "volumetric": True, "metadata": {"axes": "ZYX"}},
    ),
    "ImageJ": (noise(4, 50, 70), {"imagej": True, "metadata": {"axes": "TYX"}}),
    "compressed ImageJ": (noise(4, 50, 70), {"imagej": True, "compression": "zlib", "metadata": {"axes": "ZYX"}}),
    "one plane of many": (
        noise(1, 1, 50, 70),
        {**TILE, "ome": True, "compression": "zlib", "metadata": {"axes": "ZCYX"}},
    ),
    "nothing written": (sparse(50, 70), {**TILE, "compression": "zlib"}),
}


def write(path, name):
    array, options = FILES[name]
    of_file = {key: value for key, value in options.items() if key in ("ome", "imagej", "byteorder", "bigtiff")}
    options = {key: value for key, value in options.items() if key not in of_file}
    options.setdefault("photometric", "minisblack" if "colormap" not in options else "palette")
    with tifffile.TiffWriter(path, **of_file) as writer:
        writer.write(array, **options)


def same(lazy, whole):
    """That an image is the same lazily: all of it, and any part."""
    assert isinstance(lazy.array, LazyArray)
    assert (lazy.axes, lazy.rgb, lazy.scale, lazy.unit, lazy.steps) == (
        whole.axes,
        whole.rgb,
        whole.scale,
        whole.unit,
        whole.steps,
    )
    assert (lazy.array.shape, lazy.array.dtype) == (whole.array.shape, whole.array.dtype)
    np.testing.assert_array_equal(np.asarray(lazy.array), whole.array)
    for _ in range(5):
        ends = [sorted(RNG.integers(0, length + 1, 2)) for length in whole.array.shape]
        box = tuple(slice(int(start), int(stop)) for start, stop in ends)
        np.testing.assert_array_equal(np.asarray(lazy.array[box]), whole.array[box])


@pytest.mark.parametrize("name", FILES)
def test_pixels_in_the_file_are_those_of_the_whole(tmp_path, monkeypatch, name):
    path = tmp_path / "a.tif"
    write(path, name)
    whole, numbers = read_image(path), read_label_image(path)
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    same(read_image(path), whole)
    same(read_label_image(path), numbers)


def test_a_part_decodes_its_tiles_only(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", "tiles")
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    seen = []
    read = tiff_tiles._Tiles._decoded
    monkeypatch.setattr(tiff_tiles._Tiles, "_decoded", lambda self, tile: seen.append(tile.number) or read(self, tile))
    array = read_image(tmp_path / "a.tif").array
    assert seen == []
    np.asarray(array[20:33, 30:34])
    assert sorted(seen) == [3, 4, 6, 7]
    np.asarray(array[17:20, 0:40])
    assert sorted(seen) == [3, 4, 6, 7]


def test_few_tiles_are_kept(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", "tiles")
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    monkeypatch.setattr(tiff_tiles, "KEPT", 3 * 2 * 16 * 32)
    tiles = tiff_tiles._Tiles(tifffile.TiffFile(tmp_path / "a.tif"), tmp_path / "a.tif", 0)
    np.testing.assert_array_equal(tiles.read((slice(0, 50), slice(0, 70))), FILES["tiles"][0])
    assert 0 < len(tiles._kept) <= 3
    assert tiles._kept_bytes == sum(pixels.nbytes for pixels in tiles._kept.values()) <= tiff_tiles.KEPT
    tiles._file.close()

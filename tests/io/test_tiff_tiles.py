"""Pixels that stay in their TIFF file are those of the file that is read whole."""

import gc
import io
import struct
import threading

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image as Pillow

from napari_unetseg.errors import ImageError
from napari_unetseg.inference.normalisation import find_ranges, normalise
from napari_unetseg.io import read_image, read_label_image, read_tiff, tiff_tiles
from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.zoo.card import Percentile

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
    whole, numbers = read_image(path), read_label_image(path).array
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    same(read_image(path), whole)
    stored = read_label_image(path).array
    assert isinstance(stored, np.ndarray)
    np.testing.assert_array_equal(stored, numbers)


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


def lazily(path, monkeypatch, **options):
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    image = read_tiff.read_tiff(path, **options)
    assert isinstance(image.array, LazyArray)
    return image


def test_few_tiles_are_kept(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", "tiles")
    monkeypatch.setattr(tiff_tiles, "KEPT", 3 * 2 * 16 * 32)
    tiles = lazily(tmp_path / "a.tif", monkeypatch).array._read.__self__
    np.testing.assert_array_equal(tiles.read((slice(0, 50), slice(0, 70))), FILES["tiles"][0])
    assert 0 < len(tiles._kept) <= 3
    assert tiles._kept_bytes == sum(pixels.nbytes for pixels in tiles._kept.values()) <= tiff_tiles.KEPT


def test_many_threads_read_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_tiles, "KEPT", 3 * 2 * 16 * 32)
    write(tmp_path / "a.tif", "stack")
    array, expected = lazily(tmp_path / "a.tif", monkeypatch).array, FILES["stack"][0]
    start, wrong = threading.Barrier(6), []

    def read(seed):
        rng = np.random.default_rng(seed)
        start.wait()
        for _ in range(15):
            z, y, x = rng.integers(0, (3, 40, 60))
            box = (slice(z, z + 1), slice(None), slice(y, y + 30), slice(x, x + 30))
            if not np.array_equal(np.asarray(array[box]), expected[box]):
                wrong.append(box)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_tiles_that_were_never_written_show_nothing(tmp_path, monkeypatch):
    tile = noise(16, 32)
    tiles = (tile if at in (0, 4) else None for at in range(12))
    tifffile.imwrite(tmp_path / "a.tif", tiles, shape=(50, 70), dtype=np.uint16, tile=(16, 32), compression="zlib")
    expected = np.zeros((50, 70), np.uint16)
    expected[:16, :32] = expected[16:32, 32:64] = tile
    np.testing.assert_array_equal(np.asarray(lazily(tmp_path / "a.tif", monkeypatch).array), expected)


def test_planes_in_other_files_are_read(tmp_path, monkeypatch):
    planes = noise(2, 50, 70)
    pixels = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint16" SizeX="70" SizeY="50" SizeZ="2" SizeC="1" SizeT="1">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{}</Pixels></Image></OME>'
    )
    links = (
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>'
        for z in range(2)
    )
    xml = pixels.format("".join(links)).replace("<OME ", '<OME UUID="urn:uuid:{}" ')
    for z, plane in enumerate(planes):
        tifffile.imwrite(
            tmp_path / f"{z}.ome.tif",
            plane,
            tile=(16, 32),
            compression="zlib",
            description=xml.format(z),
            metadata=None,
        )
    image = lazily(tmp_path / "0.ome.tif", monkeypatch)
    assert image.axes == "ZYX"
    np.testing.assert_array_equal(np.asarray(image.array), planes)


def test_percentiles_of_an_image_in_its_file_are_those_of_the_image(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", "strips")
    whole = normalise(read_image(tmp_path / "a.tif"), Percentile(), 1).found
    image = lazily(tmp_path / "a.tif", monkeypatch)
    assert find_ranges(image, Percentile(), 1) == whole


@pytest.mark.parametrize("compression", ["zlib", "jpeg", "lzw"])
def test_a_damaged_tile_is_named(tmp_path, monkeypatch, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth(50, 70), tile=(16, 32), compression=compression, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[0].dataoffsets[4], file.pages[0].databytecounts[4]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x05" * count)
    array = lazily(path, monkeypatch).array
    np.asarray(array[:16])
    with pytest.raises(ImageError, match=r"a\.tif: the pixels from row 16 and column 32 on cannot be read \("):
        np.asarray(array[10:20])


def test_a_file_that_ends_too_early_is_said_to(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(noise(50, 70), tile=(16, 32), compression="zlib")
    with tifffile.TiffFile(path) as file:
        last = max(file.pages[0].dataoffsets)
    with path.open("r+b") as file:
        file.truncate(last + 5)
    with pytest.raises(ImageError, match=r"row 48 and column 64 on cannot be read \(the file ends before it does\)"):
        np.asarray(lazily(path, monkeypatch).array)


def test_what_is_stored_as_one_large_piece_is_read_whole_and_said(tmp_path, monkeypatch):
    pixels = noise(50, 70)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="zlib", rowsperstrip=50)
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 1000)
    monkeypatch.setattr(tiff_tiles, "READ_AT_ONCE", 1000)
    image = read_image(tmp_path / "a.tif")
    assert isinstance(image.array, np.ndarray)
    np.testing.assert_array_equal(image.array, pixels)
    assert "Saved in tiles, such as a pyramidal OME-TIFF or OME-Zarr, it needs less." in image.remarks[0]
    memory = psutil.virtual_memory()._replace(available=500)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(ImageError, match=r"a\.tif: its 0\.0 GB are stored in too large pieces"):
        read_image(tmp_path / "a.tif")


def test_the_file_is_closed_once_nobody_has_the_array(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", "tiles")
    image = lazily(tmp_path / "a.tif", monkeypatch)
    part = image.array[3]
    file = part._read.__self__._series.parent.filehandle
    del image
    gc.collect()
    assert not file.closed
    np.testing.assert_array_equal(np.asarray(part), FILES["tiles"][0][3])
    del part
    gc.collect()
    assert file.closed


def pyramid(path, array, levels=3, **options):
    """As Bio-Formats writes it: smaller versions hang at the page."""
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as writer:
        writer.write(array, subifds=levels - 1, **TILE, compression="zlib", **options)
        for level in range(1, levels):
            smaller = array[..., :: 2**level, :: 2**level]
            writer.write(smaller, subfiletype=1, **TILE, compression="zlib", photometric="minisblack")


@pytest.mark.parametrize("lazy", [False, True])
def test_a_level_of_a_pyramid_has_its_own_pixel_size(tmp_path, monkeypatch, lazy):
    array = noise(2, 131, 150)
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    pyramid(path, array, metadata={"axes": "ZYX"} | sizes, photometric="minisblack")
    if lazy:
        monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    for level in range(3):
        image = read_tiff.read_tiff(path, level=level)
        assert isinstance(image.array, LazyArray) == lazy
        np.testing.assert_array_equal(np.asarray(image.array), array[:, :: 2**level, :: 2**level])
        assert (image.scale, image.unit) == ((0.5 * 2**level, 0.25 * 2**level), "micrometer")
        assert image.steps["Z"] == (2.0, "micrometer")
    with pytest.raises(ImageError, match=r"a\.ome\.tif: level 3 does not exist; there are 0 to 2"):
        read_tiff.read_tiff(path, level=3)


def test_a_level_of_another_factor_is_measured(tmp_path):
    array = noise(90, 100)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(array, subifds=1, metadata={"PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0})
        writer.write(array[:36, :40], subfiletype=1)
    assert read_image(tmp_path / "a.ome.tif", level="2.2 µm").scale == (2.5, 2.5)
    assert read_image(tmp_path / "a.ome.tif", level="50 px").shape == (36, 40)


def test_what_is_no_pyramid_has_one_level(tmp_path):
    np.save(tmp_path / "a.npy", noise(5, 6))
    assert read_image(tmp_path / "a.npy", level=0).shape == (5, 6)
    with pytest.raises(ImageError, match=r"a\.npy: level 1 does not exist"):
        read_image(tmp_path / "a.npy", level=1)


def test_a_slide_of_a_scanner_is_read_by_level(tmp_path, monkeypatch):
    """As Aperio writes it: JPEG tiles, a thumbnail between the levels, and pictures of label and slide behind them."""
    slide = smooth(200, 330, 3)
    path = tmp_path / "a.svs"
    header = "Aperio Image Library v11.2.1 \r\n330x200 [0,0 330x200] (64x64) JPEG/RGB Q=90"
    tiles = {"tile": (64, 64), "compression": "jpeg", "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(slide, **tiles, description=f"{header}|AppMag = 20|MPP = 0.4990|Left = 25.69")
        writer.write(slide[::4, ::4], photometric="rgb", rowsperstrip=16, description=header, metadata=None)
        writer.write(slide[::4, ::4][:50, :82], **tiles, description=header)
        writer.write(
            smooth(60, 61, 3), photometric="rgb", subfiletype=1, description=f"{header}\r\nlabel", metadata=None
        )
        writer.write(
            smooth(60, 90, 3), photometric="rgb", subfiletype=9, description=f"{header}\r\nmacro", metadata=None
        )
    whole = read_image(path)
    assert (whole.axes, whole.rgb, whole.scale, whole.unit) == ("YXC", True, (0.499, 0.499), "micrometer")
    assert np.abs(whole.array.astype(int) - slide).max() < 20
    smaller = read_tiff.read_tiff(path, level=1)
    assert (smaller.shape, smaller.scale) == ((50, 82), (4 * 0.499, 4 * 0.499))
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    same(read_image(path), whole)
    same(read_tiff.read_tiff(path, level=1), smaller)


def slide_of_one_jpeg(pixels):
    """One JPEG of restarts after each 64 pixels, and where its pieces begin."""
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "jpeg", subsampling=0, restart_marker_blocks=8, quality=90)
    data = buffer.getvalue()
    scan = data.index(b"\xff\xda")
    first = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    restarts = [at + 2 for at in range(first, len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    return data, [first, *restarts]


def write_ndpi(path, levels):
    """As Hamamatsu's scanners write it: each level is a JPEG of one strip, whose restarts make it readable by tiles."""
    content = bytearray(b"II*\0" + bytes(8))
    link = 4
    for number, pixels in enumerate(levels):
        data, starts = slide_of_one_jpeg(pixels)
        at = len(content)
        content += data
        table = len(content)
        content += struct.pack(f"<{len(starts)}I", *starts)
        maker = len(content)
        content += b"Hamamatsu\0"
        height, width, _ = pixels.shape
        sizes = len(content)
        content += struct.pack("<3H2I", 8, 8, 8, 45454, 1)  # bits a sample, and pixels a centimetre
        ratio = sizes + 6
        tags = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, sizes),
            (259, 3, 1, 7),
            (262, 3, 1, 6),
            (271, 2, 10, maker),
            (273, 4, 1, at),
            (277, 3, 1, 3),
            (278, 4, 1, height),
            (279, 4, 1, len(data)),
            (282, 5, 1, ratio),
            (283, 5, 1, ratio),
            (296, 3, 1, 3),
            (65420, 4, 1, 1),
            (65421, 11, 1, int.from_bytes(struct.pack("<f", 20.0 / 2**number), "little")),
            (65426, 4, len(starts), table),
        ]
        content[link : link + 8] = struct.pack("<Q", len(content))
        content += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        link = len(content)
        content += bytes(8 + 4 * len(tags))
    path.write_bytes(content)


def test_a_slide_that_is_one_jpeg_is_read_by_its_restarts(tmp_path, monkeypatch):
    slide = smooth(96, 256, 3)
    path = tmp_path / "a.ndpi"
    write_ndpi(path, [slide, np.ascontiguousarray(slide[::2, ::2])])
    whole, smaller = read_image(path), read_image(path, level=1)
    assert (whole.axes, whole.rgb, smaller.shape) == ("YXC", True, (48, 128))
    assert whole.scale == pytest.approx((0.22, 0.22), rel=1e-3)
    assert smaller.scale == pytest.approx((0.44, 0.44), rel=1e-3)
    assert np.abs(whole.array.astype(int) - slide).max() < 20
    monkeypatch.setattr(read_tiff, "READ_AT_ONCE", 100)
    lazy = read_image(path)
    assert lazy.array.chunks == (8, 64, 3)
    same(lazy, whole)
    same(read_image(path, level=1), smaller)

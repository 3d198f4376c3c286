"""Pixels of a TIFF file that stay in it until they are needed, then read tile by tile: compressed ones, too."""

import weakref
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION

from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import ImageError
from napari_unetseg.image import READ_AT_ONCE
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.lazy_array import LazyArray

KEPT = 2**28
"""Bytes of tiles that are kept after they were decoded: neighbours need the tiles that lie under both."""

# Of which a page has tables that all its tiles share.
_JPEG: tuple[int, ...] = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY, COMPRESSION.ALT_JPEG)


class _Tile(NamedTuple):
    """A tile or strip of a page, and the first row and column of its pixels."""

    page: int
    number: int
    top: int
    left: int


def tiled_pixels(path: Path, level: int) -> LazyArray | None:
    """Return pixels that are read tile by tile, or strip by strip, each decoded when a pixel of it is needed.

    The file stays open as long as somebody holds the array. Any number of threads may read it.

    Parameters
    ----------
    path
        The file; of its images the first is read.
    level
        Of its pyramid.

    Returns
    -------
    LazyArray or None
        None if they are stored in pieces of more than `READ_AT_ONCE` bytes, or in a way of their own.
    """
    with ExitStack() as stack:
        file = stack.enter_context(tifffile.TiffFile(path))
        if not _has_plain_tiles(file.series[0].levels[level]):
            return None
        tiles = _Tiles(file, path, level)
        weakref.finalize(tiles, stack.pop_all().close)
    return LazyArray(tiles.read, tiles.shape, tiles.dtype, tiles.chunks)


def _has_plain_tiles(series: tifffile.TiffPageSeries) -> bool:
    page = series.keyframe
    samples, depth, height, width, colours = page.shaped
    before, _, after = series.axes.partition("YX")
    around = series.shape[: len(before)], series.shape[len(series.axes) - len(after) :]
    return (
        series.transform is None
        and "YX" in series.axes
        and series.shape[len(before) : len(before) + 2] == (height, width)
        and tuple(map(prod, around)) == (len(series) * samples * depth, colours)
        and prod(_tile_shape(page)) * series.dtype.itemsize <= READ_AT_ONCE
    )


def _tile_shape(page: tifffile.TiffPage) -> tuple[int, int, int, int]:
    """Return depth, height, width and colours of a tile or strip."""
    colours = page.shaped[-1]
    if page.is_tiled:
        return page.tiledepth, page.tilelength, page.tilewidth, colours
    return 1, min(page.rowsperstrip, page.imagelength), page.imagewidth, colours


class _Tiles:
    """Reads boxes of a level of the first image of a file.

    Its pages lie along all axes before Y and X, in each first its planes of colours, then its depth.
    """

    def __init__(self, file: tifffile.TiffFile, path: Path, level: int) -> None:
        self._path = path
        self._series = file.series[0].levels[level]
        page = self._series.keyframe
        self.shape: tuple[int, ...] = tuple(self._series.shape)
        self.dtype = np.dtype(self._series.dtype)
        self._before = self._series.axes.index("YX")
        self._page_shape = page.shaped
        self._tile_shape = _tile_shape(page)
        _, height, width, _ = self._tile_shape
        self.chunks = (*(1,) * self._before, height, width, *self.shape[self._before + 2 :])
        self._lock = Lock()  # on the file, its pages and the tiles that are kept
        self._kept: OrderedDict[tuple[int, int], NDArray[Any] | None] = OrderedDict()
        self._kept_bytes = 0

    def read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Read a box, from a slice of step 1 for each axis."""
        before, (rows, columns), after = (
            box[: self._before],
            box[self._before : self._before + 2],
            box[self._before + 2 :],
        )
        found = np.empty([part.stop - part.start for part in box], self.dtype)
        lead = self.shape[: self._before]
        at = [range(part.start, part.stop) for part in before]
        parts = [
            (tile, depth, found[tuple(place - part.start for place, part in zip(places, before, strict=True))])
            for places in product(*at)
            for tile, depth in self._tiles(int(np.ravel_multi_index(places, lead)) if lead else 0, rows, columns)
        ]

        def fill(part: tuple[_Tile, int, NDArray[Any]]) -> None:
            tile, depth, plane = part
            pixels = self._pixels(tile)
            first, left = max(rows.start, tile.top), max(columns.start, tile.left)
            _, height, width, _ = self._tile_shape
            last = min(rows.stop, tile.top + height)
            right = min(columns.stop, tile.left + width)
            there = (slice(first - rows.start, last - rows.start), slice(left - columns.start, right - columns.start))
            if pixels is None:  # nothing was ever written there
                plane[there] = self._series.keyframe.nodata
                return
            here = pixels[depth, first - tile.top : last - tile.top, left - tile.left : right - tile.left]
            colours = self.shape[self._before + 2 :]
            plane[there] = here.reshape(*here.shape[:2], *colours)[:, :, *after]

        if len(parts) == 1:
            fill(parts[0])
        elif parts:
            with ThreadPoolExecutor(min(usable_cores(), len(parts))) as pool:
                for _ in pool.map(fill, parts):
                    pass
        return found

    def _tiles(self, plane: int, rows: slice, columns: slice) -> Iterator[tuple[_Tile, int]]:
        """Yield the tiles under a part of a plane, each with how deep in it the plane lies."""
        samples, depth, height, width, _ = self._page_shape
        deep, high, wide, _ = self._tile_shape
        page, rest = divmod(plane, samples * depth)
        sample, at = divmod(rest, depth)
        counts = [-(-length // step) for length, step in ((depth, deep), (height, high), (width, wide))]
        for row in range(rows.start // high, -(-rows.stop // high)):
            for column in range(columns.start // wide, -(-columns.stop // wide)):
                number = ((sample * counts[0] + at // deep) * counts[1] + row) * counts[2] + column
                yield _Tile(page, number, row * high, column * wide), at % deep

    def _pixels(self, tile: _Tile) -> NDArray[Any] | None:
        """Return what a tile shows, (depth, Y, X, colours); None where nothing was written."""
        key = (tile.page, tile.number)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            pixels = self._decoded(tile)
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # whatever the libraries of the compressions stumble upon
            raise self._damaged(tile, error_sentence(error)) from error
        with self._lock:
            if key not in self._kept:
                self._kept[key] = pixels
                self._kept_bytes += _bytes(pixels)
            while self._kept_bytes > KEPT and len(self._kept) > 1:
                self._kept_bytes -= _bytes(self._kept.popitem(last=False)[1])
        return pixels

    def _decoded(self, tile: _Tile) -> NDArray[Any] | None:
        with self._lock:
            page = self._series[tile.page]
            if page is None:
                raise self._damaged(tile, Sentence("its page is missing"))
            offset, count = page.dataoffsets[tile.number], page.databytecounts[tile.number]
            data = _read(page.parent.filehandle, offset, count) if offset and count else None
            frame: Any = page.keyframe
            decode = frame.decode  # which is put together the first time
        if data is not None and len(data) < count:
            raise self._damaged(tile, Sentence("the file ends before it does"))
        options = {}
        if frame.compression in _JPEG:
            options = {"jpegtables": page.jpegtables, "jpegheader": frame.jpegheader}
        pixels: NDArray[Any] | None = decode(data, tile.number, **options)[0]
        return pixels

    def _damaged(self, tile: _Tile, reason: str) -> ImageError:
        return ImageError(
            Sentence(
                "{path}: the pixels from row {row} and column {column} on cannot be read ({reason}). The file is "
                "damaged, or no longer what it was; copy or export it again.",
                path=self._path,
                row=tile.top,
                column=tile.left,
                reason=reason,
            )
        )


def _read(file: Any, offset: int, count: int) -> bytes:
    """Read from a file of tifffile's; the second and further files of an image are closed by it."""
    was_closed = file.closed
    if was_closed:
        file.open()
    try:
        file.seek(offset)
        data: bytes = file.read(count)
        return data
    finally:
        if was_closed:
            file.close()


def _bytes(pixels: NDArray[Any] | None) -> int:
    return 0 if pixels is None else pixels.nbytes

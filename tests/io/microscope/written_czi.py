"""CZI files by pylibCZIrw's own writer, and what it cannot write, put into them afterwards."""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pylibCZIrw import czi

Tile = tuple[NDArray[Any], dict[str, int], int, tuple[int, int]]
"""Pixels (Y, X, 1) or (Y, X, 3) with blue first, the plane, the scene, and column and row of the first pixel."""


def write_czi(path: Path, tiles: Iterable[Tile], **metadata: Any) -> None:
    """Write tiles, and metadata as `pylibCZIrw` takes them; the sizes of pixels in metres, whatever it calls them."""
    with czi.create_czi(str(path)) as file:
        for pixels, plane, scene, place in tiles:
            file.write(pixels, plane=plane, scene=scene, location=place)
        file.write_metadata("Made by a test", **metadata)


def edit_xml(path: Path, edit: Callable[[str], str]) -> None:
    """Change the XML of a file."""
    with czi.edit_czi(str(path)) as editor, editor.edit_session() as builder:
        builder.set_xml(edit(builder.get_xml()))


def make_smaller_level(path: Path, side: int, whole: int) -> None:
    """Turn a tile of so many pixels at the first pixel into one of a smaller level, which covers more of the image."""
    data = path.read_bytes()
    for axis in (b"X", b"Y"):
        # Of each axis of a tile: its name, its start, what it covers, a place that nobody uses, what is stored.
        stored = struct.pack("<4siifi", axis, 0, side, 0.0, side)
        assert data.count(stored) == 2, "in the tile itself and in the list of all tiles"
        data = data.replace(stored, struct.pack("<4siifi", axis, 0, whole, 0.0, side))
    path.write_bytes(data)

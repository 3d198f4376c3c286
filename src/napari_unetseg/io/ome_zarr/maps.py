"""Probability maps as a store of OME-Zarr, a channel for each head of the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.ome_zarr.label_creation import is_empty, remove_whole
from napari_unetseg.io.ome_zarr.label_metadata import enveloped, lying_of, multiscale, own_attributes
from napari_unetseg.io.ome_zarr.labels import not_written
from napari_unetseg.io.ome_zarr.location import Location
from napari_unetseg.io.ome_zarr.opening import open_group
from napari_unetseg.io.ome_zarr.pyramid import create_arrays, means, usual_strides, write_region
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.blocks import Block

if TYPE_CHECKING:
    import zarr

_VERSION = "0.5"
_MAPS = "maps"
# Of the channels, by which viewers tell them apart.
_COLOURS = ("FFFFFF", "FF8C1A", "1AA3FF", "5BD65B", "D65BD6")


@dataclass(frozen=True)
class MapPyramid:
    """Probability maps with their lower levels, which processes may send one another.

    Attributes
    ----------
    path
        Folder of the store.
    arrays
        Of the levels, from full resolution on; the axes are those of the image, with channels before Z, Y and X.
    strides
        How many pixels of full resolution a pixel of each level spans, along Y and X.
    letters
        Of the axes, such as ``"TCYX"``.
    planes
        Letters of the axes along which planes are counted, in the order of the image.
    """

    path: str
    arrays: "tuple[zarr.Array[Any], ...]"
    strides: tuple[int, ...]
    letters: str
    planes: str

    def write_block(self, plane: tuple[int, ...], block: Block, maps: NDArray[np.floating[Any]]) -> None:
        """Write the maps (heads, Y, X) of a block of a plane, into all levels; no other process may write it.

        Raises
        ------
        ValueError
            If the block does not begin where one of the size begins that the maps were made for.
        UnetsegError
            If the operating system refuses.
        """
        places: dict[str, int | slice] = dict(zip(self.planes, plane, strict=True))
        index = tuple(places.get(letter, slice(None)) for letter in self.letters[:-2])
        try:
            write_region(self.arrays, self.strides, index, block, maps, means)
        except OSError as error:
            raise not_written(self.path, error) from error


def create_maps(
    path: str | Path,
    heads: Sequence[str],
    image: Image,
    *,
    block_side: int,
    dtype: Literal["float16", "float32"] = "float16",
    provenance: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> MapPyramid:
    """Make a store for the maps of an image, without a pixel in it.

    Parameters
    ----------
    path
        Folder to make, such as ``a_maps.ome.zarr``.
    heads
        Names of the maps, in the order in which they are written.
    image
        What they are of, for shape and sizes.
    block_side
        Of the blocks that will be written, in pixels.
    dtype
        float16 holds probabilities to three digits in half the room.
    provenance
        How the maps came about.
    replace
        Whether a store of maps that is there may be removed.

    Raises
    ------
    UnetsegError
        If there is something else, or the operating system refuses.
    """
    import zarr

    folder = Path(path)
    is_new = not folder.exists() or is_empty(folder)
    if not is_new and not (replace and _holds_maps(folder)):
        raise UnetsegError(
            Sentence("{path}: there is something else already. Choose another name or folder.", path=folder)
        )
    strides = usual_strides(image.shape, block_side)
    before = "".join(sorted(image.stack_axes.replace("Z", ""), key=lambda letter: letter != "T"))
    letters = f"{before}C{'Z' if 'Z' in image.stack_axes else ''}YX"
    lengths = dict(zip(f"{image.stack_axes}YX", (*image.stack_shape, *image.shape), strict=True)) | {"C": len(heads)}
    try:
        remove_whole(folder)
        own = {_MAPS: list(heads), "provenance": dict(provenance or {})}
        # Made with what tells that it is ours, so that a process that is killed here leaves nothing to stumble over.
        group = zarr.create_group(folder, zarr_format=3, attributes=enveloped(_VERSION, {}, own))
        names = letters.lower()
        arrays = create_arrays(group, tuple(lengths[one] for one in letters), strides, names, dtype, block_side)
        said = {
            "multiscales": [multiscale(lying_of(image, letters, strides), image.name, _VERSION, "mean")],
            "omero": {"channels": [_channel(head, at) for at, head in enumerate(heads)]},
        }
        group.attrs.put(enveloped(_VERSION, said, own))
    except OSError as error:
        raise not_written(folder, error) from error
    return MapPyramid(str(folder), arrays, strides, letters, image.stack_axes)


def _channel(head: str, number: int) -> dict[str, Any]:
    return {
        "label": head,
        "color": _COLOURS[number % len(_COLOURS)],
        "active": True,
        "window": {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0},
    }


def _holds_maps(folder: Path) -> bool:
    try:
        return _MAPS in own_attributes(open_group(Location.of(folder)).group)
    except ImageError:
        return False

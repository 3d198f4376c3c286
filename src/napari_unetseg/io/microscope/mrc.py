"""MRC files of electron microscopes, whose header mrcfile reads, and whose pixels are mapped.

Rows are in the order in which they are stored, as mrcfile and napari have them, though programs that follow the letter
of the format show the first one at the bottom.
"""

from functools import partial
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io.mapped_pixels import mapped_pixels
from napari_unetseg.io.microscope.kept_scenes import KeptScenes, refuse_cut_file
from napari_unetseg.io.microscope.scene import Scene
from napari_unetseg.io.physical_size import known_size, known_step
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

_HEADER_BYTES = 1024
_SIGNED_BYTES = 0
_VOLUME_STACKS = range(401, 631)
# What IMOD writes where the format leaves room, by the bytes of that part of the header.
_IMOD_STAMP = 1146047817
_IMOD_AT = 40


def open_mrc(path: Path) -> KeptScenes:
    """Open an MRC file of one image, of a stack of images (axes ``NYX``), a volume (``ZYX``) or several (``NZYX``).

    Images and a volume are told apart as the format does: by the space group, 0 for images; but a file of space
    group 0 with a grid of as many sections as it has planes is a volume, as tomography programs write it. Sizes are in
    ångström. Bytes are signed, unless IMOD says otherwise, or the range in the header cannot be that of signed ones.

    Raises
    ------
    ImageError
        If the numbers are complex, the file is compressed or cut short.
    ValueError
        Whatever else mrcfile finds wrong.
    """
    with mrcfile.open(path, header_only=True) as file:
        header, plain = file.header.copy(), type(file) is mrcfile.mrcfile.MrcFile
        size = file.voxel_size.copy()
    if not plain:
        raise ImageError(
            Sentence("{path}: is compressed as a whole, so it cannot be read in parts; unpack it first.", path=path)
        )
    dtype = _pixel_type(path, header)
    shape = tuple(int(header[name]) for name in ("nz", "ny", "nx"))
    if min(shape) < 1:
        raise ValueError("it holds no pixels")
    axes = _axes(header)
    if len(axes) > len(shape):
        sections = int(header["mz"])
        shape = (shape[0] // sections, sections, *shape[1:])
    start = _HEADER_BYTES + int(header["nsymbt"])
    refuse_cut_file(path, start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    array = _in_order(mapped_pixels(partial(np.memmap, path, dtype, "r", start, shape)), axes)
    scale, unit = known_size([size["y"], size["x"]], ["angstrom", "angstrom"])
    step = known_step(size["z"], "angstrom") if "Z" in axes else None
    steps = {} if step is None else {"Z": step}

    def scene(_: int, name: str) -> Scene:
        return Scene(name, "".join(sorted(axes, key="NZYX".index)), array, scale, unit, steps)

    return KeptScenes([path.stem], scene)


def _axes(header: Any) -> str:
    """Return the letters of the axes in their order in the file, which counts the axes of the crystal from 1."""
    letters = {1: "X", 2: "Y", 3: "Z"}
    order = "".join(letters.get(int(header[name]), "") for name in ("maps", "mapr", "mapc"))
    if sorted(order) != ["X", "Y", "Z"]:
        order = "ZYX"
    sections, planes, group = int(header["mz"]), int(header["nz"]), int(header["ispg"])
    if group in _VOLUME_STACKS and sections > 0 and planes % sections == 0:
        return f"N{order}"
    if group == 0 and order == "ZYX" and not 1 < sections == planes:
        return "NYX"
    return order


def _in_order(array: LazyArray, axes: str) -> LazyArray:
    return array.transpose(sorted(range(len(axes)), key=lambda at: "NZYX".index(axes[at])))


def _pixel_type(path: Path, header: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = mrcfile.utils.data_dtype_from_header(header)
    if dtype.kind == "c":
        raise ImageError(
            Sentence(
                "{path}: holds complex numbers, as a Fourier transform does; save its magnitude or the image itself.",
                path=path,
            )
        )
    return np.dtype(np.uint8) if int(header["mode"]) == _SIGNED_BYTES and not _has_signed_bytes(header) else dtype


def _has_signed_bytes(header: Any) -> bool:
    extra: NDArray[Any] = np.frombuffer(header["extra2"].tobytes(), np.dtype(np.int32), 2, _IMOD_AT)
    stamp, flags = extra.astype(np.int64) if header["mode"].dtype.isnative else extra.byteswap().astype(np.int64)
    if stamp == _IMOD_STAMP:
        return bool(flags & 1)
    return not 0 <= header["dmin"] <= header["dmax"] or header["dmax"] <= np.iinfo(np.int8).max

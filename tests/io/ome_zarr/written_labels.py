"""Images of OME-Zarr with labels that were written into them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from tests.io.ome_zarr.foreign_writers import axes_of, multiscale, write_image

from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.label_creation import create_labels
from napari_unetseg.io.ome_zarr.labels import LabelPyramid

SIDE = 64
SCALE = [1.0, 1.0, 2.0, 0.5, 0.25]
PIXELS = np.random.default_rng(0).integers(0, 4000, (1, 2, 3, 70, 90), np.uint16)
# Numbers above those of 16 bits, and blocks without any.
LABELS = np.zeros((3, 70, 90), np.int32)
LABELS[0, 20:50, 20:60] = 1
LABELS[1:, 40:69, 30:41] = 70_000
LABELS[2, ::7, 80:] = 3
TABLE = {
    "label": np.array([1, 3, 70_000]),
    "area_px": np.array([1200, 100, 638]),
    "area_um2": np.array([150.0, 12.5, np.nan]),
}


def image_store(path: Path, version: str, levels: int = 3) -> Path:
    """An image of one time point, two channels and three planes, whose origin is elsewhere."""
    said = multiscale(axes_of("tczyx"), levels, SCALE, name="cells", version=version)
    write_image(path, PIXELS, said, zarr_format=2 if version == "0.4" else 3)
    return path


def write_blocks(target: LabelPyramid, labels: NDArray[np.int32], side: int = SIDE) -> None:
    """Write a plane, or a stack of planes, block by block."""
    for index in np.ndindex(labels.shape[:-2]):
        for top in range(0, labels.shape[-2], side):
            for left in range(0, labels.shape[-1], side):
                block = tuple(
                    slice(start, min(start + side, end))
                    for start, end in zip((top, left), labels.shape[-2:], strict=True)
                )
                target.write_block(index, block, labels[index][block])


def labelled(path: Path, version: str, name: str = "nuclei", **finish: Any) -> LabelPyramid:
    """Write labels into an image, and finish them."""
    target = create_labels(path, name, read_image(path), block_side=SIDE)
    write_blocks(target, LABELS)
    return target.finish(**finish)


def attributes(path: Path) -> Mapping[str, Any]:
    """What any reader sees of a group that trusts in nothing but the group itself."""
    return zarr.open_group(path, mode="r", use_consolidated=False).attrs.asdict()

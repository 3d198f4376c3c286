"""The label image of a run: made for it, or that of a run that goes on."""

from typing import TYPE_CHECKING

from napari_unetseg.blockwise.grid import BLOCK_SIDE
from napari_unetseg.image import Image
from napari_unetseg.plugin.blocks.destination import Destination

if TYPE_CHECKING:
    from napari_unetseg.io.ome_zarr.labels import LabelPyramid


def open_store(destination: Destination, image: Image, block_side: int = BLOCK_SIDE) -> "LabelPyramid":
    """Make the label image where a run begins; open it where a run goes on.

    Parameters
    ----------
    destination
        Where it is to be.
    image
        What is segmented.
    block_side
        Of the blocks that will be written, in pixels.

    Raises
    ------
    UnetsegError
        If it cannot be written, or there is a finished one that is not to be replaced.
    """
    from napari_unetseg.io.ome_zarr.labels import create_label_store, create_labels, open_labels

    if destination.job_folder.is_dir():
        return open_labels(destination.group)
    if destination.into_image:
        return create_labels(
            destination.store, destination.name, image, block_side=block_side, replace=destination.replace
        )
    return create_label_store(
        destination.store, destination.label, image, block_side=block_side, replace=destination.replace
    )

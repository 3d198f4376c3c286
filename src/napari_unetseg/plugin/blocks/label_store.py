"""The label image of a run: made for it, or that of a run that goes on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_unetseg.blockwise.grid import BLOCK_SIDE
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.claims import Claims, claim_path
from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.blocks.destination import Destination

if TYPE_CHECKING:
    from napari_unetseg.io.ome_zarr.labels import LabelPyramid


_TAKEN = mark(
    "'{name}' in {folder}: another window or program writes these labels now. Choose another name, or wait until it is "
    "done."
)


@contextmanager
def hold_labels(destination: Destination) -> Iterator[None]:
    """Let nobody else write labels until the block ends.

    Raises
    ------
    UnetsegError
        If somebody writes them already, or nothing can be written there.
    """
    with Claims() as claims:
        if not claims.claim(claim_path(destination.folder, f"labels {destination.name}")):
            raise UnetsegError(tr(_TAKEN).format(name=destination.name, folder=destination.folder))
        yield


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
    from napari_unetseg.io.ome_zarr.label_creation import create_label_store, create_labels
    from napari_unetseg.io.ome_zarr.labels import open_labels

    goes_on = destination.job_folder.is_dir() and destination.group.is_dir() and not destination.replace
    if goes_on:
        return open_labels(destination.group, writable=True)
    # Its blocks are of labels that are gone, or to go.
    shutil.rmtree(destination.job_folder, ignore_errors=True)
    if destination.into_image:
        return create_labels(
            destination.store, destination.name, image, block_side=block_side, replace=destination.replace
        )
    return create_label_store(
        destination.store, destination.label, image, block_side=block_side, replace=destination.replace
    )

"""What a model finds in an open image while it learns."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.seen import answer_maps
from napari_unetseg.zoo.card import ModelCard

PREVIEW_FILE = "preview.npy"

LARGEST_PREVIEW = 2048
"""Side of the middle of an image that a preview shows."""


class Preview:
    """Labels of an image after each validation, in a file."""

    def __init__(self, image: Image, card: ModelCard, device: torch.device, folder: Path) -> None:
        self._card, self._device, self._path, self._shape = card, device, folder / PREVIEW_FILE, image.shape
        self._middle = tuple(
            slice((side - kept) // 2, (side - kept) // 2 + kept)
            for side, kept in [(side, min(side, LARGEST_PREVIEW)) for side in image.shape]
        )
        seen = normalise(image, card.normalisation, card.input_channels)
        rows, columns = (np.arange(part.start, part.stop) for part in self._middle)
        self._pixels = torch.from_numpy(seen.read(rows, columns))

    def write(self, network: SegmentationNetwork) -> Path:
        """Write what a network finds, int32 (Y, X)."""
        labels: NDArray[np.int32] = np.zeros(self._shape, np.int32)
        maps = answer_maps(network, self._pixels, self._card, self._device)
        labels[self._middle] = decode(maps, self._card.heads, self._card.parameters)
        with whole_file(self._path) as path:
            np.save(path, labels)
        return self._path

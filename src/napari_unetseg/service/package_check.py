"""A model's answer to one whole image, to be compared with what its package says. Imports torch."""

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.config import Settings
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.selection import BackendRequest
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.service.loaded_model import load_model
from napari_unetseg.zoo.registry import ModelPackage


def answer_of(package: ModelPackage, image: Image) -> NDArray[np.float32]:
    """Run a model on a whole image at once, on the processor in float32, with its own preparation of intensities.

    The image is not divided: only so is the answer that of whoever made the model, in every pixel up to the edge.

    Parameters
    ----------
    package
        The model.
    image
        One plane, of a size that the network accepts.

    Returns
    -------
    float32 (heads, Y, X)
        Probabilities.

    Raises
    ------
    ModelError
        If the model cannot be loaded.
    OutOfMemory
        If there is not enough.
    """
    card = package.card
    loaded = load_model(package, Settings(), device="cpu", backend_request=BackendRequest(precision="float32"))
    try:
        prepared = normalise(image, card.normalisation, card.input_channels)
        return loaded.answer(prepared.array)
    finally:
        loaded.close()

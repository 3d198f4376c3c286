"""A small test image and what a model predicts for it, stored beside its weights.

By it a health check finds out whether anything has changed since. The image is stored as the network sees it, so
that the answer depends on the weights, the runtime and the device, and on nothing else. Nothing here imports torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from napari_unetseg.errors import ModelError, panics_are_errors
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.card import KNOWN_ANSWER_FILE, Linear, MeanStd, ModelCard, ZScore
from napari_unetseg.zoo.registry import ModelPackage

SHA256_KEY = "weights_sha256"
"""Key of the file's metadata that says for which weights the answer holds."""

PICTURE_SIDE = 64
"""Wanted side of the picture; networks that accept no such size get the next one they do."""

_WHITE = 255
"""Where a network sees stored values, the picture is one of 8 bits."""

# Centre (y, x) and radius of the discs, as shares of the picture.
_DISCS = ((0.22, 0.25, 0.14), (0.25, 0.72, 0.11), (0.6, 0.55, 0.16), (0.62, 0.83, 0.12), (0.8, 0.2, 0.09))


@dataclass(frozen=True)
class StoredAnswer:
    """What a model said when it was packaged.

    Attributes
    ----------
    pixels
        Input of the network, float32 (C, Y, X).
    probability
        Its answer, float32 (heads, Y, X), each value in 0..1.
    """

    pixels: NDArray[np.float32]
    probability: NDArray[np.float32]


def draw_picture(card: ModelCard, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Draw discs on a slope, as the network of this card would see them.

    Returns
    -------
    float32 array (C, Y, X)
    """
    y, x = (np.linspace(0, 1, side, dtype=np.float32) for side in shape)
    grey = 0.15 * (y[:, np.newaxis] + x)
    for centre_y, centre_x, radius in _DISCS:
        distance = np.hypot(y[:, np.newaxis] - centre_y, x - centre_x)
        grey = np.maximum(grey, 0.9 / (1 + np.exp((distance - radius) / 0.015)))
    pixels = np.repeat(grey[np.newaxis], card.input_channels, axis=0)
    normalisation = card.normalisation
    if isinstance(normalisation, MeanStd):
        mean, std = (np.array(v)[:, np.newaxis, np.newaxis] for v in (normalisation.mean, normalisation.std))
        pixels = (pixels - mean) / std
    elif isinstance(normalisation, ZScore):
        pixels = (pixels - pixels.mean()) / pixels.std()
    elif isinstance(normalisation, Linear):
        gain, offset = (np.array(v)[:, np.newaxis, np.newaxis] for v in (normalisation.gain, normalisation.offset))
        pixels = _WHITE * pixels * gain + offset
    if not isinstance(normalisation, MeanStd) and normalisation.clip is not None:
        pixels = pixels.clip(*normalisation.clip)
    return np.ascontiguousarray(pixels, np.float32)


def read_known_answer(package: ModelPackage) -> StoredAnswer | None:
    """Return the answer that is stored with a model; None if there is none, as with checkpoints.

    Raises
    ------
    ModelError
        If it cannot be read, or holds for other weights; the message names the file.
    """
    path = package.path / KNOWN_ANSWER_FILE
    if package.is_checkpoint or not path.is_file():
        return None
    try:
        with panics_are_errors(), safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            pixels, probability = (file.get_tensor(name).astype(np.float32) for name in ("pixels", "probability"))
    except (OSError, SafetensorError) as error:
        raise ModelError(
            Sentence(
                "{path}: the stored answer cannot be read ({reason}). Copy the model folder again.",
                path=path,
                reason=error,
            )
        ) from error
    if metadata.get(SHA256_KEY) != package.card.weights.sha256:
        raise ModelError(
            Sentence(
                "{path}: the stored answer belongs to other weights than those beside it. Delete it, or copy "
                "the model folder again.",
                path=path,
            )
        )
    return StoredAnswer(pixels, probability)

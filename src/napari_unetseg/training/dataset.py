"""A folder of images and masks, read, checked and normalised once."""

import csv
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from napari_unetseg.errors import UnetsegError
from napari_unetseg.training.targets import distance_target
from napari_unetseg.zoo.card import Normalisation

UNKNOWN_KIND = "image"


class DatasetError(UnetsegError):
    """A data set folder is not laid out as training needs it."""


@dataclass(frozen=True)
class Pair:
    """One image file and its mask file.

    Attributes
    ----------
    kind
        What sort of image it is, from the folder's ``index.csv``; ``"image"`` where there is none.
    """

    stem: str
    image: Path
    mask: Path
    kind: str


@dataclass(frozen=True)
class Sample:
    """One annotated image, in memory.

    Attributes
    ----------
    pixels
        float16 (C, Y, X), normalised over the whole image; C is 1 for a grey image, else 3.
    targets
        float16 (2, Y, X): foreground (0 or 1) and normalised distance (0 to 1).
    labels
        int32 (Y, X): 0 is background, every other number an object.
    diameter
        Median equivalent diameter of the objects in pixels; 0 where there are none.
    """

    stem: str
    kind: str
    pixels: torch.Tensor
    targets: torch.Tensor
    labels: NDArray[np.int32]
    diameter: float


def find_pairs(folder: Path) -> list[Pair]:
    """List the pairs of ``folder/images`` and ``folder/masks``, sorted by stem.

    Raises
    ------
    DatasetError
        If there are no images, or an image has no mask; the message names the files.
    """
    images = sorted(path for path in (folder / "images").glob("*") if path.is_file() and path.name[0] != ".")
    if not images:
        raise DatasetError(f"{folder / 'images'}: no images there. Put images in it and masks of the same stem beside.")
    masks = {path.stem: path for path in (folder / "masks").glob("*") if path.is_file()}
    missing = [path.name for path in images if path.stem not in masks]
    if missing:
        raise DatasetError(
            f"{folder / 'masks'}: no mask for {len(missing)} of {len(images)} images ({', '.join(missing[:5])}); "
            "each image needs a mask of the same stem."
        )
    kinds = _read_kinds(folder / "index.csv")
    return [Pair(path.stem, path, masks[path.stem], kinds.get(path.stem, UNKNOWN_KIND)) for path in images]


def _read_kinds(index: Path) -> dict[str, str]:
    if not index.exists():
        return {}
    with index.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"stem", "kind"} <= set(rows.fieldnames or ()):
            raise DatasetError(f"{index}: the columns 'stem' and 'kind' are needed.")
        return {row["stem"]: row["kind"] for row in rows}


def read_pair(pair: Pair) -> tuple[NDArray[np.generic], NDArray[np.int32]]:
    """Read an image as (C, Y, X) with 1 or 3 channels, and its mask as int32 (Y, X).

    Raises
    ------
    DatasetError
        If the two differ in size, or the image is neither grey nor RGB(A).
    """
    image, mask = iio.imread(pair.image), iio.imread(pair.mask)
    if image.ndim == 3 and image.shape[-1] in (3, 4):
        image = np.moveaxis(image[..., :3], -1, 0)
    elif image.ndim == 2:
        image = image[np.newaxis]
    else:
        raise DatasetError(f"{pair.image}: shape {image.shape} is neither grey (Y, X) nor RGB (Y, X, 3).")
    if mask.shape != image.shape[1:]:
        raise DatasetError(f"{pair.mask}: the mask is {mask.shape}, its image {image.shape[1:]}; they must agree.")
    return image, mask.astype(np.int32)


def load_sample(pair: Pair, normalisation: Normalisation) -> Sample:
    """Read a pair and work out what training needs of it."""
    image, labels = read_pair(pair)
    pixels = normalise(image, normalisation)
    targets = np.stack([(labels > 0).astype(np.float32), distance_target(labels)])
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    diameter = float(np.median(np.sqrt(4 * areas / np.pi))) if areas.size else 0.0
    half = torch.float16
    return Sample(
        pair.stem, pair.kind, torch.from_numpy(pixels).to(half), torch.from_numpy(targets).to(half), labels, diameter
    )


def load_samples(pairs: list[Pair], normalisation: Normalisation) -> list[Sample]:
    """Read all pairs, with a progress bar."""
    return [load_sample(pair, normalisation) for pair in tqdm(pairs, desc="Reading", unit="image")]


def normalise(image: NDArray[np.generic], normalisation: Normalisation) -> NDArray[np.float32]:
    """Map the `low` and `high` percentile of the whole image to 0 and 1, all channels together."""
    low, high = np.percentile(image, [normalisation.low, normalisation.high])
    if high <= low:
        return np.zeros(image.shape, np.float32)
    return ((image.astype(np.float32) - np.float32(low)) / np.float32(high - low)).astype(np.float32)

"""A folder of images and masks: listed, checked, and read into memory once."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.intensities import rescale
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.io import read_image, read_label_image
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.training.corrected_images import LABELS_ENDING, plain_numbers
from napari_unetseg.training.targets import training_targets
from napari_unetseg.zoo.card import Percentile

INDEX_FILE = "index.csv"
UNKNOWN_KIND = "image"


class DatasetError(UnetsegError):
    """A data set folder is not laid out as training needs it."""


@dataclass(frozen=True)
class Pair:
    """One image file and its mask file.

    Attributes
    ----------
    kind
        What sort of image it is, from the folder's ``index.csv``; ``"image"`` where that says none.
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
        float16 (5, Y, X), see `napari_unetseg.training.targets.training_targets`.
    labels
        int32 (Y, X): 0 is background, every number above an object; pixels below 0 are not annotated.
    diameters
        Equivalent diameter of each object in pixels.
    """

    stem: str
    kind: str
    pixels: torch.Tensor
    targets: torch.Tensor
    labels: NDArray[np.int32]
    diameters: NDArray[np.float64]

    @property
    def is_annotated(self) -> bool:
        """Whether the annotation says anything of any pixel."""
        return bool((self.labels >= 0).any())


def find_pairs(folder: Path) -> list[Pair]:
    """List the pairs of ``folder/images`` and ``folder/masks``, sorted by stem.

    Raises
    ------
    DatasetError
        If there are no images, two have one stem, or an image has no mask; the message names them.
    """
    pairs = pair_files(folder / "images", folder / "masks", folder / INDEX_FILE)
    require_masks(pairs)
    return pairs


def require_masks(pairs: Sequence[Pair]) -> None:
    """See to it that every image has a mask.

    Raises
    ------
    DatasetError
        If some have none; the message names them.
    """
    missing = [pair for pair in pairs if not pair.mask.exists()]
    if missing:
        names = ", ".join(pair.image.name for pair in missing[:5])
        raise DatasetError(
            f"{missing[0].mask.parent}: {len(missing)} of {len(pairs)} images have no mask ({names}). "
            "Each image needs a mask with the same name but for the suffix."
        )


def pair_files(images: Path, masks: Path, index: Path) -> list[Pair]:
    """List image files with the mask files of the same stems, sorted by stem.

    Where no mask has its stem, one that is called as the label images of a folder's results are will do. An image
    without a mask is paired with a file that does not exist, so that reading it says so.

    Parameters
    ----------
    images, masks
        Folders.
    index
        CSV file whose columns ``stem`` and ``kind`` tell sorts of image apart; it need not exist.

    Raises
    ------
    DatasetError
        If there are no images, two have one stem, or the index cannot be read or has not these columns.
    """
    found, annotated = _by_stem(images), _by_stem(masks)
    if not found:
        raise DatasetError(
            f"{images}: there are no images. Put the images there, and into {masks} "
            "for each a mask of the same name in which every object has a number of its own."
        )
    kinds = _read_kinds(index)
    return [
        Pair(
            stem,
            path,
            annotated.get(stem) or annotated.get(stem + LABELS_ENDING, masks / path.name),
            kinds.get(stem, UNKNOWN_KIND),
        )
        for stem, path in found.items()
    ]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        if not path.is_file() or path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise DatasetError(f"{path}: {found[path.stem].name} has the same stem. Rename or remove one of them.")
        found[path.stem] = path
    return found


def _read_kinds(index: Path) -> dict[str, str]:
    if not index.exists():
        return {}
    return {stem: kind or UNKNOWN_KIND for _, stem, kind in read_words_of_stems(index, "kind")}


def read_words_of_stems(path: Path, column: str) -> list[tuple[int, str, str]]:
    """Read the columns ``stem`` and `column` of a CSV file, each row with the number of its line.

    What a row lacks is empty; rows that have neither are left out.

    Raises
    ------
    DatasetError
        If the file cannot be read or has not these columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"stem", column} <= set(reader.fieldnames or ()):
                raise DatasetError(f"{path}: the columns 'stem' and '{column}' are missing. Add them.")
            rows = [(reader.line_num, (row["stem"] or "").strip(), (row[column] or "").strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path}: the file cannot be read ({reason}).") from error
    return [(line, stem, word) for line, stem, word in rows if stem or word]


def read_pair(pair: Pair) -> tuple[Image, NDArray[np.int32]]:
    """Read an image, and its mask as `plain_numbers` gives it.

    Raises
    ------
    DatasetError
        If the two differ in size, or the mask is no label image.
    ImageError
        If one of the files cannot be read.
    """
    image, mask = read_image(pair.image), read_label_image(pair.mask).array
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise DatasetError(
            f"{pair.mask}: {mask.dtype} of shape {mask.shape} is no label image. "
            "Save the mask as one plane of integers, 0 for background."
        )
    if mask.shape != image.shape:
        raise DatasetError(
            f"{pair.mask}: the mask has {mask.shape[0]} x {mask.shape[1]} pixels, "
            f"its image {image.shape[0]} x {image.shape[1]}. They must agree."
        )
    return image, plain_numbers(mask)


def prepare(image: Image, labels: NDArray[np.int32], stem: str, kind: str, normalisation: Percentile) -> Sample:
    """Work out all that training needs of an annotated image."""
    normalised = normalise(image, normalisation, channels=3)
    pixels = rescale(normalised.planes, *normalised.ranges[0])
    return Sample(
        stem=stem,
        kind=kind,
        pixels=_half(pixels),
        targets=_half(training_targets(labels)),
        labels=labels,
        diameters=object_diameters(labels),
    )


def object_diameters(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Diameter in pixels of the disc as large as each object; in a mask of one value each part is an object."""
    objects = np.maximum(labels, 0)
    areas = np.bincount(objects.ravel())[1:]
    if np.count_nonzero(areas) == 1:
        areas = np.bincount(ndimage.label(objects)[0].ravel())[1:]
    return np.asarray(np.sqrt(4 * areas[areas > 0] / np.pi), np.float64)


def load_samples(pairs: list[Pair], normalisation: Percentile) -> list[Sample]:
    """Read all pairs, with a progress bar."""
    return [
        prepare(*read_pair(pair), pair.stem, pair.kind, normalisation)
        for pair in tqdm(pairs, desc="Reading", unit="image", disable=None)
    ]


def _half(array: NDArray[Any]) -> torch.Tensor:
    # Half the memory; its steps of 1/2048 around 1 are finer than those of an 8-bit image.
    return torch.from_numpy(array).to(torch.float16)

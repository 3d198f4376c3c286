"""Which images of a data set are held out, however few there are.

Whole groups of like images are, where there are several groups. Where images are few, or all look alike, those with the
most usual number of objects are, and of a single image a quarter; what that makes the scores worth is said on the
model's card.
"""

import hashlib
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_unetseg.image import Image
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.training.corrected_images import CorrectedImage, write_corrected_image
from napari_unetseg.training.dataset import DatasetError, Pair, find_pairs, object_diameters, read_pair
from napari_unetseg.training.split import group_by_appearance, hold_out, read_validation_list
from napari_unetseg.training.training_recipe import TrainingRecipe

PARTS_FOLDER = "parts"
ENOUGH = 6
"""Of fewer images nobody can tell groups of like ones."""

LEAST_SIDE = 64
"""Pixels that a single image must have along each axis to be learnt from and scored on."""


@dataclass(frozen=True)
class ValidationChoice:
    """The pairs of a data set, and which of them are held out.

    Attributes
    ----------
    pairs
        All of them; of a single image its parts.
    groups
        The group of like images to which each stem belongs.
    held
        Stems that are only scored.
    split
        What the model card says of it.
    images
        How many files are learnt from.
    """

    pairs: tuple[Pair, ...]
    groups: dict[str, str]
    held: frozenset[str]
    split: str
    images: int


def choose_validation(
    data: Path, recipe: TrainingRecipe, validation_list: Path | None, checkpoints: Path
) -> ValidationChoice:
    """Find the pairs of a data set and hold some out.

    Parameters
    ----------
    data
        Folder with ``images`` and ``masks``.
    validation_list
        File of the stems to hold out; None: they are chosen.
    checkpoints
        Folder in which the parts of a single image are written.

    Raises
    ------
    DatasetError
        If there is nothing to learn from, or the list leaves nothing.
    """
    pairs = find_pairs(data)
    if len(pairs) == 1 and validation_list is None:
        parts = _cut(pairs[0], checkpoints / PARTS_FOLDER)
        held = _typical(parts, 1)
        split = "a quarter of the only image held out, which says little about other images"
        return ValidationChoice(tuple(parts), {part.stem: pairs[0].stem for part in parts}, held, split, 1)
    groups = group_by_appearance(pairs, recipe.split.distance)
    if validation_list is not None:
        held = frozenset(read_validation_list(validation_list, pairs))
        split = f"{len(held)} images held out that were listed"
        if not held or len(held) == len(pairs):
            raise DatasetError(
                f"{validation_list}: {len(held)} of {len(pairs)} images would be held out, which leaves nothing to "
                f"{'learn from' if held else 'score on'}. List some of the images."
            )
    else:
        kinds = {pair.stem: pair.kind for pair in pairs}
        grouped = frozenset(hold_out(groups, kinds, recipe.split.fraction, recipe.split.seed))
        if len(pairs) >= ENOUGH and 0 < len(grouped) < len(pairs):
            held, split = grouped, f"{len(grouped)} images held out in whole groups of like images"
        else:
            held = _typical(pairs, max(1, round(recipe.split.fraction * len(pairs))))
            split = f"{len(held)} of {len(pairs)} images held out, like the others, which flatters the scores"
    return ValidationChoice(tuple(pairs), groups, held, split, len(pairs) - len(held))


def hold_nothing_out(data: Path, recipe: TrainingRecipe, split: str) -> ValidationChoice:
    """Find the pairs of a data set and learn from all of them.

    Raises
    ------
    DatasetError
        If there is nothing to learn from.
    """
    pairs = tuple(find_pairs(data))
    return ValidationChoice(pairs, group_by_appearance(pairs, recipe.split.distance), frozenset(), split, len(pairs))


def data_fingerprint(data: Path, choice: ValidationChoice) -> str:
    """Return what tells a data set from others: names, kinds and contents of its files, and what is held out."""
    return pairs_fingerprint(find_pairs(data), choice.held)


def pairs_fingerprint(pairs: Sequence[Pair], held: Collection[str] = ()) -> str:
    """Return what tells pairs from others: names, kinds and contents of the files, and the stems held out."""
    content = hashlib.sha256(repr(sorted(held)).encode())
    for pair in pairs:
        content.update(repr((pair.stem, pair.kind, hash_file(pair.image), hash_file(pair.mask))).encode())
    return content.hexdigest()


def _typical(pairs: Sequence[Pair], count: int) -> frozenset[str]:
    """Choose the pairs whose numbers of objects are nearest to the median, among those that have any."""
    objects = {pair.stem: object_diameters(read_pair(pair)[1]).size for pair in pairs}
    if not any(objects.values()):
        raise DatasetError(f"{pairs[0].mask.parent}: no mask marks any object, so there is nothing to learn.")
    middle = float(np.median([number for number in objects.values() if number]))
    nearest = sorted(objects, key=lambda stem: (not objects[stem], abs(objects[stem] - middle), stem))
    return frozenset(nearest[:count])


def _cut(pair: Pair, folder: Path) -> list[Pair]:
    """Write the quarters of an image and of its mask as pairs of a folder, and return those with anything annotated."""
    image, labels = read_pair(pair)
    if min(image.shape) < LEAST_SIDE:
        raise DatasetError(
            f"{pair.image}: a single image of {image.shape[0]} x {image.shape[1]} pixels is too small to be learnt "
            "from. Add images."
        )
    shutil.rmtree(folder, ignore_errors=True)  # those of an earlier sitting
    for row, rows in enumerate(_halves(image.shape[0])):
        for column, columns in enumerate(_halves(image.shape[1])):
            part = labels[rows, columns]
            if (part >= 0).any():
                name = f"{pair.stem}_{row}{column}"
                write_corrected_image(folder, CorrectedImage(name, _part(image, rows, columns), part))
    parts = find_pairs(folder)
    if len(parts) == 1:
        raise DatasetError(f"{pair.image}: too little of a single image is annotated to learn from. Annotate more.")
    return [replace(part, kind=pair.kind) for part in parts]


def _halves(length: int) -> tuple[slice, slice]:
    return slice(0, length // 2), slice(length // 2, length)


def _part(image: Image, rows: slice, columns: slice) -> Image:
    places = {"Y": rows, "X": columns}
    key = tuple(places.get(axis, slice(None)) for axis in image.axes)
    return replace(image, array=np.asarray(image.array[key]))

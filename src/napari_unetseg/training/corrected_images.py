"""Images of which a person corrected the labels, wholly or in part, in memory and as pairs of files.

On disk an image and its labels have the same name in two folders. Label pixels below 0 are not annotated. Nothing here
imports torch, so that a window may write what it has.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.physical_size import length, length_symbol
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.language import Sentence

NOT_ANNOTATED = -1
"""What stands in labels where nobody looked: such pixels teach nothing."""

IMAGES_FOLDER, LABELS_FOLDER = "images", "masks"
"""Folders within that of corrected images, named as those of a data set."""

LABELS_ENDING = "_labels"
"""What the name of a label file may have besides that of its image, as results of a folder have it."""

_OTHER_ENDINGS = ("_confidence", "_overlay", "_labels.ome", "_seg")  # of results that lie beside the label images


class CorrectedImageError(UnetsegError):
    """Images and labels do not belong together, or are not what a model can learn from."""


@dataclass(frozen=True)
class CorrectedImage:
    """An image of one plane and what a person says of it.

    Attributes
    ----------
    name
        What people call it: of a file its name without the ending.
    image
        One plane.
    labels
        int32 (Y, X): `NOT_ANNOTATED` where nobody looked, 0 background, every other number an object.
    path
        File of the image, where there is one.
    """

    name: str
    image: Image
    labels: NDArray[np.int32]
    path: Path | None = None

    def __post_init__(self) -> None:
        """Refuse stacks, and labels of another size."""
        if self.image.stack_axes:
            raise CorrectedImageError(
                Sentence("{image}: is a stack ({axes}); take one of its planes.", image=self.name, axes=self.image.axes)
            )
        if self.labels.shape != self.image.shape:
            raise CorrectedImageError(
                Sentence(
                    "{image}: its labels have {label_size} pixels, the image {image_size}. They must agree.",
                    image=self.name,
                    label_size=" x ".join(map(str, self.labels.shape)),
                    image_size=" x ".join(map(str, self.image.shape)),
                )
            )

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """Where somebody looked, (Y, X)."""
        looked: NDArray[np.bool_] = self.labels >= 0
        return looked


def read_corrected_images(images: Path, labels: Path) -> list[CorrectedImage]:
    """Read labels and the images that they belong to, by name.

    Images without labels are left out, so that a folder of many may have a few that are corrected.

    Parameters
    ----------
    images, labels
        Two folders, or two files. In folders a label file has the name of its image, with any ending, or that and
        `LABELS_ENDING`. The folders may be one, and other results of a folder may lie beside the label images.

    Returns
    -------
    list of CorrectedImage
        By name.

    Raises
    ------
    CorrectedImageError
        If there are no labels, an image is missing or there are two of the name, or a pair does not fit.
    ImageError
        If a file cannot be read.
    """
    if labels.is_file() and images.is_file():
        return [_read(images, labels)]
    named = _by_stem(images)
    pairs: dict[str, tuple[Path, Path]] = {}
    for stem, path in _by_stem(labels).items():
        is_image = stem in named and named[stem].samefile(path)
        of = stem if stem in named and not is_image else stem.removesuffix(LABELS_ENDING)
        if (is_image and of == stem) or any(
            stem.removesuffix(ending) in named.keys() - {stem} for ending in _OTHER_ENDINGS
        ):
            continue
        if of not in named:
            raise CorrectedImageError(
                Sentence(
                    "{path}: there is no image of this name in {folder}. Give the image and its labels the same name.",
                    path=path,
                    folder=images,
                )
            )
        if of in pairs:
            raise CorrectedImageError(
                Sentence(
                    "{path}: {other} belongs to the same image. Remove one of them.", path=path, other=pairs[of][1].name
                )
            )
        pairs[of] = named[of], path
    if not pairs:
        raise CorrectedImageError(
            Sentence(
                "{folder}: there are no labels. Put a label image there for each corrected image, of the same name.",
                folder=labels,
            )
        )
    return [_read(*pair) for _, pair in sorted(pairs.items())]


def plain_numbers(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Return a label image (Y, X) of any integers as int32, `NOT_ANNOTATED` for all that is below 0.

    Numbers that are larger than the image has pixels are replaced, as tables by number would fill the memory.
    """
    is_object = labels > 0
    if labels.max(initial=0) <= labels.size:
        return np.where(labels < 0, NOT_ANNOTATED, labels).astype(np.int32)
    numbers = np.where(labels < 0, np.int32(NOT_ANNOTATED), np.int32(0))
    numbers[is_object] = np.unique(labels[is_object], return_inverse=True)[1] + 1
    return numbers


def write_corrected_image(folder: Path, corrected: CorrectedImage) -> Path:
    """Write an image and its labels as `folder/images/NAME.tif` and `folder/masks/NAME.tif`, losslessly compressed.

    Colours, type and pixel size are kept. What a file's name cannot hold is replaced; a name that is taken gets a
    number.

    Returns
    -------
    Path
        The image's file.

    Raises
    ------
    UnetsegError
        If a file cannot be written.
    """
    stem = _free_stem(folder, corrected.name)
    path = folder / IMAGES_FOLDER / f"{stem}.tif"
    planes = _storable(np.asarray(corrected.image.channels_first))
    if corrected.image.rgb:
        _write(path, np.moveaxis(planes, 0, -1), "YXS", corrected.image)
    else:
        _write(path, planes, "CYX", corrected.image)
    _write(folder / LABELS_FOLDER / f"{stem}.tif", corrected.labels, "YX", corrected.image)
    return path


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    if not folder.is_dir():
        raise CorrectedImageError(
            Sentence("{folder}: is no folder. Name the folder that holds the files.", folder=folder)
        )
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise CorrectedImageError(
                Sentence(
                    "{path}: {other} has the same name but for the ending. Rename or remove one of them.",
                    path=path,
                    other=found[path.stem].name,
                )
            )
        found[path.stem] = path
    return found


def _read(image: Path, labels: Path) -> CorrectedImage:
    from napari_unetseg.io.read import read_image, read_label_image

    array = np.asarray(read_label_image(labels).array)
    if array.ndim != 2 or array.dtype.kind not in "bui":
        raise CorrectedImageError(
            Sentence(
                "{path}: {type} of shape {shape} is no label image. Save the labels as one plane of integers, "
                "0 for background.",
                path=labels,
                type=array.dtype,
                shape=array.shape,
            )
        )
    if array.size and array.max() > np.iinfo(np.int32).max:
        raise CorrectedImageError(
            Sentence("{path}: its numbers are too large for labels. Number the objects from 1 on.", path=labels)
        )
    return CorrectedImage(image.stem, read_image(image), plain_numbers(array), image)


def _free_stem(folder: Path, name: str) -> str:
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"/\\|?*' else "_" for letter in name)
    kept = kept.strip(". ") or "image"
    stem, number = kept, 1
    while any((folder / part / f"{stem}.tif").exists() for part in (IMAGES_FOLDER, LABELS_FOLDER)):
        number += 1
        stem = f"{kept}_{number}"
    return stem


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the pixels in a type that OME-TIFF has."""
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.itemsize == 8 and array.dtype.kind in "iu":
        return array.astype(np.float64)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _write(path: Path, array: NDArray[Any], axes: str, image: Image) -> None:
    import tifffile

    with whole_file(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            ome=True,
            compression="zlib",
            photometric="rgb" if axes == "YXS" else "minisblack",
            metadata={"axes": axes, **_sizes(image)},
        )


def _sizes(image: Image) -> dict[str, Any]:
    symbol = length_symbol(image.unit)
    steps = [length(step) for step in image.scale or ()]
    if symbol is None or len(steps) != 2 or None in steps:
        return {}
    return {
        f"PhysicalSize{axis}{suffix}": value
        for axis, step in zip("YX", steps, strict=True)
        for suffix, value in (("", step), ("Unit", symbol))
    }

"""Masks as files: says what is wrong with each, and writes mended copies.

Nothing here imports torch.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.training.mask_faults import MaskFault, find_faults, object_areas
from napari_unetseg.training.mask_reading import read_mask
from napari_unetseg.training.mask_repair import REPAIRS, Repair, mend

FileRepair = Literal["colours", "palette"] | Repair
"""What can be mended in a file: a `Repair`, ``colours``, by which each colour gets a number, and ``palette``, by which
the numbers stay and the palette goes."""
FILE_REPAIRS: tuple[FileRepair, ...] = ("colours", "palette", *REPAIRS)

_LARGEST_PNG = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class CheckedMask:
    """A file of a mask, and what is wrong with it.

    Attributes
    ----------
    file
        The file.
    shape
        Pixels along (Y, X); None where it cannot be read.
    objects
        How many numbers above 0 it has; None where it cannot be read, or its numbers mean nothing.
    diameter
        Equivalent diameter of the median object in pixels; None without objects.
    faults
        The gravest first.
    unreadable
        Why it cannot be read; empty where it can.
    """

    file: Path
    shape: tuple[int, int] | None = None
    objects: int | None = None
    diameter: float | None = None
    faults: tuple[MaskFault, ...] = ()
    unreadable: str = ""

    @property
    def repairs(self) -> tuple[FileRepair, ...]:
        """What of it can be mended."""
        kinds = {fault.kind for fault in self.faults}
        return tuple(repair for repair in FILE_REPAIRS if repair in kinds)


@dataclass(frozen=True)
class MendedMask:
    """What became of a mask.

    Attributes
    ----------
    source, file
        The file, and its mended copy.
    pixels
        How many pixels each repair changed; empty: none had to, and the copy is the same byte for byte.
    objects_before, objects
        How many objects there were, and are; None where its numbers meant nothing before.
    """

    source: Path
    file: Path
    pixels: Mapping[str, int]
    objects_before: int | None
    objects: int


def find_masks(place: Path) -> list[Path]:
    """Return the image files of a folder, sorted; of a file itself.

    Raises
    ------
    UnetsegError
        If there is no such folder or file, or it cannot be looked into.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UnetsegError(Sentence("{path}: there is no such file or folder of masks.", path=place))
    try:
        return sorted(
            path
            for path in place.iterdir()
            if path.is_file() and not path.name.startswith(".") and path.suffix.lower() in IMAGE_SUFFIXES
        )
    except OSError as error:
        unreadable = Sentence("{path}: cannot be looked into ({reason}).", path=place, reason=error.strerror)
        raise UnetsegError(unreadable) from error


def check_masks(
    files: Sequence[Path],
    images: Path | None = None,
    progress: Progress | None = None,
    cancel: CancelFlag | None = None,
) -> list[CheckedMask]:
    """Say of each file what is wrong with it.

    Parameters
    ----------
    files
        Masks.
    images
        Folder with the images of the same stems, whose sizes are compared; None: none are.
    progress
        Called with the masks done, and all masks.
    cancel
        Polled before each.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    UnetsegError
        If there is no folder of images.
    """
    if images is not None and not images.is_dir():
        raise UnetsegError(Sentence("{path}: there is no such folder of images.", path=images))
    sizes = {} if images is None else {path.stem: path for path in find_masks(images)}
    found = []
    for done, file in enumerate(files):
        _say(done, len(files), progress, cancel)
        found.append(_checked(file, sizes.get(file.stem), images))
    _say(len(files), len(files), progress, None)
    return found


def mend_masks(
    checked: Iterable[CheckedMask],
    repairs: Collection[FileRepair],
    output: Path,
    progress: Progress | None = None,
    cancel: CancelFlag | None = None,
) -> list[MendedMask]:
    """Write a copy of each mask that can be read into a folder, mended; the masks themselves stay as they are.

    A mask in which nothing was to be mended is copied byte for byte. A mended one is PNG where the mask was, else TIFF;
    its name without ending stays.

    Parameters
    ----------
    checked
        As `check_masks` gave them.
    repairs
        What to mend.
    output
        A new or empty folder.
    progress, cancel
        As `check_masks` has them.

    Raises
    ------
    UnetsegError
        If the folder holds something, or cannot be written, or two masks have names that differ in their endings alone.
    Cancelled
        If `cancel` returned True; what was written stays.
    """
    masks = [mask for mask in checked if not mask.unreadable]
    _refuse_one_name(masks)
    _make_empty(output)
    mended = []
    for done, mask in enumerate(masks):
        _say(done, len(masks), progress, cancel)
        mended.append(_mended(mask, repairs, output))
    _say(len(masks), len(masks), progress, None)
    return mended


def _say(done: int, total: int, progress: Progress | None, cancel: CancelFlag | None) -> None:
    if cancel is not None and cancel():
        raise Cancelled(Sentence("The masks were not gone through to the end."))
    if progress is not None:
        progress(done, total)


def _checked(file: Path, image: Path | None, images: Path | None) -> CheckedMask:
    try:
        numbers = read_mask(file)
        faults = numbers.faults + find_faults(numbers.mask)
        if images is not None:
            faults = (*_size_faults(numbers.mask.shape, image, images), *faults)
    except UnetsegError as error:
        return CheckedMask(file, unreadable=error_sentence(error))
    height, width = numbers.mask.shape
    if any(fault.kind == "edges" for fault in faults):
        return CheckedMask(file, (height, width), faults=faults)
    _, areas = object_areas(numbers.mask)
    diameter = float(np.sqrt(4 * np.median(areas) / np.pi)) if areas.size else None
    return CheckedMask(file, (height, width), len(areas), diameter, faults)


def _size_faults(shape: tuple[int, ...], image: Path | None, images: Path) -> tuple[MaskFault, ...]:
    from napari_unetseg.io import read_image

    if image is None:
        return (MaskFault("size", Sentence("There is no image of this name in {folder}.", folder=images)),)
    try:
        height, width = read_image(image).shape
    except UnetsegError as error:
        return (MaskFault("size", error_sentence(error)),)
    if (height, width) == shape:
        return ()
    return (
        MaskFault(
            "size",
            Sentence(
                "The mask has {mask_height} x {mask_width} pixels, its image {height} x {width}. They must agree.",
                mask_height=shape[0],
                mask_width=shape[1],
                height=height,
                width=width,
            ),
        ),
    )


def _mended(mask: CheckedMask, repairs: Collection[FileRepair], output: Path) -> MendedMask:
    numbers = read_mask(mask.file)
    result = mend(numbers.mask, [repair for repair in REPAIRS if repair in repairs])
    kinds = {fault.kind for fault in numbers.faults}
    pixels = dict(result.pixels)
    if "colours" in kinds and "colours" in repairs:
        pixels["colours"] = int(np.count_nonzero(result.mask))
    is_new = bool(pixels) or ("palette" in kinds and "palette" in repairs)
    objects = len(object_areas(result.mask)[0])
    if not is_new:
        file = output / mask.file.name
        with whole_file(file) as temporary:
            shutil.copyfile(mask.file, temporary)
        return MendedMask(mask.file, file, {}, mask.objects, objects)
    if "palette" in kinds and "palette" in repairs:
        pixels.setdefault("palette", 0)
    file = _write(output, mask.file, result.mask)
    return MendedMask(mask.file, file, pixels, mask.objects, objects)


def _write(output: Path, source: Path, mask: NDArray[np.int64]) -> Path:
    """Write numbers, int64 (Y, X), as PNG where the mask was one and they fit, else as TIFF."""
    low, high = int(mask.min(initial=0)), int(mask.max(initial=0))
    if source.suffix.lower() == ".png" and low >= 0 and high <= _LARGEST_PNG:
        from PIL import Image as Pillow

        file = output / f"{source.stem}.png"
        with whole_file(file) as temporary:
            Pillow.fromarray(mask.astype(np.min_scalar_type(high))).save(temporary, format="PNG")
        return file
    import tifffile

    file = output / f"{source.stem}.tif"
    wanted = np.int32 if low < 0 else np.min_scalar_type(high)
    with whole_file(file) as temporary:
        tifffile.imwrite(temporary, mask.astype(wanted), compression="zlib")
    return file


def _refuse_one_name(masks: Sequence[CheckedMask]) -> None:
    """Refuse masks whose copies would have one name: the later would take the earlier's place."""
    seen: dict[str, Path] = {}
    for mask in masks:
        other = seen.setdefault(mask.file.stem.casefold(), mask.file)
        if other != mask.file:
            raise UnetsegError(
                Sentence(
                    "{file} and {other} differ in their endings alone, so it is unclear which is the mask. Move or "
                    "rename one.",
                    file=mask.file.name,
                    other=other.name,
                )
            )


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise UnetsegError(
            Sentence("{folder}: cannot be written ({reason}).", folder=folder, reason=error.strerror)
        ) from error
    if full:
        raise UnetsegError(
            Sentence("{folder}: holds something already. Name a new or empty folder for the copies.", folder=folder)
        )

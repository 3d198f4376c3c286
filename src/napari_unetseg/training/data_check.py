"""Whether a folder of images and masks can be learnt from: what is wrong with it, in words, before anybody waits.

Nothing here imports torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.language import Sentence, error_sentence

THUMBNAIL_SIDE = 160

PairStatus = Literal["good", "doubtful", "unusable"]


@dataclass(frozen=True)
class CheckedPair:
    """An image and its mask, and what was found.

    Attributes
    ----------
    name
        Their common stem.
    image, mask
        The files; None where one is missing.
    status
        ``"doubtful"`` ones can be learnt from, but should be looked at; training stops at ``"unusable"`` ones.
    shape
        Pixels along (Y, X); None where the image cannot be read.
    objects
        How many objects the mask has; None where it cannot be read.
    diameter
        Equivalent diameter of the median object in pixels; None without objects.
    annotated
        What part of the mask says anything, 0 to 1: pixels below 0 do not.
    remarks
        Sentences on what is odd.
    """

    name: str
    image: Path | None
    mask: Path | None
    status: PairStatus
    shape: tuple[int, int] | None = None
    objects: int | None = None
    diameter: float | None = None
    annotated: float = 1.0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataReport:
    """What was found in a data set.

    Attributes
    ----------
    pairs
        Every image and every mask, by name.
    findings
        Sentences on the whole of it, the gravest first.
    suggested
        The object type that the masks are fit for.
    """

    pairs: tuple[CheckedPair, ...]
    findings: tuple[str, ...]
    suggested: Literal["touching", "area"] = "touching"

    @property
    def usable(self) -> bool:
        """Whether training can begin: there is a pair, and none that it would stop at."""
        return bool(self.pairs) and all(pair.status != "unusable" for pair in self.pairs)


def check_data(
    images: Path, masks: Path, progress: Progress | None = None, cancel: CancelFlag | None = None
) -> DataReport:
    """Look at every pair of two folders.

    Parameters
    ----------
    images, masks
        Folders whose files of the same stem belong together.
    progress
        Called with the pairs done, and all pairs.
    cancel
        Polled before each pair.

    Raises
    ------
    UnetsegError
        If a folder is missing.
    Cancelled
        If `cancel` returned True.
    """
    found = list(_pair(images, masks))
    checked = []
    for done, (name, image, mask) in enumerate(found):
        if cancel is not None and cancel():
            raise Cancelled(Sentence("The images were not checked to the end."))
        if progress is not None:
            progress(done, len(found))
        checked.append(_check(name, image, mask))
    if progress is not None:
        progress(len(found), len(found))
    return DataReport(tuple(checked), ())


def thumbnail(pair: CheckedPair, side: int = THUMBNAIL_SIDE) -> NDArray[np.uint8]:
    """Draw a pair small: the image with the outlines of its objects, uint8 (side, side, 3), on transparent black.

    What cannot be read is left out.
    """
    return np.zeros((side, side, 3), np.uint8)


def _pair(images: Path, masks: Path) -> Iterator[tuple[str, Path | None, Path | None]]:
    for folder in (images, masks):
        if not folder.is_dir():
            raise UnetsegError(
                Sentence(
                    "{folder}: there is no such folder. Put images into 'images' and masks of the same names into "
                    "'masks'.",
                    folder=folder,
                )
            )
    left, right = _by_stem(images), _by_stem(masks)
    for name in sorted(left.keys() | right.keys()):
        yield name, left.get(name), right.get(name)


def _by_stem(folder: Path) -> dict[str, Path]:
    return {
        path.stem: path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.suffix.lower() in IMAGE_SUFFIXES
    }


def _check(name: str, image: Path | None, mask: Path | None) -> CheckedPair:
    from napari_unetseg.io import read_image, read_label_image

    if image is None or mask is None:
        remark = Sentence("It has no image.") if image is None else Sentence("It has no mask.")
        return CheckedPair(name, image, mask, "unusable", remarks=(remark,))
    try:
        shape = read_image(image).shape
        labels: NDArray[Any] = np.asarray(read_label_image(mask).array)
    except UnetsegError as error:
        return CheckedPair(name, image, mask, "unusable", remarks=(error_sentence(error),))
    areas = np.unique(labels[labels > 0], return_counts=True)[1]
    diameter = float(np.sqrt(4 * np.median(areas) / np.pi)) if areas.size else None
    return CheckedPair(name, image, mask, "good", shape, len(areas), diameter, float((labels >= 0).mean()))

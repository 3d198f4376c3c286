"""Whether a folder of images and masks can be learnt from: what is wrong with it, in words, before anybody waits.

Nothing here imports torch.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.training.corrected_images import LABELS_ENDING
from napari_unetseg.training.mask_faults import SPECK
from napari_unetseg.training.mask_folder import find_masks
from napari_unetseg.training.pair_facts import LOSSY_SUFFIXES, PairFacts, measure_pair, read_checked

THUMBNAIL_SIDE = 160

PairStatus = Literal["good", "doubtful", "unusable"]

_Value = TypeVar("_Value")

_FAINT = 12
_SATURATED = 0.1
_SPARSE = 0.08
_OTHER_SIZE = 2.5
_OTHER_LIGHT = 3.0
_LEAST_LIGHT = 1.5
_FEW = 3
_NAMED = 6
_NARROWEST_DRAWN = 6


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
        Pixels along (Y, X); None where the pair cannot be read.
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
        The object type that the masks are fit for: ``"area"`` where no mask numbers its objects.
    """

    pairs: tuple[CheckedPair, ...]
    findings: tuple[str, ...]
    suggested: Literal["touching", "area"] = "touching"

    @property
    def usable(self) -> bool:
        """Whether training can begin: something is marked, and there is no pair that it would stop at."""
        return any(pair.objects for pair in self.pairs) and all(pair.status != "unusable" for pair in self.pairs)


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
    measured: list[PairFacts | str] = []
    for done, (_, image, mask) in enumerate(found):
        if cancel is not None and cancel():
            raise Cancelled(Sentence("The images were not checked to the end."))
        if progress is not None:
            progress(done, len(found))
        measured.append(_measure(image, mask))
    if progress is not None:
        progress(len(found), len(found))
    names = [name for name, _, _ in found]
    usual = _Usual.of([facts for facts in measured if isinstance(facts, PairFacts)])
    doubles = _doubles(names, measured)
    pairs = tuple(
        CheckedPair(name, image, mask, "unusable", remarks=(facts,))
        if isinstance(facts, str)
        else _checked(name, image, mask, facts, usual, doubles.get(name))
        for (name, image, mask), facts in zip(found, measured, strict=True)
    )
    return DataReport(pairs, tuple(_findings(images, pairs, usual)), "area" if usual.one_value else "touching")


def thumbnail(pair: CheckedPair, side: int = THUMBNAIL_SIDE) -> NDArray[np.uint8]:
    """Draw a pair small: the image with the outlines of its objects; what is not annotated is darker.

    Of an image whose objects would be too narrow to be seen, the middle is drawn. What cannot be read is left out.

    Returns
    -------
    uint8 (Y, X, 3), red, green and blue, the longer side of `side` pixels or, of a small image, of its own.
    """
    from napari_unetseg.image import Image
    from napari_unetseg.io import draw_overlay, read_image, read_label_image

    try:
        pixels = read_image(pair.image).channels_first if pair.image is not None else None
        mask = np.asarray(read_label_image(pair.mask).array) if pair.mask is not None else None
    except UnetsegError:
        pixels = mask = None
    if pixels is None:
        return np.zeros((side, side, 3), np.uint8)
    if mask is None or mask.shape != pixels.shape[1:]:
        mask = np.zeros(pixels.shape[1:], np.int32)
    rows, columns = (_middle(length, pair.diameter, side) for length in mask.shape)
    step = max(1, -(-max(rows.stop - rows.start, columns.stop - columns.start) // side))
    shown = _averaged(pixels[: 3 if len(pixels) == 4 else None, rows, columns], step)
    small = mask[rows, columns][step // 2 :: step, step // 2 :: step][: shown.shape[1], : shown.shape[2]]
    picture = draw_overlay(Image(shown, "CYX", rgb=len(shown) == 3), np.maximum(small, 0))
    picture[small < 0] //= 3
    return picture


def _averaged(planes: NDArray[np.generic], step: int) -> NDArray[np.float32]:
    """Return the means over blocks of a side of `step` pixels, float32 (C, Y, X)."""
    count, height, width = len(planes), planes.shape[1] // step, planes.shape[2] // step
    whole = np.asarray(planes[:, : height * step, : width * step], np.float32)
    return np.asarray(whole.reshape(count, height, step, width, step).mean(axis=(2, 4)), np.float32)


def _middle(length: int, diameter: float | None, side: int) -> slice:
    """Return the part of an axis in whose picture an object is wide enough to be seen."""
    if diameter is None or diameter * side >= _NARROWEST_DRAWN * length:
        return slice(0, length)
    part = min(length, max(side, round(diameter * side / _NARROWEST_DRAWN)))
    start = (length - part) // 2
    return slice(start, start + part)


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
    left, right = ({path.stem: path for path in find_masks(folder)} for folder in (images, masks))
    for name in left.keys() - right.keys():
        if (as_result := name + LABELS_ENDING) in right.keys() - left.keys():
            right[name] = right.pop(as_result)
    for name in sorted(left.keys() | right.keys()):
        yield name, left.get(name), right.get(name)


def _measure(image: Path | None, mask: Path | None) -> PairFacts | str:
    """Return what a pair is in numbers, or the sentence that says why it is of no use."""
    if image is None:
        return Sentence("There is no image of this name.")
    if mask is None:
        return Sentence("There is no mask of this name.")
    try:
        return measure_pair(*read_checked(image, mask))
    except UnetsegError as error:
        return error_sentence(error)


@dataclass(frozen=True)
class _Usual:
    """What most pairs of a data set are like.

    Attributes
    ----------
    one_value
        Whether no mask tells objects apart.
    light, spread
        Median of the logarithm of the typical intensity, and how far it varies.
    """

    pairs: int
    one_value: bool
    diameter: float | None
    foreground: float
    channels: int
    dtype: str
    light: float
    spread: float
    brighter: bool | None

    @classmethod
    def of(cls, facts: Sequence[PairFacts]) -> "_Usual":
        marked = [one for one in facts if one.areas.size]
        lights = np.array([_light(one) for one in facts] or [0.0])
        contrasts = [one.contrast for one in facts if one.contrast is not None]
        brighter = sum(contrast > 0 for contrast in contrasts) / len(contrasts) if contrasts else 0.5
        return cls(
            pairs=len(facts),
            one_value=bool(marked) and all(one.values == 1 for one in marked) and any(len(m.areas) > 1 for m in marked),
            diameter=float(np.median([one.diameter for one in marked])) if marked else None,
            foreground=float(np.median([one.foreground / one.annotated for one in marked])) if marked else 0.0,
            channels=_most_common([one.channels for one in facts], 1),
            dtype=_most_common([one.dtype for one in facts], ""),
            light=float(np.median(lights)),
            spread=float(np.median(np.abs(lights - np.median(lights)))) * 1.48,
            brighter=None if 0.2 < brighter < 0.8 else brighter > 0.5,
        )


def _most_common(values: Sequence[_Value], otherwise: _Value) -> _Value:
    return Counter(values).most_common(1)[0][0] if values else otherwise


def _light(facts: PairFacts) -> float:
    return float(np.log2(max(facts.range[2], 0) + 1))


def _doubles(names: Sequence[str], measured: Sequence[PairFacts | str]) -> dict[str, str]:
    """Name for each image that is the same as an earlier one that one."""
    first: dict[str, str] = {}
    doubles = {}
    for name, facts in zip(names, measured, strict=True):
        if isinstance(facts, PairFacts) and (earlier := first.setdefault(facts.fingerprint, name)) != name:
            doubles[name] = earlier
    return doubles


def _checked(
    name: str, image: Path | None, mask: Path | None, facts: PairFacts, usual: _Usual, double: str | None
) -> CheckedPair:
    remarks = [*_of_the_mask(mask, facts, usual), *_of_the_image(facts, usual)]
    if double is not None:
        remarks.append(Sentence("The image is the same as {name}.", name=double))
    return CheckedPair(
        name=name,
        image=image,
        mask=mask,
        status="doubtful" if remarks else "good",
        shape=facts.shape,
        objects=len(facts.areas),
        diameter=facts.diameter,
        annotated=facts.annotated,
        remarks=tuple(remarks),
    )


def _of_the_mask(mask: Path | None, facts: PairFacts, usual: _Usual) -> Iterator[str]:
    if mask is not None and mask.suffix.lower() in LOSSY_SUFFIXES:
        yield Sentence("The mask is a {kind} file, which changes numbers. Save masks as TIFF or PNG.", kind=mask.suffix)
    if not facts.annotated:
        yield Sentence("Nothing of it is annotated: it teaches nothing.")
    elif facts.median_area is None or facts.diameter is None or usual.diameter is None:
        yield Sentence("No object is marked: all of it is taken as background.")
    else:
        if usual.pairs >= _FEW and facts.foreground / facts.annotated < _SPARSE * usual.foreground:
            yield Sentence("Far less is marked than in most images. What is not marked is taken as background.")
        if facts.values == 1 and len(facts.areas) > 1 and not usual.one_value:
            yield Sentence("All objects have one number, so touching ones are not told apart.")
        if facts.torn:
            yield Sentence("Numbers that are on several pieces: {numbers}.", numbers=_listed(facts.torn))
        if facts.merged:
            yield Sentence("Numbers that may be several objects joined: {numbers}.", numbers=_listed(facts.merged))
        specks = int(np.count_nonzero(facts.areas <= SPECK * facts.median_area))
        if specks:
            yield Sentence(
                "Specks of at most {size} pixels: {count}.",
                count=specks,
                size=int(facts.areas[facts.areas <= SPECK * facts.median_area].max()),
            )
        ratio = facts.diameter / usual.diameter
        if usual.pairs >= _FEW and not 1 / _OTHER_SIZE < ratio < _OTHER_SIZE:
            yield Sentence("Objects are {ratio} times as wide as in most images.", ratio=f"{ratio:.2g}")


def _of_the_image(facts: PairFacts, usual: _Usual) -> Iterator[str]:
    low, _, high = facts.range
    if high <= low:
        yield Sentence("The image has one intensity everywhere.")
        return
    if facts.levels < _FAINT:
        yield Sentence("The image has only {levels} different intensities.", levels=facts.levels)
    if facts.saturated > _SATURATED:
        yield Sentence("{part} of the pixels have the largest value: overexposed.", part=f"{facts.saturated:.0%}")
    if usual.pairs < _FEW:
        return
    if (away := _light(facts) - usual.light) and abs(away) > max(_OTHER_LIGHT * usual.spread, _LEAST_LIGHT):
        yield Sentence("Far darker than most images.") if away < 0 else Sentence("Far brighter than most images.")
    if (facts.channels, facts.dtype) != (usual.channels, usual.dtype):
        yield Sentence(
            "Another kind of file than most ({type}, channels: {channels}).", type=facts.dtype, channels=facts.channels
        )
    if usual.brighter is not None and facts.contrast is not None and (facts.contrast > 0) != usual.brighter:
        yield (
            Sentence("Objects are darker than their surroundings, unlike in most images.")
            if usual.brighter
            else Sentence("Objects are brighter than their surroundings, unlike in most images.")
        )


def _listed(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_NAMED]))
    return f"{named} …" if len(numbers) > _NAMED else named


def _findings(images: Path, pairs: Sequence[CheckedPair], usual: _Usual) -> Iterator[str]:
    if not pairs:
        yield Sentence("{folder}: there are no images.", folder=images)
        return
    unusable = [pair.name for pair in pairs if pair.status == "unusable"]
    if unusable:
        yield Sentence(
            "{count} of {all} cannot be used: {names}. Mend or move them away before training.",
            count=len(unusable),
            all=len(pairs),
            names=", ".join(unusable[:_NAMED]) + (" …" if len(unusable) > _NAMED else ""),
        )
    if usual.pairs and usual.diameter is None:
        yield Sentence("No mask marks any object, so there is nothing to learn.")
    if usual.one_value:
        yield Sentence(
            "The masks do not number their objects, so a model can learn the area alone: choose 'area', or number them."
        )
    if 0 < usual.pairs < _FEW:
        yield Sentence("Few images: the scores will say little about images of another day.")

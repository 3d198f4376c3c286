"""What is wrong with a mask that somebody drew or a program wrote, by its numbers alone.

Nothing here imports torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.language import Sentence

FaultKind = Literal[
    "lossy", "palette", "colours", "edges", "background", "unnumbered", "specks", "corners", "pieces", "holes", "tiny",
    "large", "merged", "numbers", "size",
]  # fmt: skip
"""What can be wrong with a mask:

* ``lossy``: the kind of file changes numbers. ``palette``: the file has a palette, by which other programs read colours
  in place of numbers. ``colours``: a picture in which each object has a colour. ``size``: not the size of its image.
* ``edges``: two values with others between them at the edges, as pictures that were scaled or compressed have.
* ``background``: the background has a number of its own. ``unnumbered``: all objects have one number.
* ``specks``: small extra pieces of objects. ``pieces``: objects in several pieces of some size. ``corners``: pieces of
  some size that hang together by corners of pixels alone.
* ``tiny``: objects far smaller than the others. ``large``: far larger. ``merged``: several objects with one number, by
  their outline. ``holes``: background within one object.
* ``numbers``: above 65535, which many programs cannot read.
"""

SPECK = 0.03
"""Part of the median object's area, or of its own object's largest piece, up to which something is a speck."""

_SMALL = 4  # pixels up to which an extra piece is a speck, whatever the object's size
_EDGE_LEVELS = 8
_NEARLY = 0.12
_EDGE_WIDTH = 3
_EDGE_PART = 0.95
_MOST_OF_THE_IMAGE = 0.5
_MOST_OF_THE_BORDER = 0.75
_FAR_LARGER = 8.0
_MERGED_AREA = 1.6
_HOLLOW, _LEAST_HOLLOW = 4.0, 0.05
_MOST_SUSPECTS = 60
_TYPICAL = 40
_FEW = 5
_NAMED = 6
_LARGEST_COMMON = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class MaskFault:
    """One thing that is wrong with a mask.

    Attributes
    ----------
    kind
        Which.
    text
        A sentence that says it.
    objects
        Numbers of the objects that have it; empty where it is the whole mask's.
    count, pixels
        How many pieces, holes or objects it is, and how many pixels these have.
    place
        Row and column of the first of them; None where it is nowhere in particular.
    """

    kind: FaultKind
    text: str
    objects: tuple[int, ...] = ()
    count: int = 0
    pixels: int = 0
    place: tuple[int, int] | None = None


@dataclass(frozen=True)
class Pieces:
    """The pieces of a mask: pixels of one number above 0 that share sides.

    Attributes
    ----------
    labels
        Number of the piece at each pixel, from 1; 0 where no object is. Integer (Y, X).
    owners, areas
        The object of each piece, and its pixels, by the number of the piece less 1.
    is_extra
        Whether an object has a larger piece, or an earlier one as large.
    is_speck
        Whether it is an extra piece of a few pixels, or of few by the size of its object's largest piece.
    clusters
        Number of the pieces of the same object that hang together by corners of pixels, from 1, by piece.
    leads
        Whether it is the largest of its cluster.
    """

    labels: NDArray[np.int64]
    owners: NDArray[np.int64]
    areas: NDArray[np.int64]
    is_extra: NDArray[np.bool_]
    is_speck: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    leads: NDArray[np.bool_]

    def first_place(self, chosen: NDArray[np.bool_]) -> tuple[int, int] | None:
        """Return row and column of the first pixel of some pieces."""
        return _first_place(np.concatenate([[False], chosen])[self.labels])


def find_pieces(mask: NDArray[np.int64]) -> Pieces:
    """Divide the objects of a mask, (Y, X), into pieces."""
    from skimage.measure import label

    objects = np.maximum(mask, 0)
    labels = label(objects, connectivity=1)
    areas = np.bincount(labels.ravel())[1:]
    owners, clusters = (_of_pieces(labels, values, len(areas)) for values in (objects, label(objects, connectivity=2)))
    largest, is_largest = _largest(owners, areas)
    is_small = (areas <= np.maximum(SPECK * largest, _SMALL)) & (2 * areas <= largest)
    return Pieces(labels, owners, areas, ~is_largest, ~is_largest & is_small, clusters, _largest(clusters, areas)[1])


def _of_pieces(labels: NDArray[np.int64], values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the value of each piece, which is the same all over it."""
    found = np.zeros(count + 1, np.int64)
    found[labels.ravel()] = values.ravel()
    return found[1:]


def _largest(groups: NDArray[np.int64], areas: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return for each piece the area of the largest one of its group, and whether it is that, or the first such."""
    order = np.lexsort((np.arange(len(areas)), -areas, groups))
    first = np.ones(len(order), np.bool_)
    first[1:] = groups[order][1:] != groups[order][:-1]
    largest, is_largest = np.empty(len(order), np.int64), np.empty(len(order), np.bool_)
    is_largest[order] = first
    largest[order] = areas[order][first][np.cumsum(first) - 1]
    return largest, is_largest


def object_areas(mask: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers above 0 of a mask, ascending, and the pixels of each."""
    numbers, areas = np.unique(mask[mask > 0], return_counts=True)
    return numbers, areas


def torn_objects(pieces: Pieces) -> tuple[int, ...]:
    """Return the numbers that are on several pieces of some size that do not even share a corner, ascending."""
    return tuple(map(int, np.unique(pieces.owners[apart(pieces)])))


def apart(pieces: Pieces) -> NDArray[np.bool_]:
    """Say of each piece whether it is an extra one of some size that does not share a corner with a larger one."""
    return pieces.is_extra & ~pieces.is_speck & pieces.leads


def likely_merged(mask: NDArray[np.int64], numbers: NDArray[np.int64], areas: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the numbers that are much larger than the median and, for their kind, far from convex.

    Parameters
    ----------
    mask
        (Y, X).
    numbers, areas
        Those of its objects, ascending, and the pixels of each.
    """
    from skimage.measure import regionprops

    large = numbers[areas > _MERGED_AREA * np.median(areas)] if areas.size else numbers
    if not large.size:
        return ()
    chosen = [*large[:: max(1, len(large) // _MOST_SUSPECTS)]]
    ordinary = np.setdiff1d(numbers, large)
    others = [*ordinary[:: max(1, len(ordinary) // _TYPICAL)]]
    kept = np.zeros(int(numbers[-1]) + 1 if numbers[-1] < mask.size else 0, np.int64)
    if not kept.size:
        return ()  # numbers beyond reason, such as colours read as numbers
    kept[[*chosen, *others]] = [*chosen, *others]
    solidity = {region.label: float(region.solidity) for region in regionprops(kept[np.maximum(mask, 0)])}
    usual = np.array([solidity[number] for number in others] or [1.0])
    typical = float(np.median(usual))
    spread = 1.48 * float(np.median(np.abs(usual - typical)))
    least = typical - max(_LEAST_HOLLOW, _HOLLOW * spread)
    return tuple(int(number) for number in chosen if solidity[number] < least)


def far_smaller(areas: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each object, by its pixels, whether it is far smaller than the others; of a few objects none is."""
    if len(areas) < _FEW:
        return np.zeros(len(areas), np.bool_)
    return areas <= SPECK * np.median(areas)


def find_faults(mask: NDArray[np.int64]) -> tuple[MaskFault, ...]:
    """Say what is wrong with a mask.

    Parameters
    ----------
    mask
        int64 (Y, X): 0 is background, each object has a number above, and what is below is not annotated.

    Returns
    -------
    tuple of MaskFault
        The gravest first. Where edges blend or no object has a number of its own, nothing else is looked for: its
        numbers mean nothing before that is mended.
    """
    if is_blended(mask):
        values = np.unique(mask).size
        return (
            MaskFault(
                "edges",
                Sentence(
                    "Edges blend: {values} values where two are meant, as in pictures that were scaled or compressed.",
                    values=values,
                ),
                count=values,
            ),
        )
    background = background_number(mask)
    if background is not None:
        pixels = int(np.count_nonzero(mask == background))
        text = Sentence("The background seems to have the number {number}, not 0.", number=background)
        return (MaskFault("background", text, (background,), 1, pixels),)
    numbers, areas = object_areas(mask)
    pieces = find_pieces(mask)
    if len(numbers) == 1 and (count := _whole_pieces(pieces)) > 1:
        text = Sentence("All {count} objects have one number, so touching ones are not told apart.", count=count)
        return (MaskFault("unnumbered", text, (int(numbers[0]),), count, int(areas[0])),)
    return tuple(fault for fault in _of_objects(mask, numbers, areas, pieces) if fault is not None)


def is_blended(mask: NDArray[np.int64]) -> bool:
    """Whether a mask has two values and others between them at the edges alone."""
    from scipy.ndimage import binary_dilation

    top = int(mask.max(initial=0))
    levels = np.unique(mask)
    if mask.min(initial=0) < 0 or len(levels) < _EDGE_LEVELS or top < _EDGE_LEVELS:
        return False
    low, high = mask <= _NEARLY * top, mask >= (1 - _NEARLY) * top
    between = ~(low | high)
    if not between.any():
        return False
    near = binary_dilation(low, iterations=_EDGE_WIDTH) & binary_dilation(high, iterations=_EDGE_WIDTH)
    return bool(np.mean(near[between]) >= _EDGE_PART and np.count_nonzero(high) > np.count_nonzero(between) / 2)


def background_number(mask: NDArray[np.int64]) -> int | None:
    """Return the number that the background seems to have in place of 0; None where it has none.

    It is that of more than half of the pixels and of most of those at the border.
    """
    numbers, areas = object_areas(mask)
    if not areas.size or areas.max() <= _MOST_OF_THE_IMAGE * mask.size:
        return None
    number = int(numbers[np.argmax(areas)])
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    is_alone = len(numbers) == 1 and not (mask == 0).any()
    return number if not is_alone and np.mean(border == number) >= _MOST_OF_THE_BORDER else None


def holes_in(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return of each pixel of background the object that alone encloses it, and 0 elsewhere, int64 (Y, X)."""
    from napari_unetseg.postprocessing.holes import find_gaps

    numbers, places = np.unique(np.concatenate([[0], mask.ravel()]), return_inverse=True)
    compact = places[1:].reshape(mask.shape) - int(np.count_nonzero(numbers < 0))
    # What is not annotated is no background; it stands here as one more object, which fills nothing.
    objects = numbers[numbers >= 0]
    compact[mask < 0] = len(objects)
    gaps = find_gaps(compact.astype(np.int32))
    enclosed = np.concatenate([objects, [0]])[gaps.enclosed_by]
    enclosed[0] = 0
    return np.asarray(enclosed[gaps.numbers])


def _of_objects(
    mask: NDArray[np.int64], numbers: NDArray[np.int64], areas: NDArray[np.int64], pieces: Pieces
) -> Iterator[MaskFault | None]:
    yield _merged_fault(mask, numbers, areas)
    yield _pieces_fault("pieces", pieces, apart(pieces))
    yield _pieces_fault("corners", pieces, pieces.is_extra & ~pieces.is_speck & ~pieces.leads)
    yield _pieces_fault("specks", pieces, pieces.is_speck)
    tiny = far_smaller(areas)
    yield _sizes_fault("tiny", mask, numbers[tiny], areas[tiny])
    if len(areas) >= _FEW:
        far = areas > _FAR_LARGER * np.median(areas)
        yield _sizes_fault("large", mask, numbers[far], areas[far])
    holes = holes_in(mask)
    if holes.any():
        yield _holes_fault(holes)
    if numbers.size and numbers[-1] > _LARGEST_COMMON:
        text = Sentence("Numbers up to {number}, which programs that know 16 bits cannot read.", number=numbers[-1])
        yield MaskFault("numbers", text, count=int(np.count_nonzero(numbers > _LARGEST_COMMON)))


def _pieces_fault(
    kind: Literal["specks", "corners", "pieces"], pieces: Pieces, chosen: NDArray[np.bool_]
) -> MaskFault | None:
    if not chosen.any():
        return None
    objects = tuple(map(int, np.unique(pieces.owners[chosen])))
    count, pixels = int(np.count_nonzero(chosen)), int(pieces.areas[chosen].sum())
    said = {"count": count, "pixels": pixels, "objects": len(objects), "numbers": _listed(objects)}
    if kind == "specks":
        text = Sentence(
            "Specks: {count} extra pieces, {pixels} pixels in all, of {objects} objects ({numbers}).", **said
        )
    elif kind == "corners":
        text = Sentence(
            "Pieces that hang together by corners alone: {count}, {pixels} pixels in all, of {objects} objects "
            "({numbers}).",
            **said,
        )
    else:
        text = Sentence(
            "Objects in several pieces: {count} extra pieces, {pixels} pixels in all, of {objects} objects "
            "({numbers}).",
            **said,
        )
    return MaskFault(kind, text, objects, count, pixels, pieces.first_place(chosen))


def _sizes_fault(
    kind: Literal["tiny", "large"], mask: NDArray[np.int64], numbers: NDArray[np.int64], areas: NDArray[np.int64]
) -> MaskFault | None:
    if not numbers.size:
        return None
    objects = tuple(map(int, numbers))
    said = {"count": len(objects), "numbers": _listed(objects)}
    text = (
        Sentence("Far smaller than the other objects: {count} ({numbers}).", **said)
        if kind == "tiny"
        else Sentence("Far larger than the other objects: {count} ({numbers}).", **said)
    )
    return MaskFault(kind, text, objects, len(objects), int(areas.sum()), _first_place(np.isin(mask, numbers)))


def _merged_fault(mask: NDArray[np.int64], numbers: NDArray[np.int64], areas: NDArray[np.int64]) -> MaskFault | None:
    merged = likely_merged(mask, numbers, areas)
    if not merged:
        return None
    text = Sentence(
        "Perhaps several objects with one number: {count} ({numbers}).", count=len(merged), numbers=_listed(merged)
    )
    return MaskFault(
        "merged",
        text,
        merged,
        len(merged),
        int(areas[np.isin(numbers, merged)].sum()),
        _first_place(np.isin(mask, merged)),
    )


def _holes_fault(holes: NDArray[np.int64]) -> MaskFault:
    from skimage.measure import label

    objects = tuple(map(int, np.unique(holes[holes > 0])))
    count, pixels = int(label(holes, connectivity=1).max()), int(np.count_nonzero(holes))
    text = Sentence(
        "Holes: {count}, {pixels} pixels in all, in {objects} objects ({numbers}).",
        count=count,
        pixels=pixels,
        objects=len(objects),
        numbers=_listed(objects),
    )
    return MaskFault("holes", text, objects, count, pixels, _first_place(holes > 0))


def _whole_pieces(pieces: Pieces) -> int:
    """Return how many pieces of one number are no specks."""
    return int(np.count_nonzero(~pieces.is_speck))


def _first_place(chosen: NDArray[np.bool_]) -> tuple[int, int] | None:
    at = int(np.argmax(chosen))
    if not chosen.flat[at]:
        return None
    row, column = divmod(at, chosen.shape[1])
    return row, column


def _listed(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_NAMED]))
    return f"{named} …" if len(numbers) > _NAMED else named

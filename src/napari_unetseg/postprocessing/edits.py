"""Objects that a user drew, changed or deleted, and how they stay when the others are found again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.contours import Ring
from napari_unetseg.postprocessing.numbering import number_objects
from napari_unetseg.postprocessing.smoothing import largest_pieces


@dataclass(frozen=True, eq=False)
class DrawnRing:
    """A closed outline as somebody drew it.

    Attributes
    ----------
    vertices
        float64 (N, 2), (y, x) in pixels, pixel centres at integers; the first is not repeated.
    is_hole
        Whether its inside does not belong to the object.
    """

    vertices: Ring
    is_hole: bool = False


@dataclass(frozen=True, eq=False)
class Edits:
    """What a user changed by hand.

    Every edited object has a number of its own here, which does not change when labels do.

    Attributes
    ----------
    kept
        int32 (Y, X): the edited objects that are there, as drawn; 0 elsewhere.
    regions
        int32 (Y, X): where an edited object is or was, deleted ones included; 0 elsewhere.
    others
        bool (Y, X): where objects were that nobody edited, when the last edit was noted.
    outlines
        The rings of those edited objects that were drawn as outlines.
    """

    kept: NDArray[np.int32]
    regions: NDArray[np.int32]
    others: NDArray[np.bool_]
    outlines: Mapping[int, Sequence[DrawnRing]] = field(default_factory=dict)

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Self:
        """Return no edits of an image (Y, X)."""
        return cls(np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, bool))

    @property
    def count(self) -> int:
        """How many objects were edited, drawn or deleted."""
        return int(np.count_nonzero(np.union1d(self.kept, self.regions)))

    def note(
        self,
        shown: NDArray[np.int32],
        drawn: NDArray[np.integer],
        outlines: Mapping[int, Sequence[DrawnRing]] | None = None,
        fixed: Iterable[int] = (),
    ) -> Self:
        """Add what was changed since labels were shown.

        An object is edited if it gained or lost a pixel, or is among `fixed`. One that is gone was deleted.

        Parameters
        ----------
        shown
            (Y, X), the labels before, in which the objects kept so far are as `relabel_around` put them.
        drawn
            (Y, X), the labels now.
        outlines
            Rings by label, for objects that were drawn as outlines.
        fixed
            Labels that are edited even if they have the pixels of before again.
        """
        drawn = drawn.astype(np.int32, copy=False)
        different = shown != drawn
        count = int(max(shown.max(initial=0), drawn.max(initial=0), *(outlines or ()))) + 1
        touched = np.zeros(count, dtype=bool)
        touched[shown[different]] = touched[drawn[different]] = True
        touched[[*(outlines or ()), *(label for label in fixed if label < count)]] = True
        touched[0] = False
        number = self._numbers(shown, touched)
        was, is_now = touched[shown], touched[drawn]
        kept, regions = self.kept.copy(), self.regions.copy()
        kept[was] = 0
        regions[was] = number[shown[was]]
        kept[is_now] = regions[is_now] = number[drawn[is_now]]
        replaced = set(number[touched].tolist())
        rings = {key: value for key, value in self.outlines.items() if key not in replaced}
        rings |= {int(number[label]): value for label, value in (outlines or {}).items()}
        return type(self)(kept, regions, (drawn > 0) & (kept == 0), rings)

    def _numbers(self, shown: NDArray[np.int32], touched: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return for each touched label the number its object has here; a new one if it has none yet."""
        number = np.zeros(len(touched), dtype=np.int32)
        inside = self.kept > 0
        number[shown[inside]] = self.kept[inside]
        fresh = touched & (number == 0)
        highest = int(self.regions.max(initial=0))
        number[fresh] = np.arange(highest + 1, highest + 1 + np.count_nonzero(fresh))
        return number


def relabel_around(
    edits: Edits, found: NDArray[np.int32], min_size: int = 0
) -> tuple[NDArray[np.int32], dict[int, int]]:
    """Put the edited objects among those that were found again.

    An object that was found is taken for one that was edited or deleted, and left out, if they share more than
    half of either; unless it covers more of objects that nobody edited, as one does into which several have
    merged. The others lose the pixels where edited objects are or were, and of what that leaves, their largest
    piece stays if it has `min_size` pixels.

    Parameters
    ----------
    edits
        What was changed by hand.
    found
        (Y, X), labels without gaps.
    min_size
        Smallest object that may be left of one that was cut.

    Returns
    -------
    labels
        int32 (Y, X), counting from 1 without gaps in the raster order of the objects' first pixels. Objects that
        were edited have the pixels that they were given.
    names
        Which label each edited object has, by its number in `edits`.
    """
    rest = np.where(_edited_before(edits, found)[found] | (edits.regions > 0), 0, found)
    rest = number_objects(largest_pieces(rest), min_size)
    labels = np.where(edits.kept > 0, edits.kept + rest.max(initial=0), rest).astype(np.int32)
    labels = number_objects(labels, 0)
    inside = edits.kept > 0
    numbers, first = np.unique(edits.kept[inside], return_index=True)
    return labels, dict(zip(numbers.tolist(), labels[inside][first].tolist(), strict=True))


def _edited_before(edits: Edits, found: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return for each label that was found whether it is an object that was edited or deleted, (labels + 1,)."""
    count = int(found.max(initial=0)) + 1
    sizes, regions = np.bincount(found.ravel(), minlength=count), np.bincount(edits.regions.ravel())
    both = (found > 0) & (edits.regions > 0)
    inside = np.bincount(found[both], minlength=count)
    elsewhere = np.bincount(found[edits.others], minlength=count)
    pairs, shared = np.unique(found[both].astype(np.int64) * len(regions) + edits.regions[both], return_counts=True)
    objects, owners = np.divmod(pairs, len(regions))
    same = np.zeros(count, dtype=bool)
    same[objects[2 * shared > np.minimum(sizes[objects], regions[owners])]] = True
    return same & (elsewhere <= inside)


def draw_rings(labels: NDArray[np.int32], rings: Mapping[int, Sequence[DrawnRing]]) -> NDArray[np.int32]:
    """Give objects the pixels whose centres lie within their rings.

    Parameters
    ----------
    labels
        (Y, X), 0 is background; stays as it is.
    rings
        Rings by label, new labels among them; none at all deletes an object. Holes are taken off what the other
        rings of the same label enclose. Later objects lie on earlier ones.

    Returns
    -------
    int32 (Y, X)
    """
    from skimage.draw import polygon

    drawn = np.where(np.isin(labels, list(rings)), 0, labels).astype(np.int32)
    for label, own in rings.items():
        mask = np.zeros(labels.shape, dtype=bool)
        for ring in sorted(own, key=lambda ring: ring.is_hole):
            rows, columns = ring.vertices.T
            mask[polygon(rows, columns, shape=mask.shape)] = not ring.is_hole
        drawn[mask] = label
    return drawn


def changed_rings(
    before: Iterable[tuple[int, DrawnRing]], now: Iterable[tuple[int, DrawnRing]], highest: int = 0
) -> dict[int, list[DrawnRing]]:
    """Tell which objects' outlines were changed, drawn or deleted.

    A new outline comes with the label of another object, as windows fill it in, so labels alone tell nothing: a
    ring that is not as it was belongs to its label only where a ring of that label is missing.

    Parameters
    ----------
    before, now
        Rings with their labels, in order.
    highest
        A label above which new objects are numbered, if it is above those of the rings.

    Returns
    -------
    dict
        All rings of each edited object, by label; of a deleted one none. New objects get labels above all others.
    """
    missing: dict[int, list[DrawnRing]] = {}
    for label, ring in before:
        missing.setdefault(label, []).append(ring)
    highest = max(highest, *missing, 0)
    same: dict[int, list[DrawnRing]] = {}
    strange: list[tuple[int, DrawnRing]] = []
    for label, ring in now:
        twin = next((i for i, other in enumerate(missing.get(label, ())) if _equal(ring, other)), None)
        if twin is None:
            strange.append((label, ring))
        else:
            missing[label].pop(twin)
            same.setdefault(label, []).append(ring)
    changed = {label: list(same.get(label, ())) for label, rings in missing.items() if rings}
    for label, ring in strange:
        if missing.get(label):
            missing[label].pop()
            changed[label].append(ring)
        else:
            highest += 1
            changed[highest] = [ring]
    return changed


def _equal(one: DrawnRing, other: DrawnRing) -> bool:
    return one.is_hole == other.is_hole and np.array_equal(one.vertices, other.vertices)

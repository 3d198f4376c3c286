"""Click to fix: one object is added, removed, divided, joined, grown or shrunk by the map that is there already.

A fix is where somebody clicked or drew, and which parameters the objects had been read off with. What it does follows
from that, the labels and the probability map alone, so that it can be done again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled, FixError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.edits import Edits, relabel_around
from napari_unetseg.postprocessing.parameters import DecodeParameters

if TYPE_CHECKING:
    from napari_unetseg.postprocessing.blocks import Block
    from napari_unetseg.postprocessing.labelled_map import LabelledMap

FixKind = Literal["add", "remove", "split", "merge", "grow", "shrink"]

_STACK = Sentence("Objects of a stack cannot be fixed by clicks. Segment one plane of it, or paint on its labels.")

Point = tuple[FiniteFloat, FiniteFloat]


class Fix(BaseModel):
    """What somebody did to an object.

    Attributes
    ----------
    kind
        ``"add"`` finds an object where none is, ``"remove"`` takes one away, ``"split"`` divides one along a line,
        ``"merge"`` makes one of those that a line passes over, ``"grow"`` and ``"shrink"`` move an outline by a step.
    points
        (y, x) in pixels of the label image, pixel centres at integers: where somebody clicked, or the line that was
        drawn. Of a line, what is beyond the image does nothing.
    parameters
        Decoder parameters of the labels that were shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FixKind
    points: Annotated[tuple[Point, ...], Field(min_length=1)]
    parameters: DecodeParameters


@dataclass(frozen=True, eq=False)
class Patch:
    """What a fix changes, and nothing else.

    Attributes
    ----------
    rows, columns
        The smallest rectangle of the label image that has all of it.
    after
        int32 (rows, columns), its labels afterwards.
    objects
        Labels that lose or gain pixels, those of objects that are new or gone among them, in rising order.
    """

    rows: slice
    columns: slice
    after: NDArray[np.int32]
    objects: tuple[int, ...]

    def put_into(self, labels: NDArray[np.integer]) -> None:
        """Change a label image (Y, X) in place."""
        labels[self.rows, self.columns] = self.after


def apply_fix(fix: Fix, labels: NDArray[np.int32], probability: NDArray[np.float32], heads: tuple[str, ...]) -> Patch:
    """Find what a fix changes. The labels stay as they are; see `Patch.put_into`.

    Every other object keeps its number. A new one gets the number above the highest, and so does what is divided off;
    the largest part keeps the number of the whole, and objects that are joined get the lowest of theirs. Which pixels
    belong together does not depend on the numbers.

    Parameters
    ----------
    fix
        What to do, and where.
    labels
        int32 (Y, X), 0 is background.
    probability
        float32 (heads, Y, X) with values 0..1, off which the labels were read. NaN counts as background.
    heads
        What each plane means, as `napari_unetseg.postprocessing.decoding.decode` takes them.

    Returns
    -------
    Patch

    Raises
    ------
    FixError
        If nothing can be done there; it says why.
    """
    from napari_unetseg.postprocessing.adding import add
    from napari_unetseg.postprocessing.cutting import merge, split
    from napari_unetseg.postprocessing.labelled_map import LabelledMap
    from napari_unetseg.postprocessing.outline_steps import grow, shrink

    if labels.ndim != 2:
        raise FixError(_STACK)
    labelled = LabelledMap(labels, probability, heads, fix.parameters)
    points = np.asarray(fix.points, dtype=np.float64)
    works = {"add": add, "remove": _remove, "split": split, "merge": merge, "grow": grow, "shrink": shrink}
    box, after = works[fix.kind](labelled, points)
    return _difference(labels[box], after, box[0].start, box[1].start)


def apply_fixes(
    fixes: Sequence[Fix],
    probability: NDArray[np.float32],
    heads: tuple[str, ...],
    parameters: DecodeParameters,
    cancel: CancelFlag | None = None,
) -> NDArray[np.int32]:
    """Read objects off a map, fix them one after the other, and keep what was fixed with other parameters.

    Every fix acts on what was shown when it was made: the objects by the parameters of that time, among them those
    that had been fixed before, as `relabel_around` puts them.

    Parameters
    ----------
    fixes
        In the order in which they were made.
    probability, heads
        As `apply_fix` takes them.
    parameters
        With which the objects that nobody fixed are read off in the end.
    cancel
        Polled before each fix, and between the blocks of a large image.

    Returns
    -------
    int32 (Y, X)
        0 is background, objects count from 1 without gaps in the raster order of their first pixels.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    FixError
        If a fix finds nothing to do, as on the map of another image.
    """
    from napari_unetseg.postprocessing.decoding import decode

    if probability.ndim != 3:
        raise FixError(_STACK)
    edits = Edits.none(probability.shape[1:])
    before = shown = edits.kept
    shown_with, fixed = None, set[int]()
    for done, fix in enumerate(fixes):
        if cancel is not None and cancel():
            raise Cancelled("Cancelled while objects were fixed.")
        if fix.parameters != shown_with:
            edits = edits.note(before, shown, fixed=fixed)
            found = decode(probability, heads, fix.parameters, cancel)
            before, _ = relabel_around(edits, found, fix.parameters.min_size)
            shown, shown_with, fixed = before.copy(), fix.parameters, set()
        try:
            patch = apply_fix(fix, shown, probability, heads)
        except FixError as error:
            raise FixError(
                Sentence(
                    "Of {count} fixes, number {number} ({kind}) cannot be done: {reason}",
                    count=len(fixes),
                    number=done + 1,
                    kind=fix.kind,
                    reason=error,
                )
            ) from error
        patch.put_into(shown)
        fixed.update(patch.objects)
    edits = edits.note(before, shown, fixed=fixed)
    return relabel_around(edits, decode(probability, heads, parameters, cancel), parameters.min_size)[0]


def _remove(labelled: "LabelledMap", points: NDArray[np.float64]) -> "tuple[Block, NDArray[np.int32]]":
    number = labelled.object_at(points[0])
    box = labelled.box_of([number])
    labels = labelled.labels[box]
    return box, np.where(labels == number, 0, labels)


def _difference(before: NDArray[np.int32], after: NDArray[np.int32], row: int, column: int) -> Patch:
    """Cut out what differs between two label images whose first pixel lies there."""
    different = before != after
    rows, columns = (
        slice(int(at[0]), int(at[-1]) + 1) for at in (np.flatnonzero(different.any(axis=axis)) for axis in (1, 0))
    )
    objects = np.union1d(before[different], after[different])
    return Patch(
        slice(rows.start + row, rows.stop + row),
        slice(columns.start + column, columns.stop + column),
        after[rows, columns].astype(np.int32),
        tuple(int(label) for label in objects if label),
    )

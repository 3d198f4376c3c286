"""Click to fix: one object is added, removed, divided, joined, grown or shrunk by the map that is there already.

A fix is where somebody clicked or drew, and which parameters the objects had been read off with. What it does follows
from that, the labels and the probability map alone, so that it can be done again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from napari_unetseg.errors import FixError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.parameters import DecodeParameters

if TYPE_CHECKING:
    from napari_unetseg.postprocessing.blocks import Block
    from napari_unetseg.postprocessing.labelled_map import LabelledMap

FixKind = Literal["add", "remove", "split", "merge", "grow", "shrink"]

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
    from napari_unetseg.postprocessing.labelled_map import LabelledMap

    if labels.ndim != 2:
        raise FixError(
            Sentence("Objects of a stack cannot be fixed by clicks. Segment one plane of it, or paint on its labels.")
        )
    labelled = LabelledMap(labels, probability, heads, fix.parameters)
    points = np.asarray(fix.points, dtype=np.float64)
    works = {"add": add, "remove": _remove}
    box, after = works[fix.kind](labelled, points)
    return _difference(labels[box], after, box[0].start, box[1].start)


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

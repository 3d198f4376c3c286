"""How well predicted objects agree with annotated ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

Labels = NDArray[np.integer]
Overlaps: TypeAlias = "csr_array[np.float64, tuple[int, int]]"

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 95, 5))
"""IoU from 0.5 to 0.9 in steps of 0.05, over which average precision is averaged."""

MEASURES = (
    "means over images; dice and iou compare foregrounds; ap50, ap75 and ap90 are TP / (TP + FP + FN) of objects "
    "matched at IoU 0.5, 0.75 and 0.9, ap the mean over IoU 0.5 to 0.9 in steps of 0.05; precision and recall are "
    "at IoU 0.5; count_error is how many objects too many or too few, count_bias the same with its sign"
)
"""What the names of `summarise_scores` mean, for people."""


def annotated_part(
    predicted: NDArray[np.int32], true: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return both without what an annotation, by pixels below 0, says nothing of."""
    if not (true < 0).any():
        return predicted, true
    return np.where(true < 0, np.int32(0), predicted), np.maximum(true, 0)


def dice_score(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Twice the overlap of two masks over the sum of their areas; 1 where both are empty."""
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else 1.0


def mask_iou(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Overlap of two masks over their union; 1 where both are empty."""
    union = int((predicted | true).sum())
    return int((predicted & true).sum()) / union if union else 1.0


def iou_matrix(predicted: Labels, true: Labels) -> Overlaps:
    """Intersection over union of each predicted object (row) with each true one (column).

    Label numbers may have gaps; rows and columns follow the labels in rising order. Sparse, since
    nearly all pairs are apart.
    """
    row_of, heights = _number(predicted)
    column_of, widths = _number(true)
    both = (predicted > 0) & (true > 0)
    rows, columns = row_of[predicted[both]], column_of[true[both]]
    # Entries of one place add up: each pixel counts once.
    shared = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(heights), len(widths))).tocsr().tocoo()
    union = heights[shared.row] + widths[shared.col] - shared.data
    return csr_array((shared.data / union, (shared.row, shared.col)), shape=shared.shape)


def _number(labels: Labels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give objects numbers from 0 without gaps: that of each label, and the pixels of each number."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return np.cumsum(areas > 0) - 1, areas[areas > 0]


def count_matches(iou: Overlaps, threshold: float) -> int:
    """Count the most one-to-one matches of objects with an IoU of at least `threshold`, which is above 0."""
    if threshold > 0.5:
        # Two objects of one image do not overlap, so no more than one can hold over half of a third.
        return int((iou.data >= threshold).sum())
    return int((maximum_bipartite_matching(iou >= threshold) >= 0).sum())


def found_objects(iou: Overlaps, threshold: float = 0.5) -> NDArray[np.bool_]:
    """Tell of each true object, in the order of the columns, whether it is matched; see `count_matches`."""
    found: NDArray[np.bool_] = maximum_bipartite_matching(iou >= threshold) >= 0
    return found


def average_precision(iou: Overlaps, threshold: float = 0.5) -> float:
    """TP / (TP + FP + FN) of one image, objects matched one to one at this IoU; 1 where there are none.

    The measure of the 2018 Data Science Bowl (Caicedo et al. 2019) at one threshold.

    Parameters
    ----------
    iou
        As `iou_matrix` returns it.
    """
    objects = sum(iou.shape)
    matches = count_matches(iou, threshold)
    return matches / (objects - matches) if objects else 1.0


def mean_average_precision(iou: Overlaps) -> float:
    """Average `average_precision` over `IOU_THRESHOLDS`."""
    return float(np.mean([average_precision(iou, threshold) for threshold in IOU_THRESHOLDS]))


@dataclass(frozen=True)
class ObjectScore:
    """How well the objects of one image were found.

    Attributes
    ----------
    ap50, ap75, ap90, ap
        Average precision at an IoU of 0.5, 0.75 and 0.9, and its mean over `IOU_THRESHOLDS`.
    precision, recall
        Parts of the predicted and of the true objects that have a match at an IoU of 0.5. Both are 1
        where there are no objects on either side, and 0 where there are on one only.
    predicted, true
        Numbers of objects.
    """

    ap50: float
    ap75: float
    ap90: float
    ap: float
    precision: float
    recall: float
    predicted: int
    true: int

    @property
    def count_error(self) -> int:
        """Objects too many or too few."""
        return abs(self.count_bias)

    @property
    def count_bias(self) -> int:
        """Objects too many; negative if there are too few."""
        return self.predicted - self.true


@dataclass(frozen=True)
class Score:
    """How well one image was segmented.

    Attributes
    ----------
    dice, iou
        Of the foreground.
    objects
        None where the annotation does not tell objects apart.
    """

    stem: str
    kind: str
    dice: float
    iou: float
    objects: ObjectScore | None


def score(predicted: Labels, true: Labels, stem: str, kind: str) -> Score:
    """Score one label image against the annotated one."""
    return _score(predicted, true, stem, kind, score_objects(iou_matrix(predicted, true)))


def score_foreground(predicted: Labels, true: Labels, stem: str, kind: str) -> Score:
    """Score one label image against an annotation that does not tell objects apart."""
    return _score(predicted, true, stem, kind, None)


def _score(predicted: Labels, true: Labels, stem: str, kind: str, objects: ObjectScore | None) -> Score:
    found, there = predicted > 0, true > 0
    return Score(stem=stem, kind=kind, dice=dice_score(found, there), iou=mask_iou(found, there), objects=objects)


def score_objects(iou: Overlaps) -> ObjectScore:
    """Score objects by what `iou_matrix` returns."""
    predicted, true = iou.shape
    matches = count_matches(iou, 0.5)
    empty = float(predicted == true == 0)
    return ObjectScore(
        ap50=average_precision(iou, 0.5),
        ap75=average_precision(iou, 0.75),
        ap90=average_precision(iou, 0.9),
        ap=mean_average_precision(iou),
        precision=matches / predicted if predicted else empty,
        recall=matches / true if true else empty,
        predicted=predicted,
        true=true,
    )


OBJECT_MEASURES = ("ap50", "ap75", "ap90", "ap", "precision", "recall", "count_error", "count_bias")


def measures(score: Score) -> dict[str, float]:
    """Return all figures of one image by name; those of objects only where objects are told apart."""
    figures: dict[str, float] = {"dice": score.dice, "iou": score.iou}
    if score.objects is not None:
        figures |= {name: getattr(score.objects, name) for name in OBJECT_MEASURES}
    return figures


def summarise_scores(scores: Sequence[Score]) -> dict[str, Any]:
    """Average scores over images.

    Parameters
    ----------
    scores
        At least one; either all or none of them with objects.

    Returns
    -------
    dict
        ``images``, and the mean of each of `measures` (``dice``, ``iou``, ``ap50``...; see `MEASURES`),
        rounded to four digits, and under ``per_kind`` the same for each kind.
    """
    kinds = sorted({score.kind for score in scores})
    per_kind = {kind: _means([score for score in scores if score.kind == kind]) for kind in kinds}
    return {**_means(scores), "per_kind": per_kind}


def _means(scores: Sequence[Score]) -> dict[str, Any]:
    rows = [measures(score) for score in scores]
    return {"images": len(rows), **{name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}}

"""How well predicted objects agree with annotated ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Labels = NDArray[np.integer]


def dice(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Twice the overlap of two masks over the sum of their areas; 1 where both are empty."""
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else 1.0


def iou_matrix(predicted: Labels, true: Labels) -> NDArray[np.float64]:
    """Intersection over union of each predicted object (row) with each true one (column).

    Label numbers may have gaps; rows and columns follow the labels in rising order.
    """
    row_of, rows = _number(predicted)
    column_of, columns = _number(true)
    pairs = np.bincount((row_of * columns + column_of).ravel(), minlength=rows * columns)
    overlap = pairs.reshape(rows, columns)
    union = overlap.sum(axis=1, keepdims=True) + overlap.sum(axis=0, keepdims=True) - overlap
    # Row and column 0 are the background's, which may be nowhere.
    iou: NDArray[np.float64] = overlap[1:, 1:] / union[1:, 1:]
    return iou


def _number(labels: Labels) -> tuple[NDArray[np.intp], int]:
    """Give the labels numbers without gaps, 0 being the background's; return how many that takes."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = True
    return (np.cumsum(present) - 1)[labels], int(present.sum())


def match(iou: NDArray[np.float64], threshold: float) -> int:
    """Count the most one-to-one matches of objects with an IoU of at least `threshold`."""
    allowed = iou >= threshold
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    return int(allowed[rows, columns].sum())


def average_precision(iou: NDArray[np.float64], threshold: float = 0.5) -> float:
    """TP / (TP + FP + FN) of one image, objects matched one to one at this IoU; 1 where there are none.

    The measure of the 2018 Data Science Bowl (Caicedo et al. 2019) at one threshold.

    Parameters
    ----------
    iou
        As `iou_matrix` returns it.
    """
    objects = sum(iou.shape)
    matches = match(iou, threshold)
    return matches / (objects - matches) if objects else 1.0


@dataclass(frozen=True)
class Score:
    """How well the objects of one image were found.

    Attributes
    ----------
    dice
        Of the foreground.
    ap50, ap75
        Average precision at an IoU of 0.5 and 0.75.
    """

    stem: str
    kind: str
    dice: float
    ap50: float
    ap75: float


def score(predicted: Labels, true: Labels, stem: str, kind: str) -> Score:
    """Score one label image against the annotated one."""
    iou = iou_matrix(predicted, true)
    return Score(
        stem=stem,
        kind=kind,
        dice=dice(predicted > 0, true > 0),
        ap50=average_precision(iou, 0.5),
        ap75=average_precision(iou, 0.75),
    )


def summarise(scores: Sequence[Score]) -> dict[str, Any]:
    """Average scores over images.

    Returns
    -------
    dict
        ``images``, ``dice``, ``ap50`` and ``ap75``, and under ``per_kind`` the same for each kind.
    """
    kinds = sorted({score.kind for score in scores})
    per_kind = {kind: _means([score for score in scores if score.kind == kind]) for kind in kinds}
    return {**_means(scores), "per_kind": per_kind}


def _means(scores: Sequence[Score]) -> dict[str, Any]:
    measures = {name: round(float(np.mean([getattr(s, name) for s in scores])), 4) for name in ("dice", "ap50", "ap75")}
    return {"images": len(scores), **measures}

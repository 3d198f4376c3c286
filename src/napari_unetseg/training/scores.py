"""How well predicted objects agree with annotated ones."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array

Labels = NDArray[np.integer]


def dice(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Twice the overlap of two masks over the sum of their areas; 1 where both are empty."""
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else 1.0


def iou_matrix(predicted: Labels, true: Labels) -> NDArray[np.float64]:
    """Intersection over union of each predicted object (row) with each true one (column).

    Label numbers may have gaps; rows and columns follow the labels in rising order.
    """
    rows, predicted_index = np.unique(predicted, return_inverse=True)
    columns, true_index = np.unique(true, return_inverse=True)
    ones = np.ones(predicted.size, np.int64)
    shape = (rows.size, columns.size)
    overlap = coo_array((ones, (predicted_index.ravel(), true_index.ravel())), shape).toarray()
    union = overlap.sum(axis=1, keepdims=True) + overlap.sum(axis=0, keepdims=True) - overlap
    iou: NDArray[np.float64] = overlap / union
    return iou[rows != 0][:, columns != 0]


def match(iou: NDArray[np.float64], threshold: float) -> int:
    """Most one-to-one matches of objects with an IoU of at least `threshold`."""
    allowed = iou >= threshold
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    return int(allowed[rows, columns].sum())


def average_precision(predicted: Labels, true: Labels, threshold: float = 0.5) -> float:
    """TP / (TP + FP + FN) of one image, objects matched one to one at this IoU; 1 where both are empty.

    The measure of the 2018 Data Science Bowl (Caicedo et al. 2019), here at one threshold.
    """
    iou = iou_matrix(predicted, true)
    objects = sum(iou.shape)
    matches = match(iou, threshold)
    return matches / (objects - matches) if objects else 1.0

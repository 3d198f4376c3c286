"""How well the order of a review fits the true scores of its images.

Run with ``python benchmarks/review_order.py RESULTS MASKS``: a folder that was segmented, and one with masks named as
their images. Prints the rank correlation of doubt and AP at an IoU of 0.5, the mean AP of all images and of the most
and least doubtful quarter, and how many of the doubtful and of all objects overlap no true object by half.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from napari_unetseg.batch.folder_review import Review, ReviewItem, open_review
from napari_unetseg.io import read_label_image
from napari_unetseg.training.scores import average_precision, iou_matrix

IOU = 0.5


def score(item: ReviewItem, masks: Path) -> tuple[float, list[bool], list[bool]]:
    """Return the AP of an image, and whether each object, and each doubtful one, is wrong."""
    mask = next(path for path in sorted(masks.iterdir()) if path.stem == item.file.stem)
    found = read_label_image(item.labels_path).array.astype(np.int32)
    true = read_label_image(mask).array.astype(np.int32)
    wrong = {}
    for label in np.unique(found[found > 0]).tolist():
        own = found == label
        numbers, shared = np.unique(true[own & (true > 0)], return_counts=True)
        best = max((n / (np.sum(own | (true == k))) for k, n in zip(numbers, shared, strict=True)), default=0.0)
        wrong[label] = bool(best < IOU)
    doubtful = [wrong[one.label] for one in item.objects if one.label in wrong]
    return average_precision(iou_matrix(found, true), IOU), list(wrong.values()), doubtful


def report(review: Review, masks: Path) -> str:
    """Say in lines how well the order fits."""
    scores = [score(item, masks) for item in review.items]
    aps = np.array([ap for ap, _, _ in scores])
    quarter = max(1, len(aps) // 4)
    doubts = [item.doubt for item in review.items]
    wrong, doubtful = ([one for each in scores for one in each[part]] for part in (1, 2))
    return (
        f"{len(aps)} images: Spearman {spearmanr(doubts, aps)[0]:.2f}, AP {aps.mean():.3f}, "
        f"most doubtful quarter {aps[:quarter].mean():.3f}, least doubtful quarter {aps[-quarter:].mean():.3f}\n"
        f"{len(doubtful)} of {len(wrong)} objects doubtful: {np.mean(doubtful):.0%} of these wrong, "
        f"{np.mean(wrong):.0%} of all"
    )


if __name__ == "__main__":
    results, truth = map(Path, sys.argv[1:3])
    sys.stdout.write(f"{report(open_review(results), truth)}\n")

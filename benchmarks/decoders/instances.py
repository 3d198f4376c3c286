"""Whole objects in training crops, drawn through the very views that the product draws.

Augmentation resamples planes of targets, not label numbers. So objects are coloured such that neighbours differ, a
plane a colour, and where such planes come out of a crop the connected parts of a colour are its objects.
"""

from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_unetseg.training.targets import FLOWS, TARGETS

COLOURS = FLOWS.start + 1
"""A plane each before the flows, and one more: flows are turned with the crop, and their length alone stays."""

REACH = 3
"""Pixels within which two objects are neighbours."""


def colour_planes(labels: NDArray[np.int32]) -> Tensor:
    """Paint objects in colours that differ between neighbours, float16 (5, Y, X), in place of the targets."""
    colours = colour_objects(labels)
    planes = np.zeros((len(TARGETS), *labels.shape), np.float16)
    for colour in range(COLOURS):
        planes[colour] = colours[labels] == colour + 1
    return torch.from_numpy(planes)


def colour_objects(labels: NDArray[np.int32]) -> NDArray[np.int8]:
    """Choose a colour from 1 for each label; 0 for the background. Crowded objects choose first."""
    beside = find_neighbours(labels)
    colours = np.zeros(int(labels.max()) + 1, np.int8)
    numbers = np.unique(labels[labels > 0])
    for number in sorted(numbers.tolist(), key=lambda number: -len(beside[number])):
        taken = np.bincount(colours[list(beside[number])], minlength=COLOURS + 1)[1:]
        # More than four that all touch each other are drawn by hand now and then: two of them look like one then.
        colours[number] = 1 + int(np.argmin(taken))
    return colours


def find_neighbours(labels: NDArray[np.int32]) -> defaultdict[int, set[int]]:
    """List the labels within `REACH` of each label."""
    height, width = labels.shape
    beside: defaultdict[int, set[int]] = defaultdict(set)
    for down in range(REACH + 1):
        for across in range(-REACH if down else 1, REACH + 1):
            one = labels[: height - down, max(0, -across) : width - max(0, across)]
            other = labels[down:, max(0, across) : width - max(0, -across)]
            touching = (one != other) & (one > 0) & (other > 0)
            for first, second in np.unique(np.stack([one[touching], other[touching]]), axis=1).T.tolist():
                beside[first].add(second)
                beside[second].add(first)
    return beside


def read_colours(planes: Tensor) -> NDArray[np.int32]:
    """Find the objects of a crop, int32 (Y, X), in the planes (5, Y, X) that `colour_planes` painted."""
    seen = planes.numpy()
    colours = np.concatenate([seen[: COLOURS - 1], np.linalg.norm(seen[FLOWS], axis=0)[None]])
    inside, strongest = colours.sum(axis=0) >= 0.5, colours.argmax(axis=0)
    labels = np.zeros(inside.shape, np.int32)
    for colour in range(COLOURS):
        parts, _ = ndimage.label(inside & (strongest == colour))
        labels += np.where(parts > 0, parts + labels.max(), 0).astype(np.int32)
    return labels

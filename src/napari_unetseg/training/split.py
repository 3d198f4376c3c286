"""Which images are held out for validation: whole groups of like images, never single ones."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage


def describe_look(image: NDArray[np.generic]) -> NDArray[np.float64]:
    """Numbers that are near each other for images of one experiment.

    Parameters
    ----------
    image
        (C, Y, X), as acquired, C being 1 or 3.

    Returns
    -------
    ndarray
        float64 (12,): median and spread of red, green and blue on a logarithmic scale, how much the
        channels differ, and at four scales how much of the contrast is that fine.
    """
    pixels = np.broadcast_to(image, (3, *image.shape[1:])).astype(np.float64)
    levels = np.log2(np.percentile(pixels.reshape(3, -1), [50, 99], axis=1) + 4).ravel()
    colour = np.log2(pixels.std(axis=0).mean() + 1)
    grey = pixels.mean(axis=0)
    contrast = grey.std() + 1e-6
    smooth = [ndimage.gaussian_filter(grey, sigma) for sigma in (0.7, 1.5, 3, 6)]
    finest = [grey, *smooth[:-1]]
    texture = [np.log2((fine - coarse).std() / contrast + 1e-2) for fine, coarse in zip(finest, smooth, strict=True)]
    background = np.log2(np.percentile(grey, 5) + 4)
    return np.array([*levels, colour, background, *texture])


def cluster(looks: NDArray[np.float64], strata: Sequence[str], distance: float) -> list[str]:
    """Group images that look alike, never across strata.

    Parameters
    ----------
    looks
        (N, F), one row of `describe_look` an image; columns are standardised here.
    strata
        One name an image, such as its kind and size.
    distance
        Groups whose mean distance exceeds this (in standard deviations) stay apart.

    Returns
    -------
    list of str
        One group name an image.
    """
    scaled = (looks - looks.mean(axis=0)) / (looks.std(axis=0) + 1e-9)
    groups = [""] * len(strata)
    for stratum in sorted(set(strata)):
        members = [index for index, name in enumerate(strata) if name == stratum]
        numbers = np.ones(1, int)
        if len(members) > 1:
            tree = linkage(scaled[members], method="average")
            numbers = fcluster(tree, distance, criterion="distance")
        for index, number in zip(members, numbers, strict=True):
            groups[index] = f"{stratum}-{number}"
    return groups


def hold_out(
    groups: Mapping[str, str], kinds: Mapping[str, str], fraction: float, seed: int, at_most: float = 0.25
) -> list[str]:
    """Choose whole groups until every kind has at least `fraction` of its images held out.

    Parameters
    ----------
    groups, kinds
        Group and kind of each stem.
    fraction
        Least part of each kind's images that is held out, 0 to 1.
    seed
        Same seed, same choice.
    at_most
        A group that would bring a kind beyond this part is passed over, so that enough stays to
        train on. Where no other group is left the smallest one is taken all the same.

    Returns
    -------
    list of str
        Held-out stems, sorted.
    """
    rng = np.random.default_rng(seed)
    held: list[str] = []
    for kind in sorted(set(kinds.values())):
        members: dict[str, list[str]] = defaultdict(list)
        for stem in sorted(groups):
            if kinds[stem] == kind:
                members[groups[stem]].append(stem)
        total = sum(map(len, members.values()))
        chosen: list[str] = []
        order = [sorted(members)[index] for index in rng.permutation(len(members))]
        for group in order:
            if len(chosen) >= fraction * total:
                break
            if len(chosen) + len(members[group]) <= at_most * total:
                chosen += members[group]
        if not chosen and len(members) > 1:
            chosen = min(members.values(), key=len)
        held += chosen
    return sorted(held)

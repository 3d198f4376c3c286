"""Which images are held out for validation: whole groups of like images, never single ones.

Images of one experiment look alike. Were some of them trained on and others scored, the score would
say how well the network remembers, not how well it meets the next experiment.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage
from tqdm import tqdm

from napari_unetseg.training.dataset import DatasetError, Pair, read_pair

MAX_SHARE_OF_A_KIND = 0.25
"""Part of a kind beyond which no group is added to those held out, so that enough is left to train on."""


def group_by_appearance(pairs: Sequence[Pair], distance: float) -> dict[str, str]:
    """Name the group of like images to which each stem belongs.

    Images of different kind or size are never in one group.

    Parameters
    ----------
    distance
        Groups further apart than this stay apart, see `cluster`.
    """
    appearances, strata = [], []
    for pair in tqdm(pairs, desc="Grouping", unit="image", disable=None):
        image, _ = read_pair(pair)
        appearances.append(describe_appearance(image.channels_first[:3]))
        strata.append(f"{pair.kind}-{image.shape[0]}x{image.shape[1]}")
    groups = cluster(np.array(appearances), strata, distance)
    return {pair.stem: group for pair, group in zip(pairs, groups, strict=True)}


def describe_appearance(image: NDArray[np.generic]) -> NDArray[np.float64]:
    """Describe colour, intensity and texture by numbers that are near for like images.

    Parameters
    ----------
    image
        (C, Y, X), as acquired, C being 1 or 3. Pixels that are no finite number count as the median of the others.

    Returns
    -------
    ndarray
        float64 (12,): median and 99th percentile of each channel, how much channels differ, and the
        background, all as logarithms; then how much of the contrast lies in details of four sizes.
    """
    pixels = np.broadcast_to(image, (3, *image.shape[1:])).astype(np.float64)
    finite = np.isfinite(pixels)
    if not finite.all():
        pixels[~finite] = np.median(pixels[finite]) if finite.any() else 0
    levels = _logarithm(np.percentile(pixels.reshape(3, -1), [50, 99], axis=1)).ravel()
    colour = np.log2(pixels.std(axis=0).mean() + 1)
    grey = pixels.mean(axis=0)
    background = _logarithm(np.percentile(grey, 5))
    smooth = [ndimage.gaussian_filter(grey, sigma) for sigma in (0.7, 1.5, 3, 6)]
    details = [(fine - coarse).std() for fine, coarse in zip([grey, *smooth[:-1]], smooth, strict=True)]
    texture = np.log2(np.array(details) / (grey.std() + 1e-6) + 1e-2)
    return np.array([*levels, colour, background, *texture])


def _logarithm(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logarithms of intensities, of which those far below 0 are all alike."""
    logarithms: NDArray[np.float64] = np.log2(np.maximum(levels, -3) + 4)
    return logarithms


def cluster(appearances: NDArray[np.float64], strata: Sequence[str], distance: float) -> list[str]:
    """Group rows that are near each other, never across strata.

    Parameters
    ----------
    appearances
        (N, F); columns are standardised here.
    strata
        One name a row.
    distance
        Groups whose mean distance exceeds this, in standard deviations, stay apart (average linkage).

    Returns
    -------
    list of str
        One group name a row.
    """
    scaled = (appearances - appearances.mean(axis=0)) / (appearances.std(axis=0) + 1e-9)
    groups = [""] * len(strata)
    for stratum in sorted(set(strata)):
        members = [index for index, name in enumerate(strata) if name == stratum]
        numbers = np.ones(1, int)
        if len(members) > 1:
            numbers = fcluster(linkage(scaled[members], method="average"), distance, criterion="distance")
        for index, number in zip(members, numbers, strict=True):
            groups[index] = f"{stratum}-{number}"
    return groups


def hold_out(groups: Mapping[str, str], kinds: Mapping[str, str], fraction: float, seed: int) -> list[str]:
    """Choose whole groups, in random order, until every kind has at least `fraction` of its images held out.

    A group that would bring a kind beyond `MAX_SHARE_OF_A_KIND` is passed over. Where nothing else is
    left the smallest group of the kind is held out all the same; a kind that is one single group
    cannot be divided and is trained on.

    Parameters
    ----------
    groups, kinds
        Group and kind of each stem.
    fraction
        Least part of each kind's images that is held out, 0 to 1.
    seed
        Same seed, same choice.

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
        names = sorted(members)
        chosen: list[str] = []
        for group in (names[index] for index in rng.permutation(len(names))):
            if len(chosen) >= fraction * total:
                break
            if len(chosen) + len(members[group]) <= MAX_SHARE_OF_A_KIND * total:
                chosen += members[group]
        if not chosen and len(members) > 1:
            chosen = min(members.values(), key=len)
        held += chosen
    return sorted(held)


def read_validation_list(path: Path, pairs: Sequence[Pair]) -> list[str]:
    """Read held-out stems, one a line; lines that begin with # are comments.

    Raises
    ------
    DatasetError
        If the file cannot be read, or names a stem that the data set does not have.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: the list of held-out images cannot be read ({error.strerror}).") from error
    held = sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")})
    unknown = sorted(set(held) - {pair.stem for pair in pairs})
    if unknown:
        raise DatasetError(
            f"{path}: {len(unknown)} of {len(held)} held-out images are not in the data set "
            f"({', '.join(unknown[:5])}). Choose the list that belongs to this data set."
        )
    return held

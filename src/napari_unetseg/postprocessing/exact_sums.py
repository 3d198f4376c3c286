"""Sums of probabilities over objects that are the same to the last bit in whatever parts and order they are taken."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.blocks import CACHED_STRIP, strips
from napari_unetseg.postprocessing.side_by_side import side_by_side
from napari_unetseg.probability_maps import drop_cached_pages

Ints = NDArray[np.int64]

_PLACES = 40
"""Bits behind the point to which a value is rounded: float32 numbers from 2**-17 on are as they are."""

_LIMB = 30
"""Bits of the lower part of a sum. Two parts hold the sum of any image; one would hold that of 2**23 pixels."""


@dataclass(frozen=True)
class ExactSums:
    """Number of pixels and sum of their values by label, as whole numbers, so that sums of parts are exact.

    Attributes
    ----------
    sizes
        int64 (N,), pixels of labels 0 to N - 1.
    high, low
        int64 (N,), of the sum: ``high * 2**-10 + low * 2**-40``, with `low` below 2**30.
    unknown
        bool (N,), whether a value was no number.
    """

    sizes: Ints
    high: Ints
    low: Ints
    unknown: NDArray[np.bool_]

    @classmethod
    def none(cls, count: int) -> "ExactSums":
        """Return the sums of no pixels for so many labels."""
        return cls(
            np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, bool)
        )

    @classmethod
    def of(
        cls, labels: NDArray[np.integer], values: NDArray[np.floating], count: int, *, with_background: bool
    ) -> "ExactSums":
        """Sum values of about 0 to 1 up by label.

        Parameters
        ----------
        labels, values
            (..., Y, X); of the background, which is 0, all may stay 0.
        count
            More than the greatest label.
        """

        def strip_sums(at: tuple[tuple[int, ...], slice]) -> "ExactSums":
            index, rows = at
            part = _strip_sums(labels[index][rows], values[index][rows], count, with_background)
            drop_cached_pages(values)
            return part

        total = cls.none(count)
        parts = ((index, rows) for index in np.ndindex(labels.shape[:-2]) for rows in strips(labels.shape[-2:]))
        for part in side_by_side(strip_sums, parts):
            total = total.plus(part)
        return total

    def plus(self, other: "ExactSums") -> "ExactSums":
        """Add the sums of other pixels with the same labels."""
        return _carried(
            self.sizes + other.sizes, self.high + other.high, self.low + other.low, self.unknown | other.unknown
        )

    def add(self, other: "ExactSums", owner: NDArray[np.integer]) -> None:
        """Add other sums in place; `owner` (M,) says to which label each belongs."""
        np.add.at(self.sizes, owner, other.sizes)
        np.add.at(self.high, owner, other.high)
        np.add.at(self.low, owner, other.low)
        self.unknown[owner[other.unknown]] = True
        changed = np.unique(owner)
        self.high[changed] += self.low[changed] >> _LIMB
        self.low[changed] &= 2**_LIMB - 1

    def total(self) -> "ExactSums":
        """Return the sum of all labels as one."""
        whole = ExactSums.none(1)
        whole.add(self, np.zeros(len(self.sizes), np.int64))
        return whole

    def taken(self, wanted: NDArray[np.integer] | NDArray[np.bool_] | slice) -> "ExactSums":
        """Return those of some labels."""
        return ExactSums(self.sizes[wanted], self.high[wanted], self.low[wanted], self.unknown[wanted])

    @property
    def totals(self) -> NDArray[np.float64]:
        """float64 (N,), the sums; NaN where a value was no number."""
        sums = self.high * 2.0 ** (_LIMB - _PLACES) + self.low * 2.0**-_PLACES
        return np.where(self.unknown, np.nan, sums)

    @property
    def means(self) -> NDArray[np.float32]:
        """float32 (N,), of labels that have pixels."""
        means: NDArray[np.float32] = (self.totals / self.sizes).astype(np.float32)
        return means

    @property
    def mean(self) -> float | None:
        """Mean over all labels; None where there is no pixel."""
        whole = self.total()
        return float(whole.totals[0] / whole.sizes[0]) if whole.sizes[0] else None


def _strip_sums(
    labels: NDArray[np.integer], values: NDArray[np.floating], count: int, with_background: bool
) -> ExactSums:
    sizes, sums, unknown = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, bool)
    for part in strips(labels.shape, CACHED_STRIP):
        owners, weights = labels[part].ravel(), values[part].ravel()
        if not with_background:
            pixels = np.flatnonzero(owners > 0)
            owners, weights = owners[pixels], weights[pixels]
        owners = owners.astype(np.intp, copy=False)
        np.add.at(sizes, owners, 1)
        scaled = weights.astype(np.float64)
        scaled *= 2.0**_PLACES
        if not np.isfinite(scaled.sum()):
            is_unknown = np.isnan(scaled)
            unknown[owners[is_unknown]] = True
            scaled[is_unknown] = 0
        np.add.at(sums, owners, np.rint(scaled, out=scaled).astype(np.int64))
    return _carried(sizes, np.zeros(count, np.int64), sums, unknown)


def _carried(sizes: Ints, high: Ints, low: Ints, unknown: NDArray[np.bool_]) -> ExactSums:
    return ExactSums(sizes, high + (low >> _LIMB), low & (2**_LIMB - 1), unknown)

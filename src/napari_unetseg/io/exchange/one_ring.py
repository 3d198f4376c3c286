"""An object of several pieces, or with holes, as one ring: formats that know no more join them by slits."""

from collections.abc import Sequence

import numpy as np

from napari_unetseg.postprocessing.contours import Contour, Ring


def one_ring(contours: Sequence[Contour]) -> Ring:
    """Join pieces and holes of an object by slits of no width, along the edges of pixels.

    A pixel's centre lies in the ring just where it lies in the object, by the even-odd rule and by winding numbers;
    what draws the ring's line itself, as OpenCV does, draws the slits, too.

    Parameters
    ----------
    contours
        Pieces of one object, whose vertices lie on corners of pixels.
    """
    ring, *others = (one for contour in contours for one in (contour.exterior, *contour.holes))
    for other in others:
        at, begin = _nearest(ring, other)
        turned = np.roll(other, -begin, axis=0)
        # By way of a corner, so that the slit runs between pixels and not through their centres.
        corner = np.array([[ring[at, 0], turned[0, 1]]])
        ring = np.concatenate([ring[: at + 1], corner, turned, turned[:1], corner, ring[at:]])
    return ring


def _nearest(one: Ring, other: Ring) -> tuple[int, int]:
    """Return which vertices of two rings lie nearest."""
    distances = np.abs(one[:, np.newaxis] - other[np.newaxis]).sum(axis=2)
    at, begin = np.unravel_index(int(distances.argmin()), distances.shape)
    return int(at), int(begin)

"""Exact outlines of objects along the edges of their pixels, and back to labels.

Pixel centres lie at integer coordinates (y, x), so pixel edges and all vertices lie at half
integers. Everything here works on whole arrays: an outline is made of straight *runs* along one
line of the pixel grid, each run knows the run that follows it, and following them gives the rings.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.object_groups import object_groups

Ring = NDArray[np.float64]
"""Vertices (y, x) of a closed outline, (N, 2); the first one is not repeated."""


@dataclass(frozen=True)
class Contour:
    """Outline of one connected part of an object.

    Rings do not repeat their first vertex and have no vertex within a straight line. On the screen
    (y down) the exterior runs clockwise and holes run anticlockwise, that is, the object lies to
    the right; the shoelace sum over (x, y) is positive for the exterior and negative for holes.
    No ring crosses or touches itself; two rings of a part may meet in single vertices.

    Attributes
    ----------
    label
        Value of the object in the label image.
    exterior
        float64 (N, 2), vertices (y, x).
    holes
        Rings float64 (M, 2) around background or other objects inside.
    """

    label: int
    exterior: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def area(self) -> float:
        """Number of pixels inside, holes left out."""
        return signed_area(self.exterior) + sum(signed_area(hole) for hole in self.holes)


def signed_area(ring: Ring) -> float:
    """Shoelace area of a ring of (y, x) vertices: positive if it runs clockwise on the screen."""
    y, x = (ring - ring[0]).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def trace_contours(labels: NDArray[np.integer]) -> list[Contour]:
    """Outline every object along its pixel edges.

    Parts are 4-connected: pixels of one label that meet only at a corner belong to two parts and
    give two contours.

    Parameters
    ----------
    labels
        (Y, X), 0 is background.

    Returns
    -------
    list[Contour]
        Ordered by label; parts of one label in the raster order of their first pixel.
    """
    contours = [contour for group in object_groups(labels) for contour in _trace(group.labels, group.origin)]
    return sorted(contours, key=lambda contour: contour.label)


def _trace(labels: NDArray[np.integer], origin: tuple[int, int]) -> list[Contour]:
    """Outline the objects of a part of an image, of which the first pixel lies at `origin`."""
    from skimage.measure import label as connected_components

    if not labels.any():
        return []
    parts = np.pad(connected_components(labels, background=0, connectivity=1), 1)
    runs = _find_runs(parts)
    order, lengths = _walk(_successors(runs, parts))
    starts = np.cumsum(lengths) - lengths
    vertices = np.column_stack([runs.y0[order], runs.x0[order]])
    owners = runs.part[order[starts]]
    exterior = _areas(vertices, starts) > 0
    rings = np.split(vertices + (np.array(origin) - 0.5), starts[1:])
    holes: dict[int, list[Ring]] = {}
    for ring in np.flatnonzero(~exterior):
        holes.setdefault(int(owners[ring]), []).append(rings[ring])
    outer = np.flatnonzero(exterior)
    first = vertices[starts[outer]]
    values = labels[first[:, 0], first[:, 1]].tolist()
    return [
        Contour(value, rings[ring], tuple(holes.get(owner, ())))
        for value, ring, owner in zip(values, outer, owners[outer].tolist(), strict=True)
    ]


def rasterise(contours: list[Contour], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Turn contours back into the label image they were traced from, bit for bit.

    Every vertical run adds its label where it is entered from the left and takes it away where it
    is left, so the sum along each row is the label.

    Parameters
    ----------
    contours
        Contours that lie within the image and do not overlap.
    shape
        (Y, X) of the image.
    """
    steps = np.zeros((shape[0] + 1, shape[1] + 1), dtype=np.int32)
    rings = [(contour.label, ring) for contour in contours for ring in (contour.exterior, *contour.holes)]
    if not rings:
        return steps[:-1, :-1]
    start = np.concatenate([ring for _, ring in rings])
    end = np.concatenate([np.roll(ring, -1, axis=0) for _, ring in rings])
    value = np.repeat([label for label, _ in rings], [len(ring) for _, ring in rings])
    column = (start[:, 1] + 0.5).astype(np.intp)
    vertical = start[:, 1] == end[:, 1]
    # A run from row a up or down to row b acts on the rows between: mark both ends, then add up.
    for tip, sign in ((start, -1), (end, 1)):
        row = (tip[vertical, 0] + 0.5).astype(np.intp)
        np.add.at(steps, (row, column[vertical]), sign * value[vertical].astype(np.int32))
    inside = np.cumsum(np.cumsum(steps, axis=0, dtype=np.int32), axis=1, dtype=np.int32)
    return inside[:-1, :-1]


@dataclass(frozen=True)
class _Runs:
    """Straight pieces of outline, each from vertex (y0, x0) to vertex (y1, x1) of the grid.

    Rightward runs come first, then downward, leftward and upward ones; `first` holds the index of
    the first run of each direction and of the end.
    """

    y0: NDArray[np.intp]
    x0: NDArray[np.intp]
    y1: NDArray[np.intp]
    x1: NDArray[np.intp]
    part: NDArray[np.integer]
    first: NDArray[np.intp]


RIGHT, DOWN, LEFT, UP = range(4)


def _find_runs(parts: NDArray[np.integer]) -> _Runs:
    """Find all runs of a part image that is framed by background.

    Grid vertex (y, x) is the top left corner of pixel (y, x) of the unframed image.
    """
    above, below = parts[:-1], parts[1:]
    left, right = parts.T[:-1], parts.T[1:]
    found = []
    for direction, owner, other in (
        (RIGHT, below, above),
        (DOWN, left, right),
        (LEFT, above, below),
        (UP, right, left),
    ):
        line, start, end = _intervals(np.where(owner != other, owner, 0))
        part = owner[line, start]
        # Column i of the framed image lies between grid vertices i - 1 and i.
        low, high = start - 1, end - 1
        if direction in (LEFT, UP):
            low, high = high, low
        found.append((line, low, line, high, part) if direction in (RIGHT, LEFT) else (low, line, high, line, part))
    y0, x0, y1, x1, part = (np.concatenate(column) for column in zip(*found, strict=True))
    return _Runs(y0, x0, y1, x1, part, first=np.cumsum([0, *(len(run[0]) for run in found)]))


def _intervals(cracks: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return line, start and end (exclusive) of the stretches of equal non-zero value in each line."""
    change = cracks[:, 1:] != cracks[:, :-1]
    line, start = np.nonzero(change & (cracks[:, 1:] > 0))
    _, end = np.nonzero(change & (cracks[:, :-1] > 0))
    return line, start + 1, end + 1


def _successors(runs: _Runs, parts: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return for every run the run that its ring goes on with.

    A ring turns right round the corner of its own pixel, except where the pixel diagonally across
    belongs to the same part: there it turns left. Where two pixels of a part meet at a corner this
    keeps the rings on both sides apart, so no ring touches itself.
    """
    width = parts.shape[1]
    begin, finish = runs.y0 * width + runs.x0, runs.y1 * width + runs.x1
    flat = parts.ravel()
    # Framed pixels round vertex v: top left v, top right v + 1, bottom left v + width, then + 1.
    across = {RIGHT: 1, DOWN: width + 1, LEFT: width, UP: 0}
    following = np.empty(len(begin), dtype=np.intp)
    lookup = {}
    for direction in range(4):
        members = np.arange(runs.first[direction], runs.first[direction + 1])
        members = members[np.argsort(begin[members], kind="stable")]
        lookup[direction] = (begin[members], members)
    for direction in range(4):
        members = np.arange(runs.first[direction], runs.first[direction + 1])
        vertex = finish[members]
        turns_left = flat[vertex + across[direction]] == runs.part[members]
        chosen = np.empty(len(vertex), dtype=np.intp)
        for turn, which in ((direction - 1, turns_left), (direction + 1, ~turns_left)):
            keys, candidates = lookup[turn % 4]
            chosen[which] = candidates[np.searchsorted(keys, vertex[which])]
        following[members] = chosen
    return following


def _walk(following: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split a permutation into its cycles.

    Returns the members of all cycles one after the other, each cycle in walking order from its
    smallest member, cycles ordered by that member; and the length of each cycle. Both passes double
    the distance they look ahead, so they need as many rounds as the longest cycle has binary digits.
    """
    smallest = np.arange(len(following))
    jump = following
    while not np.array_equal(smallest[following], smallest):
        smallest = np.minimum(smallest, smallest[jump])
        jump = jump[jump]
    # Distance to the end of the cycle, which is the member before the smallest.
    last = following == smallest
    jump = np.where(last, np.arange(len(following)), following)
    ahead = np.where(last, 0, 1)
    while not last[jump].all():
        ahead = ahead + ahead[jump]
        jump = jump[jump]
    lengths = np.bincount(smallest)
    starts = np.cumsum(lengths) - lengths
    order = np.empty_like(following)
    order[starts[smallest] + lengths[smallest] - 1 - ahead] = np.arange(len(following))
    return order, lengths[lengths > 0]


def _areas(vertices: NDArray[np.intp], starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Twice the shoelace area of each ring in a concatenation of rings."""
    following = np.arange(1, len(vertices) + 1)
    following[np.append(starts[1:], len(vertices)) - 1] = starts
    (y, x), (y_next, x_next) = vertices.T, vertices[following].T
    areas: NDArray[np.intp] = np.add.reduceat(x * y_next - y * x_next, starts)
    return areas

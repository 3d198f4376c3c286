"""Exact outlines of objects along the edges of their pixels, and back to labels.

Pixel centres lie at integer coordinates (y, x), so pixel edges and all vertices lie at half
integers. Everything here works on whole arrays: an outline is made of straight *runs* along one
line of the pixel grid, each run knows the run that follows it, and following them gives the rings.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.object_groups import ObjectGroup, object_groups
from napari_unetseg.postprocessing.side_by_side import side_by_side

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
    # From the first vertex, whose own terms are 0 then.
    y, x = (ring - ring[0]).T
    return float(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:])) / 2


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
    contours = [contour for traced in side_by_side(_trace, object_groups(labels)) for contour in traced]
    return sorted(contours, key=lambda contour: contour.label)


def _trace(group: ObjectGroup) -> list[Contour]:
    """Outline the objects of a part of an image."""
    labels = group.labels
    if not labels.any():
        return []
    # Almost always each object has one part. Its label tells then what belongs together.
    rings = _Rings.round(np.pad(labels, 1))
    if not rings.are_of_whole_objects:
        from skimage.measure import label as connected_components

        rings = _Rings.round(np.pad(connected_components(labels, background=0, connectivity=1), 1))
    outlines = np.split(rings.vertices + (np.array(group.origin) - 0.5), rings.starts[1:])
    holes: dict[int, list[Ring]] = {}
    for ring in np.flatnonzero(~rings.is_exterior):
        holes.setdefault(int(rings.part[ring]), []).append(outlines[ring])
    outer = np.flatnonzero(rings.is_exterior)
    first = rings.vertices[rings.starts[outer]]
    values = labels[first[:, 0], first[:, 1]].tolist()
    return [
        Contour(value, outlines[ring], tuple(holes.get(part, ())))
        for value, ring, part in zip(values, outer.tolist(), rings.part[outer].tolist(), strict=True)
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
class _Rings:
    """The rings of all parts of an image.

    Attributes
    ----------
    vertices
        (V, 2), of one ring after the other, as vertices of the grid (see `_find_runs`).
    starts
        (N,), position of the first vertex of each ring.
    part
        (N,), value of the part that each ring belongs to.
    is_exterior
        bool (N,), whether it is an exterior, or a hole.
    touch
        Whether pixels of one value meet at a corner alone.
    """

    vertices: NDArray[np.intp]
    starts: NDArray[np.intp]
    part: NDArray[np.integer]
    is_exterior: NDArray[np.bool_]
    touch: bool

    @classmethod
    def round(cls, parts: NDArray[np.integer]) -> "_Rings":
        """Outline the parts of an image that is framed by background."""
        runs = _find_runs(parts)
        following, touch = _successors(runs, parts)
        order, lengths = _walk(following)
        starts = np.cumsum(lengths) - lengths
        vertices = np.column_stack([runs.y0[order], runs.x0[order]])
        return cls(vertices, starts, runs.part[order[starts]], _areas(vertices, starts) > 0, touch)

    @property
    def are_of_whole_objects(self) -> bool:
        """Whether no two parts have the same value. Where pixels of one touch at a corner it is not known."""
        exteriors = np.sort(self.part[self.is_exterior])
        return not self.touch and bool((exteriors[1:] != exteriors[:-1]).all())


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
    height, width = parts.shape
    flat, found = parts.ravel(), []
    # Where two pixels above each other, or side by side, differ: their flat indices.
    above = np.flatnonzero(flat[:-width] != flat[width:])
    left = np.flatnonzero(flat[:-1] != flat[1:])
    left = left[np.argsort(left % width * height + left // width)]  # column by column
    for direction, first, owner, length in (
        (RIGHT, above, above + width, width),
        (DOWN, left, left, height),
        (LEFT, above, above, width),
        (UP, left, left + 1, height),
    ):
        part = flat[owner]
        owned = np.flatnonzero(part)
        part, first = part[owned], first[owned]
        row = first // width
        line, along = (row, first - row * width) if direction in (RIGHT, LEFT) else (first - row * width, row)
        # A run ends where the next piece of outline does not follow it, or belongs to another part.
        breaks = np.flatnonzero((np.diff(line * length + along) != 1) | (part[1:] != part[:-1])) + 1
        begin, end = np.append(0, breaks), np.append(breaks, len(part)) - 1
        part, line = part[begin], line[begin]
        # Column i of the framed image lies between grid vertices i - 1 and i.
        low, high = along[begin] - 1, along[end]
        if direction in (LEFT, UP):
            low, high = high, low
        found.append((line, low, line, high, part) if direction in (RIGHT, LEFT) else (low, line, high, line, part))
    y0, x0, y1, x1, part = (np.concatenate(column) for column in zip(*found, strict=True))
    return _Runs(y0, x0, y1, x1, part, first=np.cumsum([0, *(len(run[0]) for run in found)]))


def _successors(runs: _Runs, parts: NDArray[np.integer]) -> tuple[NDArray[np.intp], bool]:
    """Return for every run the run that its ring goes on with, and whether pixels of a part meet at a corner alone.

    A ring turns right round the corner of its own pixel, except where the pixel diagonally across
    belongs to the same part: there it turns left. Where two pixels of a part meet at a corner this
    keeps the rings on both sides apart, so no ring touches itself.
    """
    width = parts.shape[1]
    begin, finish = runs.y0 * width + runs.x0, runs.y1 * width + runs.x1
    flat = parts.ravel()
    # Framed pixels round vertex v: top left v, top right v + 1, bottom left v + width, then + 1.
    across = {RIGHT: 1, DOWN: width + 1, LEFT: width, UP: 0}
    ahead = {RIGHT: width + 1, DOWN: width, LEFT: 0, UP: 1}
    following, touch = np.empty(len(begin), dtype=np.intp), False
    lookup = {}
    for direction in range(4):
        members = np.arange(runs.first[direction], runs.first[direction + 1])
        members = members[np.argsort(begin[members], kind="stable")]
        lookup[direction] = (begin[members], members)
    for direction in range(4):
        members = np.arange(runs.first[direction], runs.first[direction + 1])
        vertex = finish[members]
        turns_left = flat[vertex + across[direction]] == runs.part[members]
        touch |= bool((flat[vertex + ahead[direction]] != runs.part[members])[turns_left].any())
        chosen = np.empty(len(vertex), dtype=np.intp)
        for turn, which in ((direction - 1, turns_left), (direction + 1, ~turns_left)):
            keys, candidates = lookup[turn % 4]
            chosen[which] = candidates[np.searchsorted(keys, vertex[which])]
        following[members] = chosen
    return following, touch


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

"""What the axes of an image layer mean: as it says itself, as its metadata say, else a guess from their lengths."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from napari.utils.transforms import CompositeAffine
from numpy.typing import NDArray

from napari_unetseg.plugin.layers.file_axes import axes_in_file
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerMeta

OTHER = ""
"""The role of an axis of planes that lie neither in space nor in time, such as positions on a plate."""
ROLES = ("T", "Z", "C", "Y", "X", OTHER)
STACK_ROLES = "TCZ"
"""What the axes of a stack can be in a file, in the usual order; the last is the one scrolled first."""

MAX_CHANNELS = 4
"""Longest axis that is guessed to hold channels."""

# The names that labels, metadata and users give to axes, as `_normalised` leaves them.
_NAMES = {
    "T": "t time times timepoint timepoints timeframe timeframes frame frames",
    "Z": "z slice slices zslice zslices plane planes zplane zplanes depth depths section sections focus focalplane",
    "C": "c ch chs channel channels wavelength wavelengths colour colours color colors",
    "Y": "y row rows height",
    "X": "x column columns width",
}
_ROLE_OF_NAME = {name: role for role, names in _NAMES.items() for name in names.split()}
# How far from a right angle, as its cosine, the sides of a pixel may be by rounding.
_SQUARE = 1e-6
_DEFAULT_LABEL = re.compile(r"(axis ?)?-?\d+", re.IGNORECASE)
# Letters for other axes in the axes of an `Image`.
_SPARE = "PQRUVWABDEFGH"


@dataclass(frozen=True)
class LayerAxes:
    """What each axis of a layer means.

    Attributes
    ----------
    roles
        One of `ROLES` for each axis, colours of RGB not counted; exactly one Y and one X, at most one T, Z and C.
    names
        What to call each axis.
    guessed
        The axes whose role only their length suggests.
    """

    roles: tuple[str, ...]
    names: tuple[str, ...]
    guessed: frozenset[int] = frozenset()

    @property
    def known_roles(self) -> tuple[str, ...]:
        """The roles, empty for the axes whose role is guessed."""
        return tuple(OTHER if axis in self.guessed else role for axis, role in enumerate(self.roles))

    @property
    def plane(self) -> tuple[int, int]:
        """The two axes of a plane, ascending."""
        first, second = sorted((self.roles.index("Y"), self.roles.index("X")))
        return first, second

    @property
    def channel(self) -> int | None:
        """The axis of the channels; None if there is none."""
        return self.roles.index("C") if "C" in self.roles else None

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes of planes, ascending."""
        return tuple(axis for axis, role in enumerate(self.roles) if role not in ("Y", "X", "C"))

    def letters(self, axes: Sequence[int]) -> str:
        """Return the letters for an `Image` that has these axes of the layer; Y is always before X."""
        spare = iter(_SPARE)
        plane = dict(zip(self.plane, "YX", strict=True))
        return "".join(plane.get(axis) or self.roles[axis] or next(spare) for axis in axes)


def role_of(name: str) -> str:
    """Return the role of an axis that is called so, in singular or plural and any case; `OTHER` for unknown names."""
    return _ROLE_OF_NAME.get(re.sub(r"[\s_-]+", "", name).casefold(), OTHER)


def names_of_axes(labels: Sequence[object], metadata: Mapping[str, object], ndim: int) -> list[str]:
    """Return what each axis of a layer is called: by its label, else by the metadata; empty where both are silent.

    Parameters
    ----------
    labels
        The axis labels of the layer; those that napari numbers name nothing.
    metadata
        The metadata of the layer, where readers of OME files leave ``axes``: ``"TCZYX"``, or a list of axes.
    ndim
        Dimensions of the layer.
    """
    axes = metadata.get("axes")
    if not isinstance(axes, Sequence) or len(axes) != ndim:
        axes = [""] * ndim
    others = [axis.get("name", "") if isinstance(axis, Mapping) else axis for axis in axes]
    own = labels if len(labels) == ndim else [""] * ndim
    return [_given_name(label) or _given_name(other) for label, other in zip(own, others, strict=True)]


def _given_name(label: object) -> str:
    """Return a name that somebody gave an axis; empty for the numbers that napari gives."""
    name = str(label).strip()
    return "" if _DEFAULT_LABEL.fullmatch(name) else name


def is_complete(roles: Sequence[str]) -> bool:
    """Tell whether roles make a reading: one Y, one X, and T, Z and C at most once."""
    return roles.count("Y") == roles.count("X") == 1 and all(roles.count(role) <= 1 for role in "TZC")


class AxisChoices:
    """How each layer is read: as the user chose, else as `guess` has it. Layers that are gone are forgotten."""

    def __init__(self) -> None:
        self._chosen: WeakKeyDictionary[ImageLike, tuple[str, ...]] = WeakKeyDictionary()

    def of(self, layer: ImageLike, shown: tuple[int, int]) -> LayerAxes:
        """Read the axes of a layer.

        Parameters
        ----------
        layer
            The layer.
        shown
            The two axes on display.
        """
        chosen = self._chosen.get(layer, ())
        return LayerAxes(chosen, _names(layer, chosen)) if len(chosen) == layer.ndim else guess(layer, shown)

    def choose(self, layer: ImageLike, roles: tuple[str, ...] | None) -> None:
        """Read a layer with these roles from now on; None: as it is guessed."""
        if roles is None:
            self._chosen.pop(layer, None)
        else:
            self._chosen[layer] = roles


def guess(layer: ImageLike, shown: tuple[int, int]) -> LayerAxes:
    """Read the axes of a layer as its labels say, its metadata, its file, and where all are silent its shape.

    The two axes on display are those of the plane, whatever they are called. Of the others without a name, the
    shortest is guessed to hold channels if it has up to `MAX_CHANNELS` places and is shorter than the rest, or if
    there are three of them, in the order T C Z; the last of those that remain is Z and the one before T.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    roles: dict[int, str] = dict(zip(shown, "YX", strict=True))
    known = names_of_axes(layer.axis_labels, layer.metadata, layer.ndim)
    # The file is opened only if it can tell something: not for a plane.
    asks = any(axis not in roles and not name for axis, name in enumerate(known))
    stated = (axes_in_file(layer) if asks else "") or [""] * layer.ndim
    for axis, name in enumerate(name or other for name, other in zip(known, stated, strict=True)):
        if axis not in roles and name:
            role = role_of(name)
            roles[axis] = role if role not in roles.values() else OTHER
    unnamed = [axis for axis in range(layer.ndim) if axis not in roles]
    roles |= _from_lengths({axis: int(data.shape[axis]) for axis in unnamed}, set(roles.values()), rgb=layer.rgb)
    every = tuple(roles[axis] for axis in range(layer.ndim))
    return LayerAxes(every, _names(layer, every), frozenset(unnamed))


def _names(layer: ImageLike, roles: Sequence[str]) -> tuple[str, ...]:
    """Call an axis by its letter where it has one, else by its label."""
    names = []
    for axis, (label, role) in enumerate(zip(map(_given_name, layer.axis_labels), roles, strict=True)):
        if label and role_of(label) != role:
            names.append(label.upper() if len(label) == 1 else label)
        else:
            names.append(role or f"axis {axis}")
    return tuple(names)


def _from_lengths(lengths: Mapping[int, int], taken: set[str], *, rgb: bool) -> dict[int, str]:
    rest = list(lengths)
    roles: dict[int, str] = {}
    if rest and "C" not in taken and not rgb:
        shortest = min(rest, key=lambda axis: lengths[axis])
        others = [lengths[axis] for axis in rest if axis != shortest]
        if 1 < lengths[shortest] <= MAX_CHANNELS and all(length > lengths[shortest] for length in others):
            roles[shortest] = "C"
        elif len(rest) == 3:
            roles[rest[1]] = "C"
    free = [role for role in "ZT" if role not in taken]
    for axis in reversed([axis for axis in rest if axis not in roles]):
        roles[axis] = free.pop(0) if free else OTHER
    return roles


def pixel_size(meta: LayerMeta, axes: tuple[int, int]) -> tuple[tuple[float, float] | None, str | None]:
    """Return the pixel size along two axes and its unit; nothing is known while the unit is the pixel.

    It is how far apart pixels lie in the world, which is never negative: a layer that is flipped has a negative scale.
    Nothing is known, either, of pixels that are no rectangles, in layers that are sheared.
    """
    units = meta.get("units")
    if meta.get("scale") is None or units is None:
        return None, None
    first, second = (str(units[axis]) for axis in axes)
    if first != second or first == "pixel":
        return None, None
    steps = _steps(meta)[:, list(axes)]
    sizes = np.linalg.norm(steps, axis=0)
    if not (np.isfinite(sizes).all() and sizes.all()) or abs(steps[:, 0] @ steps[:, 1]) > _SQUARE * sizes.prod():
        return None, None
    return (float(sizes[0]), float(sizes[1])), first


def step_sizes(meta: LayerMeta) -> list[float]:
    """Return how far apart two neighbours along each axis of a layer lie in the world, in the units of the layer."""
    return [float(size) for size in np.linalg.norm(_steps(meta), axis=0)]


def _steps(meta: LayerMeta) -> NDArray[np.float64]:
    """Return the steps in the world from a pixel to its neighbour along each axis, in columns, (ndim, ndim)."""
    scale = np.asarray(meta["scale"], np.float64)
    given = {name: meta[name] for name in ("rotate", "shear") if meta.get(name) is not None}
    steps: NDArray[np.float64] = CompositeAffine(scale=scale, ndim=len(scale), **given).linear_matrix
    affine = meta.get("affine")
    return steps if affine is None else np.asarray(affine, np.float64)[:-1, :-1] @ steps

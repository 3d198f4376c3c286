"""A microscope's file, open: its scenes, and what each says of its pixels."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Protocol, Self

from napari_unetseg.io.physical_size import Step
from napari_unetseg.lazy_array import LazyArray


@dataclass(frozen=True)
class Scene:
    """One image of a file: a scene, position, series or field of it.

    Attributes
    ----------
    name
        As the file calls it; where it says nothing, or the same of several, made unique by a number.
    axes
        A letter for each axis of `array`, as an `Image` has them; those of length one among them.
    array
        The pixels of all its planes, none of which is read yet.
    scale, unit
        Size of a pixel along (Y, X), and its unit as `physical_size` names it; None where it is not known.
    steps
        Size of a step along other axes, with its unit; see `Image`.
    channels
        Names of the channels, one a place along ``C``; empty where they are not known.
    rgb
        Whether the channels are the colours of one picture.
    remarks
        Sentences on what could not be used.
    smaller
        The same at lower resolutions, where the file is a pyramid: the largest first, with the axes of `array`.
    """

    name: str
    axes: str
    array: LazyArray
    scale: tuple[float, float] | None = None
    unit: str | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    rgb: bool = False
    remarks: tuple[str, ...] = ()
    smaller: tuple[LazyArray, ...] = ()

    @property
    def levels(self) -> tuple[LazyArray, ...]:
        """The pixels at all resolutions, the largest first."""
        return (self.array, *self.smaller)


class KeptOpen:
    """Something of a library that is open as long as somebody holds this: a file, and arrays that read from it.

    Those who read from it hold this object, so that the file is closed after the last array of it is gone, and no
    earlier; at the latest when Python ends.

    Parameters
    ----------
    close
        Closes it. It must not hold this object.

    Attributes
    ----------
    lock
        For libraries that one thread at a time may use.
    """

    def __init__(self, close: Callable[[], object]) -> None:
        self.lock = RLock()
        weakref.finalize(self, close)


class MicroscopeFile(Protocol):
    """A file that is open. Any thread may read the arrays of its scenes, which keep it open: see `KeptOpen`."""

    @property
    def scene_names(self) -> tuple[str, ...]:
        """Names of the scenes, each once, found without reading a pixel."""
        ...

    def scene(self, number: int) -> Scene:
        """Return a scene by its place among `scene_names`."""
        ...

    def close(self) -> None:
        """Let go of the file: it is closed as soon as no array of it is in use any more."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

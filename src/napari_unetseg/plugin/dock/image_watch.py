"""What became of the images of a run while it ran: its result is of them as they were when Run was pressed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.layers.napari_types import ImageLike, LayerArray
from napari_unetseg.plugin.layers.plane import full_resolution

if TYPE_CHECKING:
    from napari.components import ViewerModel

_REMOVED = mark("'{image}' was removed during the run; its result was added all the same.")
_RENAMED = mark("'{image}' is called '{name}' now; its result has the name of before.")
_REPLACED = mark("The pixels of '{image}' were replaced during the run; its result is of those before.")
_MOVED = mark("'{image}' was moved or scaled during the run; its result lies where it was before.")


@dataclass(frozen=True)
class _State:
    """A layer as it is at a time."""

    layer: ImageLike
    name: str
    pixels: LayerArray
    place: tuple[Any, ...]


class ImageWatch:
    """Notes how images are at the start of a run, and tells how they differ later.

    Parameters
    ----------
    viewer
        Has the layers.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = viewer
        self._before: list[_State] = []

    def begin(self, layers: Iterable[ImageLike]) -> None:
        """Note how these layers are now, in place of those that were noted before."""
        self._before = [_state(layer) for layer in layers]

    def end(self) -> tuple[str, ...]:
        """Return a sentence for each difference, and forget what was noted."""
        before, self._before = self._before, []
        return tuple(sentence for state in before for sentence in self._differences(state))

    def _differences(self, before: _State) -> list[str]:
        now = _state(before.layer)
        if before.layer not in self._viewer.layers:
            return [tr(_REMOVED).format(image=before.name)]
        sentences = []
        if now.name != before.name:
            sentences.append(tr(_RENAMED).format(image=before.name, name=now.name))
        if now.pixels is not before.pixels:
            sentences.append(tr(_REPLACED).format(image=now.name))
        if not all(map(np.array_equal, now.place, before.place)):
            sentences.append(tr(_MOVED).format(image=now.name))
        return sentences


def _state(layer: ImageLike) -> _State:
    place = (layer.scale, layer.translate, layer.rotate, layer.shear, layer.affine.affine_matrix)
    units = [str(unit) for unit in layer.units]
    return _State(layer, str(layer.name), full_resolution(layer), (*map(np.array, place), np.array(units)))

"""Keys of the panel, while it is open. napari 0.9 reads no `keybindings` of plugins, so they are bound to the viewer.

They clash with none of napari's own.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from weakref import WeakMethod

from napari.layers import Labels, Layer, Shapes
from napari.utils.interactions import Shortcut

from napari_unetseg.layer_style import METADATA_KEY

if TYPE_CHECKING:
    from napari.components import ViewerModel

RUN, CANCEL, CONTOURS = "Ctrl+Alt+R", "Ctrl+Alt+C", "Ctrl+Alt+E"


def with_key(tip: str, key: str) -> str:
    """Add a key to a tooltip, as this system writes it."""
    return f"{tip}\n{Shortcut(key).platform}"


def bind_key(viewer: "ViewerModel", key: str, method: Callable[[], object]) -> None:
    """Let a key of the viewer call a method for as long as its object lives.

    Parameters
    ----------
    viewer
        The viewer; a panel that is opened again takes the key over.
    key
        Such as `RUN`.
    method
        A bound method.
    """
    reference = WeakMethod(method)

    def press(viewer: "ViewerModel") -> None:
        alive = reference()
        if alive is not None:
            alive()

    viewer.bind_key(key, press, overwrite=True)


def flip_contours(layers: Iterable[Layer]) -> None:
    """Show the contours of all results, or hide them where all are shown."""
    contours = [layer for layer in layers if METADATA_KEY in layer.metadata and _has_contours(layer)]
    show = not all(layer.visible for layer in contours)
    for layer in contours:
        layer.visible = show


def _has_contours(layer: Layer) -> bool:
    """Distinguish contours from labels: many of them are a Labels layer, too, but without measurements."""
    return isinstance(layer, Shapes) or (isinstance(layer, Labels) and layer.features.empty)

"""Keys of the viewer while a review is open."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from weakref import WeakMethod

from napari.utils.key_bindings import coerce_keybinding

if TYPE_CHECKING:
    import napari.viewer


class ReviewKeys:
    """Lets keys of a viewer call methods, until `release`.

    Parameters
    ----------
    viewer
        The viewer; a key that somebody else has bound there is taken over.
    methods
        What each key calls: bound methods, for as long as their object lives.
    """

    def __init__(self, viewer: "napari.viewer.Viewer", methods: Mapping[str, Callable[[], object]]) -> None:
        self._viewer = viewer
        self._bound = {key: _pressing(method) for key, method in methods.items()}
        for key, press in self._bound.items():
            viewer.bind_key(key, press, overwrite=True)

    def release(self) -> None:
        """Give back those keys that nobody else has taken over."""
        for key, press in self._bound.items():
            if self._viewer.keymap.get(coerce_keybinding(key)) is press:
                self._viewer.bind_key(key, None)
        self._bound = {}


def _pressing(method: Callable[[], object]) -> Callable[[object], None]:
    reference = WeakMethod(method)

    def press(viewer: object) -> None:
        alive = reference()
        if alive is not None:
            alive()

    return press

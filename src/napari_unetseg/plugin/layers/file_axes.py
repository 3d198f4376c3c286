"""The axes that a layer's file states, which napari's own reader leaves behind."""

from pathlib import Path
from weakref import WeakKeyDictionary

from napari_unetseg.io.suffixes import TIFF_SUFFIXES
from napari_unetseg.plugin.layers.napari_types import ImageLike

_KNOWN: WeakKeyDictionary[ImageLike, tuple[str, tuple[str, ...]]] = WeakKeyDictionary()


def axes_in_file(layer: ImageLike) -> str:
    """Return a letter for each axis of a layer, as the OME or ImageJ file that it was opened from states them.

    Empty where the layer comes from no such file, or no longer has its shape. The head of a file is read once.
    """
    return _stated(layer)[0]


def channels_in_file(layer: ImageLike) -> tuple[str, ...]:
    """Return what that file calls the channels; empty where it does not."""
    return _stated(layer)[1]


def _stated(layer: ImageLike) -> tuple[str, tuple[str, ...]]:
    if layer not in _KNOWN:
        _KNOWN[layer] = _read(layer)
    return _KNOWN[layer]


def _read(layer: ImageLike) -> tuple[str, tuple[str, ...]]:
    path = Path(layer.source.path or "")
    if path.suffix.lower() not in TIFF_SUFFIXES or not path.is_file():
        return "", ()
    from napari_unetseg.io.read_tiff import stated_axes

    try:
        stated, shape, names = stated_axes(path)
    except Exception:  # napari has read it, perhaps with another plugin: then nothing is stated that we know
        return "", ()
    data = layer.data[0] if layer.multiscale else layer.data
    letters = stated.removesuffix("S") if layer.rgb else stated.replace("S", "C")
    return (letters, names) if tuple(data.shape) == shape and len(letters) == layer.ndim else ("", ())

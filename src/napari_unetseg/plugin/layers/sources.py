"""Which layer a result was made of: a name may be given to another layer meanwhile, and the layer another name."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from napari.layers import Layer

_LayerType = TypeVar("_LayerType")

_SOURCES: "WeakValueDictionary[tuple[str, str], Layer]" = WeakValueDictionary()
"""Layers that were segmented, by the id of the call and the name they had. None is kept alive by it."""


def remember_source(record: Mapping[str, Any], layer: Any) -> None:
    """Remember, as long as the program runs, which layer the result with a record was made of."""
    if (key := _key(record)) is not None:
        # napari hands plugins proxies, which live no longer than the call.
        _SOURCES[key] = getattr(layer, "__wrapped__", layer)


def source_among(record: Mapping[str, Any], layers: Iterable[_LayerType]) -> _LayerType | None:
    """Return the layer that the result with a record was made of; None if it is not there, or not remembered."""
    key = _key(record)
    source = None if key is None else _SOURCES.get(key)
    if source is None:
        return None
    return next((layer for layer in layers if getattr(layer, "__wrapped__", layer) is source), None)


def _key(record: Mapping[str, Any]) -> tuple[str, str] | None:
    call, image = record.get("request_id"), record.get("image")
    return (str(call), str(image)) if call and image is not None else None

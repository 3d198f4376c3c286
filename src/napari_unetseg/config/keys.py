"""The keys of the settings: their dotted names, and the environment variable of each."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Key = tuple[str, ...]
"""Path of a key, such as ``("unet", "model", "device")``."""

PREFIX = "UNET_"


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a section; None if it is a key with a value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def fields(model: type[BaseModel], above: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    """Yield the path and the field of every key with a value, in the order in which they are declared."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is None:
            yield (*above, name), field
        else:
            yield from fields(section, (*above, name))


def dotted(key: Key) -> str:
    """Return ``unet.model.device`` for ``("unet", "model", "device")``."""
    return ".".join(key)


def variable(key: Key) -> str:
    """Return the environment variable of a key: ``UNET_MODEL_DEVICE``, ``UNET_DEVELOPMENT_SAVE_DEBUG_OUTPUTS``."""
    return PREFIX + "_".join(key[1:] if key[0] == "unet" else key).upper()


def value_at(settings: BaseModel, key: Key) -> Any:
    """Return the value of a key."""
    value: Any = settings
    for name in key:
        value = getattr(value, name)
    return value


def nested(values: dict[Key, Any]) -> dict[str, Any]:
    """Return values by path as dictionaries within dictionaries."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        branch = tree
        for name in key[:-1]:
            branch = branch.setdefault(name, {})
        branch[key[-1]] = value
    return tree

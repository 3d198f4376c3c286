"""JSON that every other program reads."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_unetseg.printable import printable


def json_text(value: Any) -> str:
    """Return a value as JSON: numbers that are none as null, NumPy's as plain ones, what JSON does not know as text."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {printable(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int) else printable(str(value))

"""Enough of safetensors to read and write weights, for machines without it; see `lean.py`.

The format: eight bytes with the length of a header, the header in JSON, and the bytes of all tensors in a row.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

NUMPY_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1",
    "BOOL": "?",
}  # fmt: skip


class SafetensorError(Exception):
    """A file is not of this format."""


def parse(content: bytes) -> tuple[dict[str, dict[str, Any]], dict[str, str], memoryview]:
    """Return what a file says of its tensors, what else it says, and their bytes."""
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
    except ValueError as error:
        raise SafetensorError(str(error)) from error
    told = header.pop("__metadata__", {})
    return header, told, memoryview(content)[8 + length :]


def serialise(arrays: Mapping[str, tuple[str, list[int], bytes]], metadata: Mapping[str, str] | None) -> bytes:
    """Return the bytes of a file; of each tensor the type, shape and bytes are given."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, (kind, shape, data) in arrays.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in arrays.values())


class safe_open:  # noqa: N801 (the name that it has)
    """A file that is open for reading, as NumPy arrays or as tensors of torch."""

    def __init__(self, path: str | Path, framework: str, device: str = "cpu") -> None:
        self._tensors, self._told, self._data = parse(Path(path).read_bytes())
        self._framework = framework

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: all is in memory."""

    def metadata(self) -> dict[str, str]:
        """Return what else the file says."""
        return self._told

    def keys(self) -> Iterable[str]:
        """Return the names of the tensors."""
        return self._tensors.keys()

    def get_tensor(self, name: str) -> Any:
        """Return a tensor."""
        told = self._tensors[name]
        begin, end = told["data_offsets"]
        if self._framework == "numpy":
            return np.frombuffer(self._data[begin:end], NUMPY_TYPES[told["dtype"]]).reshape(told["shape"])
        from safetensors.torch import as_tensor

        return as_tensor(told, self._data)

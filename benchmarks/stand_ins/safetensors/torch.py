"""The same for tensors of torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from safetensors import parse, serialise

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
NAMES = {kind: name for name, kind in TYPES.items()}


def as_tensor(told: Mapping[str, Any], data: memoryview) -> torch.Tensor:
    """Return a tensor that is described in the header of a file, as a copy."""
    begin, end = told["data_offsets"]
    kind = TYPES[told["dtype"]]
    if begin == end:
        return torch.empty(told["shape"], dtype=kind)
    return torch.frombuffer(bytearray(data[begin:end]), dtype=kind).reshape(told["shape"])


def load(content: bytes) -> dict[str, torch.Tensor]:
    """Read the bytes of a file."""
    header, _, data = parse(content)
    return {name: as_tensor(told, data) for name, told in header.items()}


def save(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a file."""
    flat = {
        name: (NAMES[one.dtype], list(one.shape), one.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        for name, one in tensors.items()
    }
    return serialise(flat, metadata)


def save_file(tensors: Mapping[str, torch.Tensor], path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a file."""
    Path(path).write_bytes(save(tensors, metadata))

"""What `torch.save` writes into a pickle: the names it has, and how it calls them.

Arguments are judged by stand-ins, which `pickle_check` puts in place of objects.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

ELEMENT_SIZES = {
    "torch.DoubleStorage": 8,
    "torch.FloatStorage": 4,
    "torch.HalfStorage": 2,
    "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8,
    "torch.IntStorage": 4,
    "torch.ShortStorage": 2,
    "torch.CharStorage": 1,
    "torch.ByteStorage": 1,
    "torch.BoolStorage": 1,
}
_DTYPES = frozenset(
    f"torch.{name}"
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
)
_PATHS = ("Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")

IGNORED = frozenset(
    {
        "argparse.Namespace",
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in _PATHS),
    }
)
"""What real checkpoints hold besides weights: settings, scores and paths. None of it is created."""

_ALIASES = {"__builtin__": "builtins", "posix": "os", "nt": "os"}


class PickleRefused(Exception):
    """The pickle asks for something that a checkpoint has no need of; the text says what."""


@dataclass(frozen=True)
class Global:
    """A function or class, by its full name."""

    name: str


@dataclass(frozen=True)
class Made:
    """The result of a call."""

    by: str


@dataclass
class Container:
    """A list, dict or set: how many items it has, and whether all are plain values."""

    kind: str
    items: int = 0
    plain: bool = True


@dataclass(frozen=True)
class Storage:
    """The data of tensors, by how many values they are."""

    numel: int


PLAIN_TYPES = (str, bytes, int, float, bool, type(None))
"""What holds nothing else."""


def allowed_name(argument: str) -> str:
    """Return the full name of a global, from a GLOBAL instruction's ``"module name"``.

    Raises
    ------
    PickleRefused
        If a checkpoint has no need of it.
    """
    module, _, name = argument.partition(" ")
    full = f"{_ALIASES.get(module, module)}.{name}"
    if full in IGNORED or full in CALLS or full in ELEMENT_SIZES or full in _DTYPES:
        return full
    written = f"{module}.{name}"
    shown = written if written == full else f"{written} ({full})"
    raise PickleRefused(f"it names {shown}, which a checkpoint has no need of")


def check_tensor(storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    """Refuse a tensor that reaches beyond its storage.

    Raises
    ------
    PickleRefused
        The message has the shape.
    """
    numel = prod(size)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if numel > storage.numel or (numel and last >= storage.numel):
        raise PickleRefused(f"a tensor declares the shape {size}, but its data hold {storage.numel} values")


def _counts(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is int and item >= 0 for item in value)


def _is_tensor_call(arguments: tuple[Any, ...]) -> bool:
    storage, offset, size, stride, _requires_grad, _hooks = arguments
    return isinstance(storage, Storage) and _counts((offset,)) and _counts(size) and _counts(stride)


def _is_parameter_call(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 3 and arguments[0] == Made("torch._utils._rebuild_tensor_v2")


def _is_device_call(arguments: tuple[Any, ...]) -> bool:
    return all(isinstance(argument, str | int) for argument in arguments)


def _is_plain_collection(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], Container) and arguments[0].plain


def _is_bytes_call(arguments: tuple[Any, ...]) -> bool:
    # How protocol 2 writes bytes; other codecs could make each result longer than the one before.
    return len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1"


CALLS: Mapping[str, Callable[[tuple[Any, ...]], bool]] = {
    "collections.OrderedDict": lambda arguments: arguments == (),
    "collections.Counter": _is_plain_collection,
    "builtins.set": _is_plain_collection,
    "torch.Size": lambda arguments: len(arguments) == 1 and _counts(arguments[0]),
    "torch.device": _is_device_call,
    "torch._utils._rebuild_tensor_v2": _is_tensor_call,
    "torch._utils._rebuild_parameter": _is_parameter_call,
    "_codecs.encode": _is_bytes_call,
}
"""Whether `torch.save` would call a function with such arguments, by the function's name."""

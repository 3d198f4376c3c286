"""What `torch.save` writes into a pickle: the names it has, and how it calls them.

Arguments are judged by stand-ins, which `pickle_check` puts in place of objects.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

STORAGES: Mapping[str, tuple[str, int]] = {
    "torch.DoubleStorage": ("float64", 8),
    "torch.FloatStorage": ("float32", 4),
    "torch.HalfStorage": ("float16", 2),
    "torch.BFloat16Storage": ("bfloat16", 2),
    "torch.LongStorage": ("int64", 8),
    "torch.IntStorage": ("int32", 4),
    "torch.ShortStorage": ("int16", 2),
    "torch.CharStorage": ("int8", 1),
    "torch.ByteStorage": ("uint8", 1),
    "torch.BoolStorage": ("bool", 1),
    "torch.ComplexFloatStorage": ("complex64", 8),
    "torch.ComplexDoubleStorage": ("complex128", 16),
    # Newer types have no storage of their own; it counts bytes.
    "torch.storage.UntypedStorage": ("uint8", 1),
}
"""Name of the type that a storage holds, and bytes of a value."""

_NEWER_DTYPES = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
_TORCH_DTYPES = (*(name for name, _ in STORAGES.values()), *_NEWER_DTYPES)
_NUMPY_TYPES = (
    *("bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "intc", "longlong"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128", "str_", "bytes_", "datetime64"),
)
_PLAIN_CLASSES = ("bool", "int", "long", "float", "str", "unicode", "bytes", "list", "tuple", "dict", "object")
_PATHS = ("Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
_NUMPY_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
_LIGHTNING = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")
_OMEGACONF = (
    *("base.ContainerMetadata", "base.Metadata", "dictconfig.DictConfig", "listconfig.ListConfig"),
    *(f"nodes.{kind}Node" for kind in ("Any", "Integer", "Float", "String", "Boolean", "Enum", "Path", "Bytes")),
)

NAMED = frozenset(
    {
        "numpy.ndarray",
        "typing.Any",
        *(f"torch.{name}" for name in _TORCH_DTYPES),
        *(f"numpy.{name}" for name in _NUMPY_TYPES),
        *(f"builtins.{name}" for name in _PLAIN_CLASSES),
    }
)
"""Types that real checkpoints hold as values; none may be called."""

IGNORED = frozenset(
    {
        "argparse.Namespace",
        "types.SimpleNamespace",
        *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
        "collections.deque",
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
        *(f"builtins.{name}" for name in ("complex", "range", "xrange", "slice")),
        *(f"{core}.scalar" for core in _NUMPY_CORES),
        *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in _PATHS),
        "torch.torch_version.TorchVersion",
        "torch.serialization._get_layout",
        "torchvision.transforms.functional.InterpolationMode",
        *(f"{package}.utilities.{part}.AttributeDict" for package in _LIGHTNING for part in ("parsing", "data")),
        *(f"{package}.callbacks.model_checkpoint.ModelCheckpoint" for package in _LIGHTNING),
        *(f"{package}.callbacks.early_stopping.EarlyStopping" for package in _LIGHTNING),
        *(f"omegaconf.{name}" for name in _OMEGACONF),
        *("easydict.EasyDict", "addict.dict.Dict", "yacs.config.CfgNode"),
    }
)
"""What real checkpoints hold besides weights: settings, scores, dates and paths. None of it is created."""

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


@dataclass(frozen=True)
class Storage:
    """The data of tensors: by which name the file has them, their type, and how many values they are."""

    key: str
    kind: str
    numel: int

    @property
    def nbytes(self) -> int:
        """Bytes that they take in the file."""
        return self.numel * STORAGES[self.kind][1]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that was not made: where its values are, in numbers of values."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


PLAIN_TYPES = (str, bytes, int, float, bool, type(None))
"""What holds nothing else."""


def full_name(argument: str) -> str:
    """Return the full name of a global, from a GLOBAL instruction's ``"module name"``.

    Raises
    ------
    PickleRefused
        If a checkpoint has no need of it.
    """
    module, _, name = argument.partition(" ")
    full = f"{_ALIASES.get(module, module)}.{name}"
    if is_allowed(full) or _is_own_class(full):
        return full
    raise unneeded(full, f"{module}.{name}")


def is_allowed(full: str) -> bool:
    """Tell whether the global of that name may be used as `torch.save` uses it."""
    return full in IGNORED or full in NAMED or full in CALLS or full in STORAGES


def _is_own_class(full: str) -> bool:
    """Tell whether a name can be that of a class in somebody's own code, or of a layer.

    An instance of one, made without arguments, is a record of values, and stays one: it is never created.
    """
    package = full.partition(".")[0]
    if package == "torch":
        return full.startswith("torch.nn.modules.")
    return package != "numpy" and package not in sys.stdlib_module_names


def unneeded(full: str, written: str) -> PickleRefused:
    """Say that a checkpoint has no need of a global."""
    shown = written if written == full else f"{written} ({full})"
    return PickleRefused(
        f"it names {shown}, which a checkpoint has no need of. Where you trust it, load it with torch and save its "
        "state_dict alone"
    )


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


def _is_newer_tensor_call(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 7 and _is_tensor_call(arguments[:6]) and isinstance(arguments[6], Global)


def _is_parameter_call(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 3 and isinstance(arguments[0], StoredTensor)


def _is_device_call(arguments: tuple[Any, ...]) -> bool:
    return all(isinstance(argument, str | int) for argument in arguments)


def _is_plain_collection(arguments: tuple[Any, ...]) -> bool:
    return (
        len(arguments) == 1
        and isinstance(arguments[0], list | dict)
        and all(isinstance(item, PLAIN_TYPES) for item in arguments[0])
    )


def _is_default_call(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) <= 1 and all(isinstance(argument, Global | None) for argument in arguments)


def _is_array_call(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 3 and arguments[:2] == (Global("numpy.ndarray"), (0,))


def _is_dtype_call(arguments: tuple[Any, ...]) -> bool:
    if not arguments or not isinstance(arguments[0], str):
        return False
    if arguments[0].startswith("O"):
        raise PickleRefused("its pickle has an array of objects, which numpy's _reconstruct would make")
    return True


def _is_bytes_call(arguments: tuple[Any, ...]) -> bool:
    # How protocol 2 writes bytes; other codecs could make each result longer than the one before.
    return len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1"


CALLS: Mapping[str, Callable[[tuple[Any, ...]], bool]] = {
    "collections.OrderedDict": lambda arguments: arguments == (),
    "collections.Counter": _is_plain_collection,
    "collections.defaultdict": _is_default_call,
    # How protocol 2 writes empty bytes.
    "builtins.bytes": lambda arguments: arguments == (),
    "builtins.set": _is_plain_collection,
    "builtins.frozenset": _is_plain_collection,
    "numpy.dtype": _is_dtype_call,
    **{f"{core}._reconstruct": _is_array_call for core in _NUMPY_CORES},
    "torch.Size": lambda arguments: len(arguments) == 1 and _counts(arguments[0]),
    "torch.device": _is_device_call,
    "torch._utils._rebuild_tensor_v2": _is_tensor_call,
    "torch._utils._rebuild_tensor_v3": _is_newer_tensor_call,
    "torch._utils._rebuild_parameter": _is_parameter_call,
    "_codecs.encode": _is_bytes_call,
}
"""Whether `torch.save` would call a function with such arguments, by the function's name."""

COMPLETED = IGNORED | {"numpy.dtype", *(f"{core}._reconstruct" for core in _NUMPY_CORES)}
"""What is given its state, or its items, after it was made."""

"""What a checkpoint's pickle would do, found out without doing it.

torch's restricted unpickler (``weights_only=True``) calls only functions on its list, but it calls them
with whatever arguments the file gives: a few bytes can ask it for terabytes of memory, or for a tensor
over memory that is not there. So the instructions are first followed here with stand-ins in place of
objects. Nothing is looked up, called or allocated; each call is checked against what `torch.save` writes.
"""

import pickletools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

_INSTRUCTIONS = 1_000_000
"""A published checkpoint with the largest network and its optimizer state takes about a tenth."""

_ELEMENT_SIZES = {
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
"""What real checkpoints hold beside weights: settings, scores and paths. None of it is made."""

_ALIASES = {"__builtin__": "builtins", "posix": "os", "nt": "os"}


class PickleRefused(Exception):
    """The pickle asks for something that a checkpoint has no need of; the text says what."""


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Made:
    """The result of a call."""

    by: str


@dataclass
class _Container:
    """A list, dict or set: how many items it has, and whether all are plain values."""

    kind: str
    items: int = 0
    plain: bool = True


@dataclass(frozen=True)
class _Storage:
    numel: int


_PLAIN = (str, bytes, int, float, bool, type(None))


def check_pickle(content: bytes, records: Mapping[str, int]) -> None:
    """Follow a checkpoint's pickle and refuse whatever `torch.save` would not have written.

    Parameters
    ----------
    content
        The pickle.
    records
        Bytes of each storage in the file, by its key.

    Raises
    ------
    PickleRefused
        If it names a global that is not on the list, calls one in an unusual way, declares a tensor
        that its storage or the file does not hold, asks for much more work than its size suggests, or
        is damaged.
    """
    try:
        _Follower(records).follow(content)
    except PickleRefused:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise PickleRefused(f"its pickle is damaged ({error})") from error


class _Follower:
    """A pickle machine whose objects are stand-ins."""

    def __init__(self, records: Mapping[str, int]) -> None:
        self._records = records
        self._storages: dict[str, tuple[str, int]] = {}
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._copies = 0

    def follow(self, content: bytes) -> None:
        # A call may copy what it is given, and `torch.save` writes each thing to be copied once.
        self._most_copies = len(content)
        for count, (name, argument) in enumerate(_instructions(content)):
            if count > _INSTRUCTIONS:
                raise PickleRefused(f"its pickle has more than {_INSTRUCTIONS} instructions")
            self._step(name, argument)

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(_LITERALS[name](argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "GLOBAL":
            stack.append(_Global(_allowed(argument)))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._call(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            self._build(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name in _TUPLES:
            length = _TUPLES[name]
            stack[len(stack) - length :] = [tuple(stack[len(stack) - length :])]
        elif name == "TUPLE":
            items = tuple(self._since_mark())
            self._stack.append(items)
        elif name in ("APPEND", "APPENDS"):
            added = [stack.pop()] if name == "APPEND" else self._since_mark()
            self._add(self._stack[-1], "list", added)
        elif name in ("SETITEM", "SETITEMS"):
            added = [stack.pop(), stack.pop()][::-1] if name == "SETITEM" else self._since_mark()
            self._set(self._stack[-1], added)
        elif name == "MARK":
            self._outer.append(stack)
            self._stack = []
        elif name == "PROTO":
            if argument != 2:
                raise PickleRefused(f"its pickle has protocol {argument}; torch.save writes protocol 2")
        elif name != "STOP":
            raise PickleRefused(f"its pickle has the instruction {name}, which torch.save does not write")

    def _since_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._outer.pop()
        return items

    def _charge(self, value: Any) -> None:
        """Count what a call may copy."""
        if isinstance(value, str | bytes | tuple):
            self._copies += len(value)
        elif isinstance(value, _Container):
            self._copies += value.items
        if self._copies > self._most_copies:
            raise PickleRefused("its pickle copies the same data over and over")

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise PickleRefused("its pickle calls something that is not a function")
        name = function.name
        for argument in arguments:
            self._charge(argument)
        if name in IGNORED:
            return _Made(name)
        if name not in _CALLS:
            raise PickleRefused(f"its pickle calls {name}")
        if not _CALLS[name](arguments):
            raise PickleRefused(f"its pickle calls {name} as torch.save would not")
        if name == "torch._utils._rebuild_tensor_v2":
            _check_tensor(*arguments[:4])
        return _Container("dict") if name == "collections.OrderedDict" else _Made(name)

    def _build(self, target: Any, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            self._charge(part)
        ordered = isinstance(target, _Container) and target.kind == "dict"
        if not ordered and not (isinstance(target, _Made) and target.by in IGNORED):
            raise PickleRefused("its pickle changes an object after it was made")

    def _storage(self, identity: Any) -> _Storage:
        word, kind, key, location, numel = identity
        if word != "storage" or not isinstance(kind, _Global) or kind.name not in _ELEMENT_SIZES:
            raise PickleRefused("its pickle refers to something other than a tensor's data")
        if not isinstance(key, str) or not isinstance(location, str) or type(numel) is not int:
            raise PickleRefused("its pickle refers to a tensor's data in an unusual way")
        declared = numel * _ELEMENT_SIZES[kind.name]
        if key not in self._records:
            raise PickleRefused(f"it holds no data for the tensor storage {key!r}")
        if declared != self._records[key]:
            raise PickleRefused(
                f"the tensor storage {key!r} declares {declared} bytes, but the file holds {self._records[key]}"
            )
        if self._storages.setdefault(key, (kind.name, numel)) != (kind.name, numel):
            raise PickleRefused(f"the tensor storage {key!r} is declared in two ways")
        return _Storage(numel)

    @staticmethod
    def _add(target: Any, kind: str, added: list[Any]) -> None:
        if not isinstance(target, _Container) or target.kind != kind:
            raise PickleRefused(f"its pickle fills something that is not a {kind}")
        target.items += len(added)
        target.plain = target.plain and all(isinstance(item, _PLAIN) for item in added)

    def _set(self, target: Any, added: list[Any]) -> None:
        self._add(target, "dict", added)
        # Hashing nested tuples takes time without limit.
        if not all(isinstance(key, _PLAIN) for key in added[::2]):
            raise PickleRefused("its pickle has a dict whose keys are not plain values")


def _instructions(content: bytes) -> Iterator[tuple[str, Any]]:
    for operation, argument, _position in pickletools.genops(content):
        yield operation.name, argument


def _allowed(argument: str) -> str:
    module, _, name = argument.partition(" ")
    full = f"{_ALIASES.get(module, module)}.{name}"
    if full in IGNORED or full in _CALLS or full in _ELEMENT_SIZES or full in _DTYPES:
        return full
    written = f"{module}.{name}"
    told = written if written == full else f"{written} ({full})"
    raise PickleRefused(f"it names {told}, which a checkpoint has no need of")


def _check_tensor(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    numel = prod(size)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if numel > storage.numel or (numel and last >= storage.numel):
        raise PickleRefused(f"a tensor declares the shape {size}, but its data hold {storage.numel} values")


def _counts(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is int and item >= 0 for item in value)


def _is_tensor_call(arguments: tuple[Any, ...]) -> bool:
    storage, offset, size, stride, _requires_grad, _hooks = arguments
    return isinstance(storage, _Storage) and _counts((offset,)) and _counts(size) and _counts(stride)


def _is_parameter_call(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 3 and arguments[0] == _Made("torch._utils._rebuild_tensor_v2")


def _is_device_call(arguments: tuple[Any, ...]) -> bool:
    return all(isinstance(argument, str | int) for argument in arguments)


def _is_plain_collection(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], _Container) and arguments[0].plain


def _is_bytes_call(arguments: tuple[Any, ...]) -> bool:
    # How protocol 2 writes bytes; other codecs could make each result longer than the one before.
    return len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1"


_CALLS: Mapping[str, Callable[[tuple[Any, ...]], bool]] = {
    "collections.OrderedDict": lambda arguments: arguments == (),
    "collections.Counter": _is_plain_collection,
    "builtins.set": _is_plain_collection,
    "torch.Size": lambda arguments: len(arguments) == 1 and _counts(arguments[0]),
    "torch.device": _is_device_call,
    "torch._utils._rebuild_tensor_v2": _is_tensor_call,
    "torch._utils._rebuild_parameter": _is_parameter_call,
    "_codecs.encode": _is_bytes_call,
}

_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

_LITERALS: Mapping[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWFALSE": lambda _: False,
    "NEWTRUE": lambda _: True,
    "EMPTY_LIST": lambda _: _Container("list"),
    "EMPTY_DICT": lambda _: _Container("dict"),
    "EMPTY_SET": lambda _: _Container("set"),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"), lambda value: value
    ),
}

"""What a checkpoint's pickle would do, found out without doing it.

torch's restricted unpickler (``weights_only=True``) calls only functions on its list, but it calls them
with whatever arguments the file gives: a few bytes can ask it for terabytes of memory, or for a tensor
over memory that is not there. So the instructions are only followed here, with stand-ins in place of
objects. Nothing is looked up, called or allocated; each call is checked against what `torch.save` writes.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from napari_unetseg.zoo.pickle_rules import (
    CALLS,
    COMPLETED,
    IGNORED,
    PLAIN_TYPES,
    STORAGES,
    Global,
    Made,
    PickleRefused,
    Storage,
    StoredTensor,
    check_tensor,
    full_name,
    is_allowed,
    unneeded,
)

_INSTRUCTIONS = 1_000_000
"""A published checkpoint with the largest network and its optimizer state takes about a tenth."""

_DAMAGE = (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Followed:
    """What is in a pickle.

    Attributes
    ----------
    content
        Its object, of dicts, lists, tuples and plain values; `StoredTensor` in place of tensors, `Made` and `Global` in
        place of everything else.
    storages
        The data that its tensors need, by their keys.
    """

    content: Any
    storages: Mapping[str, Storage]


def follow_pickle(content: bytes) -> Followed:
    """Follow a checkpoint's pickle and refuse whatever `torch.save` would not have written.

    Raises
    ------
    PickleRefused
        If it names a global that is not on the list, calls one in an unusual way, declares a tensor
        that its storage does not hold, asks for much more work than its size suggests, or is damaged.
    """
    try:
        return _Follower(len(content)).follow(content)
    except PickleRefused:
        raise
    except _DAMAGE as error:
        raise PickleRefused(f"its pickle is damaged ({error})") from error


def cut_pickle(stream: BytesIO) -> bytes:
    """Return the bytes of the pickle that begins where a stream stands, and leave it behind them.

    Raises
    ------
    PickleRefused
        If there is no whole pickle of a sane number of instructions.
    """
    start = stream.tell()
    try:
        for count, _ in enumerate(pickletools.genops(stream)):
            _check_count(count)
    except _DAMAGE as error:
        raise PickleRefused(f"it is damaged or was not copied to its end ({error})") from error
    length = stream.tell() - start
    stream.seek(start)
    return stream.read(length)


def _check_count(count: int) -> None:
    if count > _INSTRUCTIONS:
        raise PickleRefused(f"its pickle has more than {_INSTRUCTIONS} instructions")


class _Follower:
    """A pickle machine whose objects are stand-ins."""

    def __init__(self, max_copies: int) -> None:
        self._storages: dict[str, Storage] = {}
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._copies = 0
        # A call may copy what it is given, and `torch.save` writes each thing to be copied once.
        self._max_copies = max_copies

    def follow(self, content: bytes) -> Followed:
        for count, (operation, argument, _position) in enumerate(pickletools.genops(content)):
            _check_count(count)
            self._check_unknown(operation.name)
            self._step(operation.name, argument)
        result = self._stack[-1]
        if isinstance(result, Global):
            raise PickleRefused(f"it holds {result.name}, not a dict of weights")
        return Followed(result, self._storages)

    def _check_unknown(self, name: str) -> None:
        """Refuse a class of somebody's own wherever no instance is made of it, without arguments."""
        top, below = self._stack[-1:], self._stack[-2:-1]
        for found, allowed in ((top, ("BINPUT", "LONG_BINPUT", "EMPTY_TUPLE")), (below, ("NEWOBJ",))):
            if found and isinstance(found[0], Global) and not is_allowed(found[0].name) and name not in allowed:
                raise unneeded(found[0].name, found[0].name)

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(_LITERALS[name](argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "GLOBAL":
            stack.append(Global(full_name(argument)))
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
            self._add(self._stack[-1], added)
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
        if isinstance(value, str | bytes | tuple | list | dict):
            self._copies += len(value)
        if self._copies > self._max_copies:
            raise PickleRefused("its pickle copies the same data over and over")

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise PickleRefused("its pickle calls something that is not a function")
        name = function.name
        for argument in arguments:
            self._charge(argument)
        if name in IGNORED or not is_allowed(name):
            return Made(name)
        if name not in CALLS:
            raise PickleRefused(f"its pickle calls {name}")
        if not CALLS[name](arguments):
            raise PickleRefused(f"its pickle calls {name} as torch.save would not")
        if name in _TENSORS:
            check_tensor(*arguments[:4])
        return _MADE[name](arguments) if name in _MADE else Made(name)

    def _build(self, target: Any, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            self._charge(part)
        completed = isinstance(target, Made) and (target.by in COMPLETED or not is_allowed(target.by))
        if not completed and not isinstance(target, OrderedDict):
            raise PickleRefused("its pickle changes an object after it was made")

    def _storage(self, identity: Any) -> Storage:
        word, kind, key, location, numel, *view = identity
        if word != "storage" or not isinstance(kind, Global) or kind.name not in STORAGES:
            raise PickleRefused("its pickle refers to something other than a tensor's data")
        # Before PyTorch 1.6 a sixth entry might say that the data are part of others.
        usual = isinstance(key, str) and isinstance(location, str) and type(numel) is int and numel >= 0
        if not usual or view not in ([], [None]):
            raise PickleRefused("its pickle refers to a tensor's data in an unusual way")
        storage = Storage(key, kind.name, numel)
        if self._storages.setdefault(key, storage) != storage:
            raise PickleRefused(f"the tensor storage {key!r} is declared in two ways")
        return storage

    @staticmethod
    def _add(target: Any, added: list[Any]) -> None:
        if isinstance(target, list):
            target += added
        elif not _is_collection(target):
            raise PickleRefused("its pickle fills something that is not a list")

    @staticmethod
    def _set(target: Any, added: list[Any]) -> None:
        if not isinstance(target, dict) and not _is_collection(target):
            raise PickleRefused("its pickle fills something that is not a dict")
        # Hashing nested tuples takes time without limit.
        if not all(isinstance(key, (*PLAIN_TYPES, Made, Global)) or _is_flat(key) for key in added[::2]):
            raise PickleRefused("its pickle has a dict whose keys are not plain values")
        if isinstance(target, dict):
            target.update(zip(added[::2], added[1::2], strict=True))


def _is_collection(target: Any) -> bool:
    return isinstance(target, Made) and (target.by in IGNORED or not is_allowed(target.by))


def _is_flat(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) <= _MAX_KEY and all(isinstance(part, PLAIN_TYPES) for part in key)


_MAX_KEY = 8
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")

_MADE: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": lambda _: OrderedDict(),
    "collections.defaultdict": lambda _: {},
    "torch._utils._rebuild_tensor_v2": lambda arguments: StoredTensor(*arguments[:4]),
    "torch._utils._rebuild_parameter": lambda arguments: arguments[0],
}
"""What comes of the calls whose results matter."""

_LITERALS: Mapping[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWFALSE": lambda _: False,
    "NEWTRUE": lambda _: True,
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
    "EMPTY_SET": lambda _: Made("builtins.set"),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "BINSTRING"),
        lambda value: value,
    ),
}

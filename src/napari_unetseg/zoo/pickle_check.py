"""What a checkpoint's pickle would do, found out without doing it.

torch's restricted unpickler (``weights_only=True``) calls only functions on its list, but it calls them
with whatever arguments the file gives: a few bytes can ask it for terabytes of memory, or for a tensor
over memory that is not there. So the instructions are first followed here with stand-ins in place of
objects. Nothing is looked up, called or allocated; each call is checked against what `torch.save` writes.
"""

import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from napari_unetseg.zoo.pickle_rules import (
    CALLS,
    ELEMENT_SIZES,
    IGNORED,
    PLAIN_TYPES,
    Container,
    Global,
    Made,
    PickleRefused,
    Storage,
    allowed_name,
    check_tensor,
)

_INSTRUCTIONS = 1_000_000
"""A published checkpoint with the largest network and its optimizer state takes about a tenth."""


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
        self._max_copies = len(content)
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
            stack.append(Global(allowed_name(argument)))
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
        elif isinstance(value, Container):
            self._copies += value.items
        if self._copies > self._max_copies:
            raise PickleRefused("its pickle copies the same data over and over")

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise PickleRefused("its pickle calls something that is not a function")
        name = function.name
        for argument in arguments:
            self._charge(argument)
        if name in IGNORED:
            return Made(name)
        if name not in CALLS:
            raise PickleRefused(f"its pickle calls {name}")
        if not CALLS[name](arguments):
            raise PickleRefused(f"its pickle calls {name} as torch.save would not")
        if name == "torch._utils._rebuild_tensor_v2":
            check_tensor(*arguments[:4])
        return Container("dict") if name == "collections.OrderedDict" else Made(name)

    def _build(self, target: Any, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            self._charge(part)
        ordered = isinstance(target, Container) and target.kind == "dict"
        if not ordered and not (isinstance(target, Made) and target.by in IGNORED):
            raise PickleRefused("its pickle changes an object after it was made")

    def _storage(self, identity: Any) -> Storage:
        word, kind, key, location, numel = identity
        if word != "storage" or not isinstance(kind, Global) or kind.name not in ELEMENT_SIZES:
            raise PickleRefused("its pickle refers to something other than a tensor's data")
        if not isinstance(key, str) or not isinstance(location, str) or type(numel) is not int:
            raise PickleRefused("its pickle refers to a tensor's data in an unusual way")
        declared = numel * ELEMENT_SIZES[kind.name]
        if key not in self._records:
            raise PickleRefused(f"it holds no data for the tensor storage {key!r}")
        if declared != self._records[key]:
            raise PickleRefused(
                f"the tensor storage {key!r} declares {declared} bytes, but the file holds {self._records[key]}"
            )
        if self._storages.setdefault(key, (kind.name, numel)) != (kind.name, numel):
            raise PickleRefused(f"the tensor storage {key!r} is declared in two ways")
        return Storage(numel)

    @staticmethod
    def _add(target: Any, kind: str, added: list[Any]) -> None:
        if not isinstance(target, Container) or target.kind != kind:
            raise PickleRefused(f"its pickle fills something that is not a {kind}")
        target.items += len(added)
        target.plain = target.plain and all(isinstance(item, PLAIN_TYPES) for item in added)

    def _set(self, target: Any, added: list[Any]) -> None:
        self._add(target, "dict", added)
        # Hashing nested tuples takes time without limit.
        if not all(isinstance(key, PLAIN_TYPES) for key in added[::2]):
            raise PickleRefused("its pickle has a dict whose keys are not plain values")


def _instructions(content: bytes) -> Iterator[tuple[str, Any]]:
    for operation, argument, _position in pickletools.genops(content):
        yield operation.name, argument


_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

_LITERALS: Mapping[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWFALSE": lambda _: False,
    "NEWTRUE": lambda _: True,
    "EMPTY_LIST": lambda _: Container("list"),
    "EMPTY_DICT": lambda _: Container("dict"),
    "EMPTY_SET": lambda _: Container("set"),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"), lambda value: value
    ),
}

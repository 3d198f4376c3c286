"""One id for each call, wherever it leads: in the log, in the results and in errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

_current: ContextVar[str | None] = ContextVar("napari_unetseg_request_id", default=None)


def request_id() -> str | None:
    """Return the id of the call that this code runs for; None outside of one."""
    return _current.get()


@contextmanager
def request(identity: str | None = None) -> Iterator[str]:
    """Give a call its id until the block ends.

    Parameters
    ----------
    identity
        The id. None: that of the call which this one is a part of, else a new one. A server that has an
        id for each of its own requests opens this block around its calls, and they all bear it.
    """
    chosen = identity or _current.get() or uuid4().hex
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)

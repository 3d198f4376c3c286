"""The results of a batch in the hands of its caller, who may let go of them at any time."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetseg.service.reports import Failure
    from napari_unetseg.service.segmentation import Segmentation


@dataclass
class Ending:
    """Whether somebody waits for the end of a batch; nobody does where Python clears an unfinished one away.

    That happens in any thread, at any time, even while it holds a lock that another thread needs in order to end.
    """

    is_awaited: bool = False


class BatchResults(Generator["Segmentation | Failure"]):
    """The results of a batch, one after the other; to close it waits until nothing is under way any more.

    Parameters
    ----------
    start
        Makes them; it is given something that says whether somebody waits for its end.
    """

    def __init__(self, start: "Callable[[Ending], Generator[Segmentation | Failure]]") -> None:
        self._ending = Ending()
        self._results = start(self._ending)

    def send(self, value: None) -> "Segmentation | Failure":
        """Wait for the next result."""
        with self._awaited():
            return self._results.send(value)

    def throw(self, *error: Any) -> "Segmentation | Failure":
        """Raise an error where the last result was given."""
        with self._awaited():
            return self._results.throw(*error)

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        self._ending.is_awaited = True
        try:
            yield
        finally:
            self._ending.is_awaited = False

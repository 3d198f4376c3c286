"""Tasks that were handed to a scheduler, until all are done, one fails, or somebody wants them to stop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.cluster.worker_check import Tell, address_of, check_version, look_at, no_workers
from napari_unetseg.errors import Cancelled, ComputerGone, UnetsegError
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from distributed import Client, Future

_POLL = 0.2  # seconds between two looks at whether to stop
_LOOK = 5.0  # seconds between two looks at whether anybody is there to do tasks
_PATIENCE = 30.0  # seconds for tasks to come to an end that were told to stop
_ALIVE = ("running", "newly-created")
_UNDONE = ("pending", "lost")  # a task was done, and the worker that kept its result has died since: it is done again


@dataclass(frozen=True)
class Task:
    """Work for a worker.

    Attributes
    ----------
    name
        What the dashboard calls this kind of task.
    work
        A function that workers can import. What it cannot do it returns, as an `UnetsegError`.
    arguments
        Its arguments, small.
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]


def do_tasks(
    client: "Client",
    tasks: Sequence[Task],
    finished: Callable[[int, Any], None],
    cancel: CancelFlag,
    *,
    stop: Callable[[], None],
    tell: Tell,
    resources: Mapping[str, float] | None = None,
) -> list[int]:
    """Have tasks done, and return when all have ended.

    What a lost worker had begun is done again by another one. Where one fails, or it is to stop, those under way are
    told so, and those that wait are cancelled.

    Parameters
    ----------
    client
        The connection to the scheduler.
    tasks
        In the order in which they are best done.
    finished
        Called with the number of each task that is done and what it returned, in the calling thread.
    cancel
        Polled in the calling thread.
    stop
        Tells tasks that are under way to end.
    tell
        Told once where nobody is left who can do them.
    resources
        What a worker must have; None, or a GPU.

    Returns
    -------
    list of int
        Numbers of tasks whose workers died each time.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    ComputerGone
        If the scheduler is lost.
    UnetsegError
        If a task cannot be done.
    """
    from distributed import KilledWorker

    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    waiting: dict[Future[Any], int] = {}
    killed = []
    lookout = _Lookout(client, tell, for_gpus=bool(resources))
    for number, task in enumerate(tasks):
        future = client.submit(
            task.work,
            *task.arguments,
            key=f"{task.name}-{uuid4().hex}",
            pure=False,
            resources=resources,
        )
        waiting[future] = number
        future.add_done_callback(ended.put)
    with _told_to_stop(client, waiting, ended, stop):
        while waiting:
            if cancel():
                raise Cancelled(Sentence("The work of the workers was cancelled."))
            try:
                future = ended.get(timeout=_POLL)
            except Empty:
                if client.status not in _ALIVE:
                    raise _gone(client) from None
                lookout.look()
                continue
            if future.status in _UNDONE and client.status in _ALIVE:
                future.add_done_callback(ended.put)
                continue
            number = waiting.pop(future)
            if future.status == "finished":
                result = future.result()
                if isinstance(result, UnetsegError):
                    raise result
                finished(number, result)
            elif future.status != "error":
                raise _gone(client)
            elif isinstance(error := future.exception(), KilledWorker):
                killed.append(number)
            else:
                raise _in_words(error) from error
    return sorted(killed)


@dataclass
class _Lookout:
    """Tells somebody who waits that all workers are lost that could go on, until one is there again."""

    client: "Client"
    tell: Tell
    for_gpus: bool
    _told: bool = field(default=False, init=False)
    _next: float = field(default_factory=lambda: monotonic() + _LOOK, init=False)

    def look(self) -> None:
        if monotonic() < self._next:
            return
        workers = look_at(self.client)
        self._next = monotonic() + _LOOK
        missing = not workers.addresses or (self.for_gpus and not workers.have_gpus)
        if missing and not self._told:
            self.tell(no_workers(self.client, with_gpu=bool(workers.addresses)))
        self._told = missing


@contextmanager
def _told_to_stop(
    client: "Client", waiting: "dict[Future[Any], int]", ended: "SimpleQueue[Future[Any]]", stop: Callable[[], None]
) -> Iterator[None]:
    """Where the block fails, stop what is under way, and wait until it has ended."""
    try:
        yield
    except BaseException:
        if waiting and client.status in _ALIVE:
            stop()
            begun = {key for keys in client.processing().values() for key in keys}
            client.cancel([future for future in waiting if future.key not in begun])
            left = {future for future in waiting if future.key in begun}
            deadline = monotonic() + _PATIENCE
            while left and monotonic() < deadline and client.status in _ALIVE:
                try:
                    left.discard(ended.get(timeout=_POLL))
                except Empty:
                    continue
            client.cancel(list(left))
        raise


def _gone(client: "Client") -> ComputerGone:
    return ComputerGone(
        Sentence(
            "The scheduler {address} is gone. What is done stays: start it again, and the same run goes on from there.",
            address=address_of(client),
        )
    )


def _in_words(error: BaseException) -> BaseException:
    """Return what to raise for what a worker raised: a sentence, where it has none of napari-unetseg or of a model."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModuleNotFoundError) and str(cause.name).startswith("napari_unetseg"):
            try:
                check_version("of this scheduler", None)
            except Exception as said:
                return said
        if isinstance(cause, UnetsegError):  # of a service that cannot be had there
            return cause
        cause = cause.__cause__
    return error

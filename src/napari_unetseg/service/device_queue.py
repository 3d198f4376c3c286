"""The line before the device: calls of many threads are computed together, one run at a time.

The threads that call stand in line, oldest first. Whoever gets the device computes its own image and, in the room that
its batches have, images of those behind it that want the same model; they find their results made. Once its own is
done it gives the device on: to one whose image its run has begun, else to the next in line. Nobody else's thread is
needed, and each call hears of its progress and is asked for its cancel in its own thread.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Condition, Event, get_ident
from time import monotonic
from typing import TYPE_CHECKING

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.service.logs import Stopwatch

if TYPE_CHECKING:
    from napari_unetseg.service.protocols import RunningModel

LONG_S = 1.0
"""Seconds after which those in line go before one that has the device, between two of its batches."""

_POLL_S = 0.1


class DeviceQueue:
    """Shares the device out among threads; any thread may call any method.

    Parameters
    ----------
    batch_wait_s
        Seconds that a batch with room waits at most for images of calls that are on their way.
    together
        Whether images of several calls share the device's batches.
    """

    def __init__(self, batch_wait_s: float = 0.0, *, together: bool = True) -> None:
        self._batch_wait_s = batch_wait_s
        self._together = together
        self._changed = Condition()
        self._line: list[_Call] = []
        self._holder: _Call | None = None
        self._held_since = 0.0
        self._on_their_way: set[int] = set()

    @property
    def waiting(self) -> int:
        """Calls that stand in line."""
        return len(self._line)

    def predict(self, model: "RunningModel", wanted: PredictRequest, watch: Stopwatch | None = None) -> Prediction:
        """Compute an image, together with those of other threads.

        Parameters
        ----------
        model
            A loaded model, of which the calling thread keeps hold until this returns.
        wanted
            The image. Its progress is called and its cancel polled in the calling thread.
        watch
            Is told how long the image waited, and its share of the time for which the network ran.

        Raises
        ------
        Cancelled
            If its cancel was seen to be True; while it waits, within a tenth of a second.
        DeviceError, ParameterError, ImageError
            As `napari_unetseg.inference.predict.predict` raises them.
        """
        call = _Call(wanted.cancel, model, wanted)
        came = monotonic()
        with self._in_line(call):
            while call.outcome is None:
                if call is self._holder:
                    self._drive(call)
                else:
                    call.wait()
            call.tell_progress()
        if watch is not None:
            watch.add("network", call.network_s)
            watch.add("wait", monotonic() - came - call.network_s)
        if isinstance(call.outcome, Exception):
            raise call.outcome
        return call.outcome

    @contextmanager
    def turn(self, cancel: CancelFlag | None = None) -> Iterator[None]:
        """Wait for the device, still listening to `cancel`, and have it alone until the block ends."""
        call = _Call(cancel)
        with self._in_line(call):
            while call is not self._holder:
                call.wait()
            yield

    @contextmanager
    def on_its_way(self) -> Iterator[None]:
        """Say that the calling thread is about to stand in line, so that a batch with room may wait for it."""
        with self._changed:
            self._on_their_way.add(get_ident())
        try:
            yield
        finally:
            with self._changed:
                self._arrived()

    def let_others_go(self) -> None:
        """Let those in line go first, if the calling thread has had the device for long.

        Once its cancel was seen to be True it is the next, so that it can stop in good order.
        """
        with self._changed:
            call = self._holder
            if call is None or call.thread != get_ident() or not self._line:
                return
            if monotonic() - self._held_since < LONG_S:
                return
            self._line.append(call)
            self._give_on()
        paused = monotonic()
        while call is not self._holder:
            try:
                call.wait()
            except Cancelled:
                self._move_to_front(call)
        if call.run is not None:
            call.run.skip(monotonic() - paused)

    def _move_to_front(self, call: "_Call") -> None:
        with self._changed:
            if call in self._line:
                self._line.remove(call)
                self._line.insert(0, call)

    @contextmanager
    def _in_line(self, call: "_Call") -> Iterator[None]:
        try:
            with self._changed:
                self._line.append(call)
                self._arrived()
                if self._holder is None:
                    self._give_on()
            yield
        finally:
            with self._changed:
                self._leave(call)

    def _arrived(self) -> None:
        self._on_their_way.discard(get_ident())
        self._changed.notify_all()  # a batch with room

    def _leave(self, call: "_Call") -> None:
        """Take a call out of the line or, if it has the device, give that on."""
        call.has_left = True
        if call in self._line:
            self._line.remove(call)
        if call.run is not None and call.run.driver is call:
            begun = call.run.end() if call.run.is_broken else call.run.hand_over()
            self._line[:0] = begun
        call.run = None
        if self._holder is call:
            self._give_on()

    def _give_on(self) -> None:
        """Give the device to the first in line."""
        self._holder = self._line.pop(0) if self._line else None
        if self._holder is not None:
            self._held_since = monotonic()
            self._holder.woken.set()

    def _drive(self, call: "_Call") -> None:
        """Compute until the image of a call that has the device is done."""
        run = call.run or _Run(self, call)
        call.tell_progress()
        while call.outcome is None:
            run.settle_next()

    def _next_for(self, run: "_Run") -> "_Call | None":
        """Take out of the line who may share a run's next batch; wait a little for those on their way."""
        with self._changed:
            while self._together:
                if self._line:
                    first = self._line[0]
                    # If it wants another model, or all of the device, it has waited longest.
                    fits = first.model is run.model and first.run is None
                    return self._line.pop(0) if fits else None
                rest = run.batch_begun + self._batch_wait_s - monotonic()
                if not self._on_their_way:
                    return None
                if rest <= 0:
                    self._on_their_way.clear()  # nobody is waited for twice
                    return None
                self._changed.wait(rest)
        return None


class _Call:
    """One thread's call: what it wants, and what has become of it.

    Attributes
    ----------
    model, wanted
        None where it wants the device alone.
    thread
        The thread that calls.
    outcome
        What the network said, or why it said nothing; None as long as it is not known.
    run
        What computes its image; None as long as that is not begun.
    woken
        Set where something has happened that its thread should see.
    has_left
        Whether its thread waits no more.
    begun, beside
        When its image was begun, and with how many it was under way at most, itself among them.
    network_s
        Its share of the network's time, in seconds.
    """

    def __init__(
        self, cancel: CancelFlag | None, model: "RunningModel | None" = None, wanted: PredictRequest | None = None
    ) -> None:
        self.model = model
        self.wanted = wanted
        self.outcome: Prediction | Exception | None = None
        self.run: _Run | None = None
        self.woken = Event()
        self.has_left = False
        self.begun = 0.0
        self.beside = 0
        self.network_s = 0.0
        self.thread = get_ident()
        self._cancel = cancel
        self._cancelled = False
        self._reports: deque[tuple[int, int]] = deque()

    def wait(self) -> None:
        """Wait until something has happened, or for a moment; tell progress, listen to cancel."""
        self.woken.wait(_POLL_S)
        self.woken.clear()
        self.tell_progress()
        if self.outcome is None and self._cancel is not None and self._cancel():
            self._cancelled = True
            raise Cancelled("Cancelled while another image was being segmented.")

    def tell_progress(self) -> None:
        """Hand on what was reported while another thread computed."""
        while self._reports:
            report = self._reports.popleft()
            if self.wanted is not None and self.wanted.progress is not None:
                self.wanted.progress(*report)

    def request(self) -> PredictRequest:
        """Return what it wants, as any thread may compute it."""
        if self.wanted is None:
            raise RuntimeError("Who has the device alone wants no image computed.")
        return replace(
            self.wanted,
            progress=self.wanted.progress and self._report,
            cancel=self._cancel and self._is_cancelled,
        )

    def _report(self, done: int, total: int) -> None:
        self._reports.append((done, total))
        if get_ident() == self.thread:
            self.tell_progress()
        else:
            self.woken.set()

    def _is_cancelled(self) -> bool:
        if get_ident() == self.thread and self._cancel is not None:
            self._cancelled = self._cancelled or self._cancel()
        return self._cancelled or self.has_left

    def settle(self, outcome: Prediction | Exception) -> None:
        """Give it its outcome."""
        self.network_s = (monotonic() - self.begun) / self.beside
        self.outcome = outcome
        self.woken.set()


class _Run:
    """Images of several calls on their way through one model; only who has the device touches it.

    Attributes
    ----------
    model
        The model.
    calls
        Those whose outcomes are to come, in that order.
    driver
        Whose thread computes; None: nobody's any more.
    is_broken
        Whether that was stopped in the middle, so that nobody can go on.
    batch_begun
        When the batch that is put together now was begun.
    """

    def __init__(self, queue: DeviceQueue, first: "_Call") -> None:
        if first.model is None:
            raise RuntimeError("Who has the device alone shares no run.")
        self.model = first.model
        self.driver: _Call | None = first
        self.calls: deque[_Call] = deque()
        self.is_broken = False
        self.batch_begun = monotonic()
        self._queue = queue
        self._first: _Call | None = first
        options = PredictOptions(before_batch=self._before_batch)
        self._outcomes = first.model.predict_many(self, options)

    def __iter__(self) -> "_Run":
        return self

    def __next__(self) -> PredictRequest:
        """Give the network another image. Where there is none for this batch there may be one for the next."""
        call, self._first = self._first or self._queue._next_for(self), None
        if call is None:
            raise StopIteration
        call.run = self
        self.calls.append(call)
        call.begun = monotonic()
        for one in self.calls:
            one.beside = max(one.beside, len(self.calls))
        return call.request()

    def settle_next(self) -> None:
        """Compute until the first call has its outcome."""
        self.is_broken = True
        outcome = next(self._outcomes)
        self.calls[0].settle(outcome)
        self.calls.popleft()
        self.is_broken = False

    def skip(self, seconds: float) -> None:
        """Leave out a time for which others had the device."""
        for call in self.calls:
            call.begun += seconds

    def hand_over(self) -> "list[_Call]":
        """Let the first call whose thread still waits compute the rest; return it, or nobody if there is none."""
        waiting = [call for call in self.calls if not call.has_left]
        if not waiting:
            return self.end()
        self.driver = waiting[0]
        return waiting[:1]

    def end(self) -> "list[_Call]":
        """Compute nothing any more; return those who still wait for it."""
        waiting = [call for call in self.calls if not call.has_left and call.outcome is None]
        # Nothing that belonged to a call may outlive it.
        self._outcomes = iter(())
        self.driver = None
        self.calls.clear()
        for call in waiting:
            call.run = None
        return waiting

    def _before_batch(self) -> None:
        self._queue.let_others_go()
        self.batch_begun = monotonic()

"""Batches as a pipeline: images are read, computed, and read off their maps in threads, side by side and in order.

The caller's thread draws from the images that were given, hears of progress, is asked for its cancel and takes the
results; all else goes on without it, even while it is elsewhere between two results, until as much is ahead of it as
may be. A thread reads images that are functions, one runs the network of each device, and a few read objects off the
maps.
"""

import atexit
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Condition, RLock, Thread, current_thread
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import Cancelled
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.language import Sentence
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.batch_queue import BatchItem, NetworkClock, NetworkRun, Readable
from napari_unetseg.service.batch_results import Ending
from napari_unetseg.service.images_under_way import ImagesUnderWay
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.service.device_queue import DeviceQueue
    from napari_unetseg.service.protocols import RunningModel
    from napari_unetseg.service.reports import Failure
    from napari_unetseg.service.segmentation import Segmentation

_log = logging.getLogger(__name__)

_MOST_LEAVING_S = 10.0
MOST_DECODERS = 4
"""Threads that read objects off maps, at most. More wait for Python's lock rather than compute: on 16 cores beside a
GPU, objects of 512 x 512 pixels were read off, outlined and measured for 52, 45 and 37 images in a second by two, four
and ten of them, and read off alone for 96, 143 and 155."""

_POLL_S = 0.1
_MOST_WAIT_S = 0.1
"""Seconds that a network waits for an image to fill its batch, at most: what comes later may need the device first."""


@dataclass(eq=False)
class Worker:
    """A device that takes part.

    Attributes
    ----------
    number
        Which of them.
    line
        Shares it out.
    model
        The model on it; None until it is lent.
    run
        What it computes now.
    counts
        Tiles that it has done and has in all, in this run and the ones before.
    """

    number: int
    line: "DeviceQueue"
    model: "RunningModel | None" = None
    run: NetworkRun | None = None
    clock: NetworkClock = field(default_factory=NetworkClock)
    counts: tuple[int, int] = (0, 0)

    @property
    def under_way(self) -> "deque[BatchItem]":
        """The images that its network has."""
        return self.run.under_way if self.run is not None else deque()


class Pipeline:
    """The threads of one batch, and what is between them.

    As a context manager it ends them, however the block ends.

    Parameters
    ----------
    images
        Drawn from in the thread of the one who takes the results.
    options
        How all are to be segmented.
    card
        Of the model.
    workers
        The devices. The model of the first is lent already.
    borrow
        Lends the model on another one's device.
    settle
        Makes a result of an image and what a network said of it; it is called in several threads and raises nothing.
    progress, cancel
        As for `SegmentationService.iter_batch`.
    together
        Whether tiles of several images share a device's batches.
    lent
        The models that are lent, which are given back once no thread needs them.
    ending
        Whether to wait for the threads.
    """

    def __init__(
        self,
        images: Iterable[Readable | None],
        options: SegmentOptions,
        card: ModelCard,
        workers: list[Worker],
        borrow: "Callable[[int], AbstractContextManager[RunningModel]]",
        settle: "Callable[[BatchItem, Worker, CancelFlag], Segmentation | Failure]",
        *,
        progress: Progress | None,
        cancel: CancelFlag | None,
        together: bool,
        lent: ExitStack,
        ending: Ending,
    ) -> None:
        self._images = iter(images)
        self._options = options
        self._card = card
        self._all_workers, self._workers = {worker.number: worker for worker in workers}, workers
        self._borrow, self._settle = borrow, settle
        self._progress, self._cancel = progress, cancel
        self._together = together
        self._lent, self._ending = lent, ending
        # One core is for the thread that runs a network, which would otherwise wait for its turn between two steps.
        self._decoders = max(1, min(usable_cores() - 1, MOST_DECODERS))
        self._context = copy_context()

        self._lock = RLock()
        self._for_caller, self._for_reader = Condition(self._lock), Condition(self._lock)
        self._for_network, self._for_decoder = Condition(self._lock), Condition(self._lock)
        self._under_way = ImagesUnderWay(self._decoders)
        self._drawn = 0
        self._reports: deque[tuple[int, int]] = deque()
        self._remarks: list[str] = []
        self._is_here = False  # whether the caller's thread is, which draws
        self._is_drained = self._is_cancelled = self._is_stopped = False
        self._error: Exception | None = None  # of the images that are drawn from
        self._no_device: Exception | None = None  # what is wrong with the last one
        self._fault: BaseException | None = None  # what ended a thread
        self._threads: list[Thread] = []
        self._idle_decoders = 0
        self._users = 1  # of the models: the caller and the threads
        _unfinished.add(self)

    # The caller's thread.

    def results(self) -> "Iterator[tuple[Segmentation | Failure, tuple[str, ...]]]":
        """Give the results in order, each with sentences for the user that it does not know of."""
        while True:
            self._is_here = True
            found = self._next_result()
            if found is None:
                return
            with self._lock:
                self._is_here = False
                self._for_network.notify_all()  # nobody draws now: what waits for an image goes on without
            yield found
            del found

    def _next_result(self) -> "tuple[Segmentation | Failure, tuple[str, ...]] | None":
        while True:
            while self._reports and self._progress is not None:
                self._progress(*self._reports.popleft())
            if self._cancel is not None and not self._is_cancelled and self._cancel():
                self._stop_early()
            with self._lock:
                if self._reports:
                    continue
                first = self._under_way.first
                if first is not None and first.result is not None:
                    return self._give_back(first)
                if self._fault is not None:
                    raise self._fault
                if self._no_device is not None and not (first is not None and first.is_computed):
                    raise self._no_device
                if first is None and self._is_drained:
                    if self._error is not None:
                        raise self._error
                    return None
                if self._is_drained or not self._under_way.has_room_ahead:
                    self._for_caller.wait(_POLL_S)  # a wait without end would not hear Ctrl-C on Windows
                    continue
            self._draw()

    def _give_back(self, first: BatchItem) -> "tuple[Segmentation | Failure, tuple[str, ...]]":
        result, first.result = first.result, None
        if result is None:
            raise RuntimeError("There is no result yet.")
        self._under_way.give_back()
        self._for_network.notify_all()
        remarks, self._remarks = tuple(self._remarks), []
        return result, remarks

    def _stop_early(self) -> None:
        with self._lock:
            self._is_cancelled = True
            self._for_network.notify_all()

    def _draw(self) -> None:
        try:
            given = next(self._images)
        except StopIteration:
            self._drain(None)
            return
        except Exception as error:
            self._drain(error)  # it is told after the results of the images before
            return
        if given is None:
            return  # there is none yet; what is finished meanwhile need not wait for it
        item = BatchItem.of(given, self._drawn)
        self._drawn += 1
        if self._is_cancelled:
            item.cancel()
        elif not callable(given):
            item.read(self._options, self._card)
        with self._lock:
            self._under_way.draw(item)
            if item.entry is None:
                self._start_once("unetseg-reader", self._read)
                self._for_reader.notify()
            else:
                self._for_network.notify_all()
            for worker in self._workers:
                self._start_once(f"unetseg-network-{worker.number}", self._run_network, worker)

    def _drain(self, error: Exception | None) -> None:
        with self._lock:
            self._is_drained, self._error = True, error
            self._for_network.notify_all()

    # Threads.

    def _start_once(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        if not any(thread.name == name for thread in self._threads):
            # As daemons they keep no program from ending for long, nor does a file system that does not answer.
            thread = Thread(
                target=self._context.copy().run, args=(self._work, work, *arguments), name=name, daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left
                self._fail(error)
                return
            self._users += 1
            self._threads.append(thread)

    def _work(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except BaseException as error:  # a fault of ours, or a function that wants the program to end
            self._fail(error)
        finally:
            self._is_done()

    def _fail(self, error: BaseException) -> None:
        """Let the caller hear of what no image and no device is to blame for."""
        with self._lock:
            self._fault = self._fault or error
            self._for_caller.notify_all()

    def _is_done(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = not self._users
        if is_last:
            self._lent.close()

    def __enter__(self) -> "Pipeline":
        return self

    def stop(self) -> None:
        """Let the threads end, as soon as they have done what they are at."""
        with self._lock:
            self._is_stopped = True
            for condition in (self._for_reader, self._for_network, self._for_decoder):
                condition.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the threads to end, at most so long."""
        end = perf_counter() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - perf_counter()))

    def __exit__(self, *_error: object) -> None:
        self.stop()
        _unfinished.discard(self)
        try:
            if self._ending.is_awaited:
                for thread in self._threads:
                    while thread.is_alive() and thread is not current_thread():
                        thread.join(_POLL_S)
        finally:  # a second Ctrl-C ends the wait
            self._under_way.line.clear()
            self._is_done()

    def _wants_to_stop(self) -> bool:
        return self._is_cancelled or self._is_stopped

    # The thread that reads.

    def _read(self) -> None:
        while True:
            with self._lock:
                while not self._under_way.unread and not self._is_stopped:
                    self._for_reader.wait()
                if self._is_stopped:
                    return
                item = self._under_way.unread[0]
            if self._is_cancelled:
                item.cancel()
            else:
                item.read(self._options, self._card)
            with self._lock:
                self._under_way.note_read()
                self._for_network.notify_all()
                self._for_caller.notify_all()
            del item

    # The threads that run networks.

    def _run_network(self, worker: Worker) -> None:
        try:
            if worker.model is None:
                lending = self._borrow(worker.number)
                worker.model = lending.__enter__()
                with self._lock:
                    self._lent.push(lending)
                    if any(other.model is worker.model for other in self._workers if other is not worker):
                        self._workers.remove(worker)  # its own device does not serve, which health says
                        return
            while self._wait_for_images(worker):
                self._compute(worker, worker.model)
        except Exception as error:
            self._leave_out(worker, error)
        finally:
            if worker.run is not None:
                worker.run.end()
            worker.run = None

    def _compute(self, worker: Worker, model: "RunningModel") -> None:
        """Compute until an image is done."""
        run = worker.run = worker.run or self._new_run(worker, model)
        clock = perf_counter()
        waited = 0.0
        try:
            with worker.line.turn(self._wants_to_stop):
                waited = perf_counter() - clock
                item = run.next()
        except Cancelled:  # while waiting: what is left computes nothing any more
            item = run.next()
        if item is None:
            worker.run = None
            return
        item.watch.add("wait", waited)
        with self._lock:
            self._under_way.note_computed(item)
            if len(self._under_way.beyond) > self._idle_decoders and not self._is_stopped:
                number = sum(thread.name.startswith("unetseg-decoder") for thread in self._threads)
                if number < self._decoders:
                    self._start_once(f"unetseg-decoder-{number}", self._decode)
            self._for_decoder.notify()

    def _new_run(self, worker: Worker, model: "RunningModel") -> NetworkRun:
        before = worker.counts[1]

        def report(done: int, total: int) -> None:
            with self._lock:
                worker.counts = before + done, before + total
                done, total = (
                    sum(numbers) for numbers in zip(*(one.counts for one in self._all_workers.values()), strict=True)
                )
                self._reports.append((done, total))
                self._for_caller.notify_all()

        options = PredictOptions(
            diameter=self._options.diameter,
            augment=self._options.augment,
            progress=report if self._progress is not None else None,
            cancel=self._wants_to_stop,
            before_batch=worker.line.let_others_go,
        )
        return NetworkRun(lambda: self._take(worker), options, model, worker.clock, together=self._together)

    def _wait_for_images(self, worker: Worker) -> bool:
        """Wait, without the device, until there is something for it to do; return whether there ever will be."""
        with self._lock:
            while not self._is_stopped:
                own = worker.under_way
                following = own[0] if own else self._under_way.first_read
                if following is not None and self._under_way.has_room_beyond(following):
                    return True
                busy = self._under_way.ahead or any(one.under_way for one in self._workers)
                if self._is_drained and not busy:
                    return False
                self._for_network.wait()
        return False

    def _take(self, worker: Worker) -> BatchItem | None:
        """Give a network the next image; wait for it a moment where it may come."""
        end = perf_counter() + _MOST_WAIT_S
        with self._lock:
            while not self._is_stopped:
                item = self._under_way.take(len(worker.under_way))
                if item is not None:
                    item.worker = worker.number
                    self._for_caller.notify_all()
                    return item
                if not self._under_way.ahead and (self._is_drained or not self._is_here):
                    return None
                if not self._for_network.wait(end - perf_counter()):
                    return None
        return None

    def _leave_out(self, worker: Worker, error: Exception) -> None:
        """Go on without a device; the others do what it had."""
        # Not under the lock, for which the log may have to wait: it calls what other people wrote.
        remark = left_out_remark(len(self._all_workers), error) if len(self._workers) > 1 else None
        with self._lock:
            left, worker.run = list(worker.under_way), None
            self._workers.remove(worker)
            worker.counts = worker.counts[0], worker.counts[0]
            if not self._workers:
                self._no_device = error
                self._for_caller.notify_all()
                return
            self._under_way.put_back(left)
            if remark is not None:
                self._remarks.append(remark)
            self._for_network.notify_all()

    # The threads that read objects off maps.

    def _decode(self) -> None:
        while True:
            with self._lock:
                self._idle_decoders += 1
                while not self._under_way.beyond and not self._is_stopped:
                    self._for_decoder.wait()
                self._idle_decoders -= 1
                if self._is_stopped:
                    return
                item = self._under_way.beyond.popleft()
            result = self._settle(item, self._all_workers[item.worker], self._wants_to_stop)
            with self._lock:
                item.result = result
                self._for_caller.notify_all()
            del item, result


def left_out_remark(number: int, error: Exception) -> Sentence:
    """Say, also in the log, that one of so many devices does not take part."""
    remark = Sentence(
        "One of {number} devices failed and was left out; the others computed its images. It said: {reason}",
        number=number,
        reason=error,
    )
    _log.warning("%s", remark)
    return remark


_unfinished: "WeakSet[Pipeline]" = WeakSet()


@atexit.register
def _end_all() -> None:
    """End the batches that nobody finished: Python aborts where a thread is in a network when the program ends."""
    pipelines = list(_unfinished)
    for pipeline in pipelines:
        pipeline.stop()
    for pipeline in pipelines:
        pipeline.join(_MOST_LEAVING_S)

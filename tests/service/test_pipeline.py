"""Batches are read, computed and decoded side by side: in order, within bounds, on all devices, and end in good order.

Networks are stand-ins whose answer is the image itself, and which stand still or fail where a test wants it.
"""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from napari_unetseg import Cancelled, Image, Segmentation
from napari_unetseg.config import Settings
from napari_unetseg.errors import DeviceError, ImageError, UnetsegError
from napari_unetseg.inference.prediction import Prediction, PredictOptions
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service import Failure, images_under_way, pipeline, segmentation
from napari_unetseg.service.object_reading import ObjectReading
from napari_unetseg.service.requests import request
from napari_unetseg.service.runner import Runner
from napari_unetseg.zoo.card import Head, ModelCard, WeightsFile
from napari_unetseg.zoo.registry import ModelPackage

CARD = ModelCard(
    name="fake",
    display_name="Fake",
    description="Bright pixels.",
    architecture={"name": "unet", "arguments": {}},
    object_size=12,
    outputs=(Head(name="foreground"),),
    decoder="threshold",
    parameters=DecodeParameters(threshold=0.5, min_size=4, split=0.0),
    weights=WeightsFile(sha256="0" * 64),
    licence="CC0-1.0",
)
PACKAGE = ModelPackage(Path("fake"), CARD, "path")
WAIT_S = 60


@dataclass
class FakeModel:
    """A network of one device; `before` is called with the name of each image that it computes."""

    worker: int
    batch: int
    before: Callable[[int, str], None]
    card: ModelCard = CARD
    source: str = "fake"
    server: None = None

    @property
    def facts(self) -> RunFacts:
        return RunFacts("cpu", "A stand-in.", "torch", "A stand-in.", f"worker {self.worker}")

    def release_memory(self) -> None:
        pass

    def predict_many(self, images: Any, options: PredictOptions) -> Iterator[Prediction | Exception]:
        entries = iter(images)
        done = 0
        while True:
            batch = list(islice(entries, self.batch))
            if not batch:
                return
            for entry in batch:
                if isinstance(entry, Exception):
                    yield entry
                    continue
                image = getattr(entry, "image", entry)
                self.before(self.worker, image.name)
                done += 1
                if options.cancel is not None and options.cancel():
                    yield Cancelled(f"{image.name}: the segmentation was cancelled.")
                    continue
                if options.progress is not None:
                    options.progress(done, done + len(batch) - 1)
                probability = (np.asarray(image.array)[np.newaxis] / 1000).astype(np.float32)
                yield Prediction(probability, (), window=32, halo=0, tiles=1)


@dataclass
class FakeLender:
    """Lends a stand-in for each device, and counts those that were not given back."""

    workers: int = 1
    batch: int = 1
    before: Callable[[int, str], None] = lambda worker, name: None
    broken: set[int] = field(default_factory=set)
    lent: int = 0

    @contextmanager
    def borrow(self, package: Any, worker: int = 0) -> Iterator[FakeModel]:
        if worker in self.broken:
            raise DeviceError(f"cuda:{worker} has no memory.")
        self.lent += 1
        try:
            yield FakeModel(worker, self.batch, self.before)
        finally:
            self.lent -= 1


def picture(number: int, side: int = 24) -> Image:
    """Return an image with so many squares, at most nine."""
    array = np.zeros((side, side), np.uint16)
    for index in range(number % 10):
        y, x = 8 * (index // 3), 8 * (index % 3)
        array[y + 1 : y + 5, x + 1 : x + 5] = 900
    return Image(array, name=f"{number}")


def start(lender: FakeLender, images: Any, *, runner: Runner | None = None, **options: Any) -> Any:
    runner = runner or Runner(lender, Settings())
    wanted = {"progress": None, "cancel": None, "on_stage": None, "also": ()} | options
    return runner.run_many(PACKAGE, images, SegmentOptions(), **wanted)


def check(results: list[Segmentation | Failure], numbers: Any) -> None:
    """See that the results are those of these images, in that order."""
    found = [(result.image.name, result.count) for result in results if isinstance(result, Segmentation)]
    assert found == [(str(number), number % 10) for number in numbers]
    assert len(found) == len(results)


def take_all(results: Any) -> list[Segmentation | Failure]:
    """Return all results, or fail where they do not come."""
    found: list[Any] = []

    def take() -> None:
        try:
            found.append(list(results))
        except BaseException as error:
            found.append(error)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    taker.join(WAIT_S)
    assert found, "It stands still."
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]  # type: ignore[no-any-return]


def threads() -> list[threading.Thread]:
    """Threads of batches; that of a card, which launches for all, stays."""
    names = "unetseg-reader", "unetseg-network", "unetseg-decoder"
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    assert not threads()
    yield
    assert not threads()


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("lazy", [True, False])
def test_every_image_is_computed_once_and_results_are_in_order(workers, batch, lazy):
    seen = []
    lender = FakeLender(workers, batch, lambda worker, name: seen.append(name))
    images = [partial(picture, number) if lazy else picture(number) for number in range(50)]
    check(list(start(lender, images)), range(50))
    assert sorted(seen, key=int) == [str(number) for number in range(50)]
    assert lender.lent == 0


def test_no_images_give_no_results_and_no_threads():
    lender = FakeLender(3)
    assert list(start(lender, [])) == []
    assert lender.lent == 0


@pytest.mark.parametrize("workers", [2, 3])
def test_a_slow_device_keeps_the_others_from_nothing_but_running_too_far_ahead(workers):
    """Device 0 has one image and ends it when the others have done as many as there is room for."""
    others = threading.Semaphore(0)
    seen: dict[int, list[str]] = {number: [] for number in range(workers)}
    slow = threading.Event()

    def before(worker: int, name: str) -> None:
        seen[worker].append(name)
        if worker == 0 and not slow.is_set():
            slow.set()
            for _ in range(3):
                assert others.acquire(timeout=WAIT_S)
        elif worker != 0:
            others.release()

    check(list(start(FakeLender(workers, 1, before), map(picture, range(30)))), range(30))
    assert sum(map(len, seen.values())) == 30
    assert all(names == sorted(names, key=int) for names in seen.values())


@pytest.mark.parametrize("workers", [2, 3])
def test_a_device_without_memory_is_left_out_and_told(workers, caplog):
    seen = []
    lender = FakeLender(workers, 1, lambda worker, name: seen.append(worker), broken={1})
    failed = threading.Event()
    borrow = lender.borrow

    def tell(package: Any, worker: int = 0) -> Any:
        if worker == 1:
            failed.set()
        return borrow(package, worker)

    lender.borrow = tell  # type: ignore[method-assign]

    def last() -> Image:
        assert failed.wait(WAIT_S)
        return picture(19)

    results = list(start(lender, [*map(picture, range(19)), last]))
    check(results, range(20))
    assert 1 not in seen
    assert "cuda:1 has no memory." in caplog.text
    assert lender.lent == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_what_a_device_had_when_it_broke_is_done_by_another(batch):
    """Device 1 breaks at its second image; device 0 waits for that."""
    broke, seen = threading.Event(), []

    def before(worker: int, name: str) -> None:
        seen.append((worker, name))
        if worker == 0:
            assert broke.wait(WAIT_S)
        elif len([one for one, _ in seen if one == 1]) == 2:
            broke.set()
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    results = list(start(FakeLender(2, batch, before), map(picture, range(20))))
    check(results, range(20))
    told = [warning for result in results for warning in result.warnings]
    assert len(told) == 1
    assert "One of 2 devices failed and was left out" in told[0]
    assert "illegal memory access" in told[0]
    assert {result.provenance.precision for result in results} == {"worker 0", "worker 1"}


def test_a_device_goes_on_beyond_all_bounds_where_another_broke_that_had_the_first_image(monkeypatch):
    monkeypatch.setattr(pipeline, "usable_cores", lambda: 2)
    full = threading.Event()
    computed = []

    def before(worker: int, name: str) -> None:
        if worker == 0:
            assert full.wait(WAIT_S)
            raise UnetsegError("broken")
        computed.append(name)
        if len(computed) == 4:  # nothing more is let beyond the network before the first image is done
            threading.Timer(0.3, full.set).start()

    check(take_all(start(FakeLender(2, 3, before), map(picture, range(40)))), range(40))


def test_where_all_devices_broke_what_is_done_is_given_and_then_the_error_raised():
    def before(worker: int, name: str) -> None:
        if int(name) >= 5:
            raise RuntimeError("The cable is out.")

    for workers in (1, 2):
        lender = FakeLender(workers, 1, before)
        results, done = start(lender, map(picture, range(20))), []
        with pytest.raises(RuntimeError, match="cable"):
            done.extend(results)
        check(done, range(5))
        assert lender.lent == 0


def test_where_no_device_takes_the_model_that_is_raised():
    with pytest.raises(DeviceError, match="no memory"):
        next(start(FakeLender(2, broken={0, 1}), [picture(1)]))


def test_where_the_first_device_does_not_take_the_model_another_does_it_all():
    results = list(start(FakeLender(2, broken={0}), map(picture, range(6))))
    check(results, range(6))
    assert {result.provenance.precision for result in results} == {"worker 1"}
    assert "cuda:0 has no memory." in results[0].warnings[0]


def test_the_network_goes_on_while_objects_are_read_off_and_images_are_read_ahead_of_it(monkeypatch):
    computed, read, decode = threading.Event(), threading.Event(), ObjectReading.segmentation

    def before(worker: int, name: str) -> None:
        if name == "1":
            computed.set()
            assert read.wait(WAIT_S)

    def decode_late(self: ObjectReading, **options: Any) -> Segmentation:
        result = decode(self, **options)
        assert computed.wait(WAIT_S)
        return result

    def take() -> Image:
        read.set()
        return picture(2)

    monkeypatch.setattr(ObjectReading, "segmentation", decode_late)
    check(list(start(FakeLender(before=before), [picture(0), picture(1), take])), range(3))


def test_objects_of_several_images_are_read_off_at_once_and_given_in_order(monkeypatch):
    monkeypatch.setattr(pipeline, "usable_cores", lambda: 4)
    together, decode = threading.Barrier(3), ObjectReading.segmentation

    def decode_together(self: ObjectReading, **options: Any) -> Segmentation:
        together.wait(WAIT_S)
        return decode(self, **options)

    monkeypatch.setattr(ObjectReading, "segmentation", decode_together)
    check(list(start(FakeLender(), map(picture, range(9)))), range(9))


def test_functions_are_called_in_order_in_another_thread_and_all_that_is_the_callers_in_its_own():
    mine, called, own = threading.get_ident(), [], []

    def take(number: int) -> Image:
        called.append((number, threading.get_ident()))
        return picture(number)

    def draw() -> Iterator[Any]:
        for number in range(12):
            own.append(threading.get_ident())
            yield partial(take, number)

    def cancel() -> bool:
        own.append(threading.get_ident())
        return False

    told = []

    def progress(done: int, total: int) -> None:
        own.append(threading.get_ident())
        told.append((done, total))

    check(list(start(FakeLender(2), draw(), progress=progress, cancel=cancel)), range(12))
    assert [number for number, _ in called] == list(range(12))
    assert len({thread for _, thread in called}) == 1
    assert called[0][1] != mine
    assert set(own) == {mine}
    assert told[-1] == (12, 12)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_id_of_the_call_and_the_callers_context_go_along():
    variable: ContextVar[str] = ContextVar("variable", default="")
    seen = []

    def take() -> Image:
        seen.append(variable.get())
        return picture(1)

    token = variable.set("mine")
    with request("outside"):
        results = list(start(FakeLender(2), [take] * 5))
    variable.reset(token)
    assert {result.provenance.request_id for result in results} == {"outside"}
    assert seen == ["mine"] * 5


PARTS = {"contours": "plane_contours", "measurements": "measurements", "confidence": "confidence"}


@pytest.mark.parametrize("also", [(), ("contours",), ("measurements", "confidence")])
def test_what_is_named_is_there_with_the_result_and_nothing_else(also):
    for result in start(FakeLender(), map(picture, range(4)), also=also):
        assert {name for name, kept in PARTS.items() if kept in vars(result)} == set(also)


def test_what_is_named_and_cannot_be_had_is_a_failure_of_that_image(monkeypatch):
    trace = segmentation.trace_contours

    def scarce(labels: Any) -> Any:
        if labels.max() == 2:
            raise MemoryError
        return trace(labels)

    monkeypatch.setattr(segmentation, "trace_contours", scarce)
    runner = Runner(FakeLender(), Settings())
    results = list(start(FakeLender(), map(picture, range(4)), runner=runner, also=("contours",)))
    assert [type(result) for result in results] == [Segmentation, Segmentation, Failure, Segmentation]
    assert str(results[2]).startswith("2: memory ran out.")
    assert runner.counter.snapshot().runs == 3


class Watched:
    """Images that know how many of them there are before and after each stage.

    Attributes
    ----------
    ahead
        For each image that the network began: how many were drawn and not given back.
    behind
        For each image that the network began: how many results had been given back.
    """

    def __init__(self, side: int, number: int) -> None:
        self.side, self.number = side, number
        self.drawn = self.given = 0
        self.ahead: list[int] = []
        self.behind: list[int] = []

    def __iter__(self) -> Iterator[Image]:
        for number in range(self.number):
            self.drawn += 1
            yield picture(number, self.side)

    def before(self, worker: int, name: str) -> None:
        self.ahead.append(self.drawn - self.given)
        self.behind.append(self.given)

    def take(self, workers: int = 1, batch: int = 1) -> None:
        for number, result in enumerate(start(FakeLender(workers, batch, self.before), self)):
            assert result.image.name == str(number)
            self.given += 1
            del result


def test_small_images_are_bounded_by_their_number(monkeypatch):
    monkeypatch.setattr(pipeline, "usable_cores", lambda: 2)
    watched = Watched(24, 60)
    watched.take()
    # Two wait for the network, one is in it, two are beyond, and the caller has one.
    assert max(watched.ahead) <= 6


@pytest.mark.parametrize(("two", "lag"), [(2 * 24 * 24, 2), (24 * 24, 1)])
def test_large_images_are_bounded_by_their_pixels(monkeypatch, two, lag):
    """One is decoded while the next one is computed, or not even that; one more is read."""
    monkeypatch.setattr(images_under_way, "MOST_PIXELS", 24 * 24)
    monkeypatch.setattr(images_under_way, "MOST_PIXELS_OF_TWO", two)
    watched = Watched(24, 20)
    watched.take()
    # The result that was given last is counted when the caller has it.
    assert all(index - given <= lag for index, given in enumerate(watched.behind))
    assert max(watched.ahead) <= lag + 2


def test_a_caller_that_is_elsewhere_stops_nobody_from_using_the_device():
    lender = FakeLender(batch=4)
    runner = Runner(lender, Settings())
    results = start(lender, map(picture, range(40)), runner=runner)
    first = next(results)
    alone = runner.run(PACKAGE, picture(7), {}, None, None, None)
    assert (first.count, alone.count) == (0, 7)
    check([first, *results], range(40))


def test_to_close_it_ends_all_threads():
    lender = FakeLender(3, 2)
    results = start(lender, [partial(picture, number) for number in range(50)])
    next(results)
    assert threads()
    results.close()
    assert not threads()
    assert lender.lent == 0
    with pytest.raises(StopIteration):
        next(results)


def test_one_that_nobody_holds_any_more_ends_by_itself():
    lender = FakeLender(2)
    results = start(lender, [partial(picture, number) for number in range(50)])
    next(results)
    running = threads()
    assert running
    del results
    gc.collect()
    for thread in running:
        thread.join(WAIT_S)
    assert lender.lent == 0


def test_a_program_may_end_in_the_middle_of_a_batch():
    program = """
        import numpy
        from napari_unetseg import SegmentationService

        rng = numpy.random.default_rng(0)
        results = SegmentationService("nuclei", device="cpu").iter_batch(rng.random((20, 300, 300), numpy.float32))
        next(results)
        raise SystemExit(3)
    """
    ended = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=WAIT_S)
    assert (ended.returncode, ended.stderr) == (3, "")


def test_it_is_cleared_away_in_a_thread_that_holds_a_lock_of_the_device():
    """Which Python may do at any time: to wait for the threads there would be to wait for ever."""
    lender = FakeLender()
    runner = Runner(lender, Settings())
    results = start(lender, map(picture, range(50)), runner=runner)
    next(results)
    running = threads()
    with runner._lines.of(0)._changed:
        del results
    for thread in running:
        thread.join(WAIT_S)
    assert lender.lent == 0


def test_an_error_of_the_images_comes_after_the_results_before_it():
    lender = FakeLender(2)

    def draw() -> Iterator[Image]:
        yield from map(picture, range(7))
        raise OSError("The disk is gone.")

    results, done = start(lender, draw()), []
    with pytest.raises(OSError, match="disk"):
        done.extend(results)
    check(done, range(7))
    assert lender.lent == 0


@pytest.mark.parametrize("where", ["images", "progress", "cancel"])
def test_an_interrupt_in_the_callers_thread_ends_all(where):
    lender, stopped = FakeLender(2), []

    def interrupt(*_: Any) -> bool:
        stopped.append(1)
        raise KeyboardInterrupt

    def draw() -> Iterator[Image]:
        yield from map(picture, range(7))
        interrupt()

    given = {"progress": {"progress": interrupt}, "cancel": {"cancel": interrupt}}.get(where, {})
    with pytest.raises(KeyboardInterrupt):
        list(start(lender, draw() if where == "images" else map(picture, range(50)), **given))
    assert (stopped, lender.lent) == ([1], 0)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_function_that_wants_the_program_to_end_does(error):
    def leave() -> Image:
        raise error

    lender = FakeLender()
    with pytest.raises(error):
        take_all(start(lender, [picture(1), leave, picture(2)]))
    assert lender.lent == 0


@pytest.mark.parametrize("name", ["reader", "network", "decoder"])
def test_where_the_system_has_no_thread_left_that_is_raised(monkeypatch, name):
    begin = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if name in thread.name:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    lender = FakeLender()
    with pytest.raises(RuntimeError, match="new thread"):
        take_all(start(lender, [partial(picture, number) for number in range(5)]))
    assert lender.lent == 0


def test_a_second_interrupt_ends_the_wait_for_the_threads_and_the_model_is_given_back(monkeypatch):
    began, go_on = threading.Event(), threading.Event()

    def before(worker: int, name: str) -> None:
        began.set()
        assert go_on.wait(WAIT_S)

    def interrupt(*_: Any) -> bool:
        if began.is_set():
            raise KeyboardInterrupt
        return False

    lender = FakeLender(before=before)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.Thread, "join", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(start(lender, map(picture, range(4)), cancel=interrupt))
    assert lender.lent == 1
    left = threads()
    go_on.set()
    for thread in left:
        thread.join(WAIT_S)
    assert lender.lent == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cancel_ends_what_is_not_done_and_reads_no_more(workers):
    lender, stop, read = FakeLender(workers), threading.Event(), []

    def take(number: int) -> Image:
        read.append(number)
        return picture(number)

    results = []
    for result in start(lender, [partial(take, number) for number in range(80)], cancel=stop.is_set):
        results.append(result)
        stop.set()
    assert len(results) == 80
    done = [isinstance(result, Segmentation) for result in results]
    assert done[0]
    # What is beyond the network is finished; of what comes after it nothing is.
    assert done == sorted(done, reverse=True) or workers > 1
    assert {type(result.error) for result in results if isinstance(result, Failure)} == {Cancelled}
    assert not any(done[40:])
    assert len(read) < 40


def test_a_cancel_is_heard_while_the_network_runs():
    began, heard = threading.Event(), threading.Event()

    def before(worker: int, name: str) -> None:
        began.set()
        assert heard.wait(WAIT_S)

    def cancel() -> bool:
        if began.is_set():
            heard.set()
        return heard.is_set()

    results = list(start(FakeLender(before=before), map(picture, range(4)), cancel=cancel))
    assert len(results) == 4


def test_bad_images_fail_alone_whatever_is_beside_them():
    def torn() -> Image:
        raise ImageError("Torn.")

    images = [torn if number % 3 == 1 else picture(number) for number in range(20)]
    for workers, batch in ((1, 1), (2, 4)):
        results = list(start(FakeLender(workers, batch), images))
        assert [isinstance(result, Failure) for result in results] == [number % 3 == 1 for number in range(20)]
        assert {str(result) for result in results if isinstance(result, Failure)} == {"Torn."}
        assert [result.image for result in results[1::3]] == [f"image {number}" for number in range(1, 20, 3)]


def test_a_call_goes_where_the_fewest_are():
    entered, leave = threading.Event(), threading.Event()

    def before(worker: int, name: str) -> None:
        if name == "1":
            entered.set()
            assert leave.wait(WAIT_S)

    runner = Runner(FakeLender(2, before=before), Settings())
    run = partial(runner.run, PACKAGE, keywords={}, progress=None, cancel=None, on_stage=None)
    found: list[Segmentation] = []
    first = threading.Thread(target=lambda: found.append(run(image=picture(1))))
    first.start()
    assert entered.wait(WAIT_S)
    assert run(image=picture(2)).provenance.precision == "worker 1"
    leave.set()
    first.join()
    assert found[0].provenance.precision == "worker 0"
    assert run(image=picture(3)).provenance.precision == "worker 0"


@pytest.mark.parametrize("seed", range(12))
def test_nothing_stands_still_whatever_the_bounds_are(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    cores = int(rng.integers(1, 5))
    monkeypatch.setattr(pipeline, "usable_cores", lambda: cores)
    monkeypatch.setattr(images_under_way, "MOST_PIXELS", int(rng.integers(1, 5000)))
    monkeypatch.setattr(images_under_way, "MOST_PIXELS_OF_TWO", int(rng.integers(1, 5000)))
    workers, batch = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    breaks = [int(rng.integers(0, 60)) for _ in range(workers)]  # the last device never does
    counts = [0] * workers

    def before(worker: int, name: str) -> None:
        counts[worker] += 1
        if worker < workers - 1 and counts[worker] == breaks[worker]:
            raise UnetsegError("broken")

    numbers = range(int(rng.integers(1, 60)))
    sides = rng.integers(24, 60, len(numbers))
    images = [
        partial(picture, number, int(side)) if rng.random() < 0.5 else picture(number, int(side))
        for number, side in zip(numbers, sides, strict=True)
    ]
    lender = FakeLender(workers, batch, before)
    check(list(start(lender, images)), numbers)
    assert lender.lent == 0


@pytest.mark.parametrize("batch", [1, 4])
def test_what_is_finished_does_not_wait_for_an_image_that_is_not_there_yet(batch):
    given = threading.Event()

    def draw() -> Iterator[Image | None]:
        yield picture(0)
        while not given.is_set():
            yield None
        yield picture(1)

    results = start(FakeLender(batch=batch), draw())
    first = take_all(islice(results, 1))
    given.set()
    check([*first, *results], range(2))


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize("batch", [1, 4])
def test_images_may_be_made_with_the_device_that_they_are_for(batch, lazy):
    lender = FakeLender(batch=batch)
    runner = Runner(lender, Settings())

    def make(number: int) -> Image:
        image = picture(number)
        seen = runner.run(PACKAGE, image, {}, None, None, None)
        assert seen.count == number % 10
        return image

    images = [partial(make, number) for number in range(12)] if lazy else map(make, range(12))
    check(take_all(start(lender, images, runner=runner)), range(12))


def test_a_callback_may_use_the_device():
    lender = FakeLender(batch=4)
    runner = Runner(lender, Settings())

    def cancel() -> bool:
        runner.run(PACKAGE, picture(3), {}, None, None, None)
        return False

    check(take_all(start(lender, map(picture, range(6)), runner=runner, cancel=cancel)), range(6))

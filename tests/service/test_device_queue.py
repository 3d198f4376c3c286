import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, ParameterError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.run_at_once import run_at_once
from napari_unetseg.inference.predict import predict_many
from napari_unetseg.inference.prediction import PredictOptions, PredictRequest
from napari_unetseg.service import SegmentationService, device_queue
from napari_unetseg.service.device_queue import DeviceQueue
from napari_unetseg.service.logs import Stopwatch
from napari_unetseg.zoo.card import Architecture, Head, ModelCard, WeightsFile

PATIENCE = 30
CARD = ModelCard(
    name="tiny",
    display_name="Tiny",
    description="A network for tests.",
    architecture=Architecture(name="unet"),
    input_channels=1,
    outputs=(Head(name="foreground"),),
    decoder="threshold",
    weights=WeightsFile(sha256="0" * 64),
    licence="CC0-1.0",
)


class Model:
    """A model that answers with what it sees, in batches of four tiles of up to 40 pixels, and tells what it ran.

    As long as `gate` is not set it stands still inside its network, and says so by `inside`.
    """

    receptive_radius = 4
    in_bands = False
    grid = 1
    precision = "float32"
    device = Device("cpu", "Tests run on the CPU.")

    def __init__(self, name: str, ran: list[tuple[str, int]], batch_size: int = 4) -> None:
        self.card = CARD
        self.gate = threading.Event()
        self.gate.set()
        self.inside = threading.Semaphore(0)
        self.threads: list[int] = []
        self.bad: float | None = None
        self._name = name
        self._ran = ran
        self._batch_size = batch_size

    def predict_many(self, images, options):
        return predict_many(images, CARD, self, replace(options, window=40, batch_size=self._batch_size))

    @contextmanager
    def buffers(self, shape):
        yield np.empty(shape, np.float32), np.empty(shape, np.float32)

    def run(self, batch, cancel=None, out=None):
        self._ran.append((self._name, len(batch)))
        self.threads.append(threading.get_ident())
        self.inside.release()
        assert self.gate.wait(PATIENCE)
        if cancel is not None and cancel():
            raise Cancelled("stopped inside the network")
        if self.bad is not None and (batch == self.bad).all(axis=(1, 2, 3)).any():
            raise ValueError("bad tile")
        result = np.empty(batch.shape, np.float32) if out is None else out
        result[:] = batch.clip(0, 1)
        return result

    def start(self, channels, windows, cancel=None, out=None):
        return run_at_once(self, channels, windows, cancel, out)

    def accepted_size(self, height, width):
        return height, width

    def release_memory(self):
        pass


@pytest.fixture
def ran():
    return []


@pytest.fixture
def model(ran):
    return Model("one", ran)


@pytest.fixture
def queue():
    return DeviceQueue()


@pytest.fixture
def submit(queue):
    """Call `predict` in a thread of its own, and wait until it stands in line."""
    with ThreadPoolExecutor(16) as pool:

        def start(model: Model, wanted: PredictRequest, waiting: int | None = None) -> Future:
            future = pool.submit(queue.predict, model, wanted)
            if waiting is not None:
                with queue._changed:
                    assert queue._changed.wait_for(lambda: len(queue._line) == waiting, PATIENCE)
            return future

        yield start


def noise(height: int = 40, width: int = 40, seed: int = 0) -> Image:
    return Image(np.random.default_rng(seed).random((height, width)), name=f"image {seed}")


def wanted(seed: int = 0, height: int = 40, **wishes: object) -> PredictRequest:
    return PredictRequest(noise(height, seed=seed), **wishes)


def alone(request: PredictRequest):
    model = Model("alone", [])
    (prediction,) = model.predict_many([replace(request, progress=None, cancel=None)], PredictOptions())
    return prediction.probability


def assert_right(future: Future, request: PredictRequest) -> None:
    np.testing.assert_array_equal(future.result(PATIENCE).probability, alone(request))


def test_those_who_wait_share_a_batch(queue, submit, model, ran):
    requests = [wanted(seed) for seed in range(6)]
    with queue.turn():
        futures = [submit(model, request, seed + 1) for seed, request in enumerate(requests)]
        assert queue.waiting == 6
    for future, request in zip(futures, requests, strict=True):
        assert_right(future, request)
    assert ran == [("one", 4), ("one", 2)]


def test_one_alone_is_computed_at_once_in_its_own_thread(model, ran):
    queue = DeviceQueue(batch_wait_s=1e6)
    with queue.on_its_way():
        watch = Stopwatch()
        prediction = queue.predict(model, wanted(), watch)
        queue.predict(model, wanted())
    np.testing.assert_array_equal(prediction.probability, alone(wanted()))
    assert set(model.threads) == {threading.get_ident()}
    assert watch.stages.keys() == {"wait", "network"}


def test_nothing_of_a_call_outlives_it(queue, model):
    image = noise()
    gc.disable()
    try:
        prediction = queue.predict(model, PredictRequest(image))
        kept = weakref.ref(image), weakref.ref(prediction.probability)
        del image, prediction
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()


def test_without_sharing_each_has_a_run_of_its_own(model, ran):
    queue = DeviceQueue(together=False)
    with ThreadPoolExecutor(3) as pool:
        with queue.turn():
            futures = [pool.submit(queue.predict, model, wanted(seed)) for seed in range(3)]
        for seed, future in enumerate(futures):
            assert_right(future, wanted(seed))
    assert ran == [("one", 1)] * 3


def test_a_batch_with_room_waits_for_a_call_on_its_way(model, ran):
    queue = DeviceQueue(batch_wait_s=1e6)
    with ThreadPoolExecutor(1) as pool:
        with queue.on_its_way():
            first = pool.submit(queue.predict, model, wanted(1))
            queue.predict(model, wanted(2))
        assert_right(first, wanted(1))
    assert ran == [("one", 2)]


def test_a_call_that_does_not_come_is_waited_for_once(model, ran):
    queue = DeviceQueue(batch_wait_s=1e-3)
    with queue.on_its_way(), ThreadPoolExecutor(1) as pool:
        assert_right(pool.submit(queue.predict, model, wanted()), wanted())
        queue._batch_wait_s = 1e6
        assert_right(pool.submit(queue.predict, model, wanted()), wanted())


@pytest.mark.parametrize("bad_at", range(3))
def test_an_image_that_cannot_be_rescaled_fails_alone(queue, submit, model, bad_at):
    requests = [wanted(seed, diameter=9.0 if seed == bad_at else None) for seed in range(3)]
    with queue.turn():
        futures = [submit(model, request, seed + 1) for seed, request in enumerate(requests)]
    for seed, (future, request) in enumerate(zip(futures, requests, strict=True)):
        if seed == bad_at:
            with pytest.raises(ParameterError, match="rescaled"):
                future.result(PATIENCE)
        else:
            assert_right(future, request)


def test_an_image_that_the_network_fails_on_fails_alone(queue, submit, model):
    model.bad = 0.0
    requests = [wanted(0), PredictRequest(Image(np.zeros((40, 40)), name="bad")), wanted(2)]
    with queue.turn():
        futures = [submit(model, request, place + 1) for place, request in enumerate(requests)]
    assert_right(futures[0], requests[0])
    assert_right(futures[2], requests[2])
    with pytest.raises(ValueError, match="bad tile"):
        futures[1].result(PATIENCE)


@pytest.mark.parametrize("place", range(3))
def test_a_cancelled_call_ends_alone_whoever_computes(queue, submit, model, place):
    stop = threading.Event()
    # Two batches each, so that whoever is cancelled still has work to do.
    requests = [wanted(seed, height=320, cancel=stop.is_set if seed == place else None) for seed in range(3)]
    model.gate.clear()
    with queue.turn():
        futures = [submit(model, request, seed + 1) for seed, request in enumerate(requests)]
    assert model.inside.acquire(timeout=PATIENCE)
    stop.set()
    if place:  # its thread waits, so that it need not wait for the batch
        assert isinstance(futures[place].exception(PATIENCE), Cancelled)
    model.gate.set()
    for seed, (future, request) in enumerate(zip(futures, requests, strict=True)):
        if seed == place:
            assert isinstance(future.exception(PATIENCE), Cancelled)
        else:
            assert_right(future, request)


def test_a_cancelled_image_in_a_shared_batch_takes_none_of_the_others_along(queue, submit, model, ran):
    stop = threading.Event()
    requests = [wanted(seed, cancel=stop.is_set if seed == 1 else None) for seed in range(4)]
    model.gate.clear()
    with queue.turn():
        futures = [submit(model, request, seed + 1) for seed, request in enumerate(requests)]
    assert model.inside.acquire(timeout=PATIENCE)
    stop.set()
    assert isinstance(futures[1].exception(PATIENCE), Cancelled)
    model.gate.set()
    for seed in (0, 2, 3):
        assert_right(futures[seed], requests[seed])
    assert ran == [("one", 4)]


def test_one_who_waits_can_cancel(queue, submit, model, ran):
    stop = threading.Event()
    with queue.turn():
        future = submit(model, wanted(cancel=stop.is_set), 1)
        stop.set()
        assert isinstance(future.exception(PATIENCE), Cancelled)
        assert queue._line == []
        with pytest.raises(Cancelled), ThreadPoolExecutor(1) as pool:
            pool.submit(ExitStack().enter_context, queue.turn(stop.is_set)).result(PATIENCE)
    assert ran == []
    queue.predict(model, wanted())


def test_progress_is_told_in_the_thread_that_calls_and_none_is_lost(queue, model, ran):
    told: dict[int, list[tuple[int, int, bool]]] = {0: [], 1: [], 2: []}

    def call(seed: int, height: int, augment: bool):
        own = threading.get_ident()

        def progress(done: int, total: int) -> None:
            told[seed].append((done, total, threading.get_ident() == own))

        return queue.predict(model, wanted(seed, height, progress=progress, augment=augment))

    with ThreadPoolExecutor(3) as pool:
        with queue.turn():
            futures = []
            for seed, (height, augment) in enumerate([(40, False), (40, False), (40, True)]):
                futures.append(pool.submit(call, seed, height, augment))
                with queue._changed:
                    assert queue._changed.wait_for(lambda: len(queue._line) == len(futures), PATIENCE)
        for future in futures:
            future.result(PATIENCE)
    assert ran[0] == ("one", 2)
    assert told[0] == told[1] == [(1, 1, True)]
    assert told[2] == [(done, 8, True) for done in range(1, 9)]


def test_what_is_begun_is_finished_by_the_thread_that_wants_it(queue, submit, model):
    model.gate.clear()
    with queue.turn():
        short = submit(model, wanted(0), 1)
        long = submit(model, wanted(1, height=400), 2)
    assert model.inside.acquire(timeout=PATIENCE)
    model.gate.set()
    assert_right(short, wanted(0))
    assert_right(long, wanted(1, height=400))
    assert len(set(model.threads)) == 2
    assert model.threads[0] not in model.threads[1:]


def test_models_go_in_the_order_of_those_who_want_them(queue, submit, model, ran):
    other = Model("two", ran)
    with queue.turn():
        calls = [(model, 0), (other, 1), (model, 2), (model, 3), (other, 4)]
        futures = [submit(which, wanted(seed), place + 1) for place, (which, seed) in enumerate(calls)]
    for seed, future in enumerate(futures):
        assert_right(future, wanted(seed))
    assert ran == [("one", 1), ("two", 1), ("one", 2), ("two", 1)]


def test_who_wants_the_device_alone_is_not_passed_by(queue, submit, model, ran):
    entered = threading.Event()

    def have_it_alone():
        with queue.turn():
            ran.append(("alone", 0))
            entered.set()

    model.gate.clear()
    futures = [submit(model, wanted(0))]
    assert model.inside.acquire(timeout=PATIENCE)
    thread = threading.Thread(target=have_it_alone)
    thread.start()
    with queue._changed:
        assert queue._changed.wait_for(lambda: len(queue._line) == 1, PATIENCE)
    futures.append(submit(model, wanted(1), 2))
    model.gate.set()
    thread.join(PATIENCE)
    assert entered.is_set()
    for seed, future in enumerate(futures):
        assert_right(future, wanted(seed))
    assert ran == [("one", 1), ("alone", 0), ("one", 1)]


@pytest.fixture
def impatient(monkeypatch):
    """Whoever has had the device for any time has had it for long."""
    monkeypatch.setattr(device_queue, "LONG_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_long_image_lets_others_go_first_between_its_batches(queue, submit, ran):
    slow, quick = Model("long", ran, batch_size=1), Model("short", ran)
    slow.gate.clear()
    request = wanted(0, height=120)
    long = submit(slow, request)
    assert slow.inside.acquire(timeout=PATIENCE)
    short = [submit(quick, wanted(seed), seed) for seed in (1, 2)]
    slow.gate.set()
    for seed, future in enumerate(short, start=1):
        assert_right(future, wanted(seed))
    assert_right(long, request)
    assert ran == [("long", 1), ("short", 2), *[("long", 1)] * (long.result().tiles - 1)]


@pytest.mark.usefixtures("impatient")
def test_an_image_that_is_seen_eight_times_lets_others_go_between_its_passes(queue, submit, ran):
    slow, quick = Model("long", ran), Model("short", ran)
    slow.gate.clear()
    long = submit(slow, wanted(0, augment=True))
    assert slow.inside.acquire(timeout=PATIENCE)
    short = submit(quick, wanted(1), 1)
    slow.gate.set()
    assert_right(short, wanted(1))
    assert_right(long, wanted(0, augment=True))
    assert ran == [("long", 1), ("short", 1), *7 * [("long", 1)]]


@pytest.mark.usefixtures("impatient")
def test_a_paused_image_that_is_cancelled_is_the_next_to_go(queue, submit, ran):
    slow, first, second = Model("long", ran, batch_size=1), Model("first", ran), Model("second", ran)
    stop, seen = threading.Event(), threading.Semaphore(0)

    def cancel() -> bool:
        if stop.is_set():
            seen.release()
        return stop.is_set()

    for model in (slow, first, second):
        model.gate.clear()
    long = submit(slow, wanted(0, height=120, cancel=cancel))
    assert slow.inside.acquire(timeout=PATIENCE)
    one, two = submit(first, wanted(1), 1), submit(second, wanted(2), 2)
    slow.gate.set()
    assert first.inside.acquire(timeout=PATIENCE)  # so the long one is paused, behind the second
    stop.set()
    for _ in range(2):
        assert seen.acquire(timeout=PATIENCE)
    first.gate.set()
    assert isinstance(long.exception(PATIENCE), Cancelled)
    second.gate.set()
    assert_right(one, wanted(1))
    assert_right(two, wanted(2))
    assert ran == [("long", 1), ("first", 1), ("second", 1)]


@pytest.mark.usefixtures("impatient")
def test_a_long_turn_lets_others_go_where_it_says_so(queue, submit, model, ran):
    with queue.turn():
        short = submit(model, wanted(1), 1)
        ran.append(("alone", 1))
        queue.let_others_go()
        assert_right(short, wanted(1))
        ran.append(("alone", 2))
    assert ran == [("alone", 1), ("one", 1), ("alone", 2)]


@pytest.mark.usefixtures("impatient")
def test_nobody_lets_others_go_with_a_device_that_is_not_its_own(queue, submit, model):
    model.gate.clear()
    first = submit(model, wanted(0))
    assert model.inside.acquire(timeout=PATIENCE)
    second = submit(model, wanted(1), 1)
    queue.let_others_go()
    assert len(queue._line) == 1
    model.gate.set()
    assert_right(first, wanted(0))
    assert_right(second, wanted(1))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_one_that_is_stopped_while_it_computes_for_others_leaves_them_their_images(queue, submit, model, error):
    def stop(_done: int, _total: int) -> None:
        raise error

    requests = [wanted(seed, height=80) for seed in (1, 2, 3)]
    with queue.turn():
        stopped = submit(model, wanted(0, progress=stop), 1)
        others = [submit(model, request, place) for place, request in enumerate(requests, start=2)]
    assert isinstance(stopped.exception(PATIENCE), error)
    for future, request in zip(others, requests, strict=True):
        assert_right(future, request)
    assert queue._holder is None


# Through the service


@pytest.fixture
def shared(bright_model, settings):
    return SegmentationService(bright_model, settings=settings(inference__batch_size=4))


def test_many_threads_give_what_one_gives(shared, bright_model, settings, squares):
    shapes = [(60, 80), (60, 80), (30, 80), (60, 20), (60, 80), (60, 80)]
    images = [np.roll(squares, 3 * place, axis=0)[:height, :width] for place, (height, width) in enumerate(shapes)]
    one = SegmentationService(bright_model, settings=settings())
    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(shared.segment, images * 4))
    expected = [one.segment(image).labels for image in images] * 4
    for result, labels in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.labels, labels)
    assert shared.health(dummy_inference=False).performance.runs == len(results)


def test_calls_that_wait_when_the_service_is_closed_end_well(shared, squares):
    queue = shared._runner._lines.of(0)
    with ThreadPoolExecutor(2) as pool:
        with queue.turn():
            futures = [pool.submit(shared.segment, squares) for _ in range(2)]
            with queue._changed:
                assert queue._changed.wait_for(lambda: len(queue._line) == 2, PATIENCE)
            shared.close()
        assert [future.result(PATIENCE).count for future in futures] == [3, 3]


def test_a_prediction_is_what_segment_reads_the_objects_off(shared, squares):
    report: list[tuple[int, int]] = []
    request = PredictRequest(Image(squares), progress=lambda *done: report.append(done))
    prediction, model = shared._runner.predict(shared.package, request)
    np.testing.assert_array_equal(prediction.probability, shared.segment(squares).probability)
    assert model.card == shared.package.card
    assert report == [(1, 1)]
    assert shared.health(dummy_inference=False).performance.runs == 2


def test_a_prediction_that_fails_is_counted(shared, squares, monkeypatch):
    monkeypatch.setattr(DeviceQueue, "predict", _fail(ValueError("broken")))
    with pytest.raises(ValueError, match="broken"):
        shared._runner.predict(shared.package, PredictRequest(Image(squares)))
    assert shared.health(dummy_inference=False).performance.failures == 1


def _fail(error: Exception) -> Callable[..., SimpleNamespace]:
    def fail(*_arguments: object) -> SimpleNamespace:
        raise error

    return fail

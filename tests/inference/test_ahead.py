"""Batches that are begun before the last one is finished, by a backend that computes when its result is wanted."""

import threading
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_unetseg.errors import Cancelled, DeviceError, ImageError
from napari_unetseg.image import Image
from napari_unetseg.inference import image_task
from napari_unetseg.inference import predict as predicting
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.predict import predict_many
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest

GPU = Device("mps", "It is pretended.")


def images(*shapes):
    rng = np.random.default_rng(0)
    return [
        Image(rng.integers(0, 256, shape, dtype=np.uint8), name=f"image {index}") for index, shape in enumerate(shapes)
    ]


class Later:
    """A batch that a `LateBackend` has begun; its answer is the pixels of the windows."""

    computed_at_once = False

    def __init__(self, backend, windows, cancel, fault):
        self._backend, self._windows, self._cancel, self._fault = backend, windows, cancel, fault
        self._lent = ExitStack()
        shape = len(windows[0].rows), len(windows[0].columns)
        self._answer = self._lent.enter_context(backend.pools.output.lease((len(windows), 2, *shape))).numpy()

    def result(self):
        self._backend.log.append(("result", len(self._windows)))
        if self._cancel is not None and self._cancel():
            raise Cancelled("it was cancelled")
        if self._fault is not None:
            raise self._fault
        for window, answer in zip(self._windows, self._answer, strict=True):
            seen = np.empty((3, *answer.shape[1:]), np.float32)
            window.read(seen)
            answer[:] = seen[:2]
        return self._answer

    def close(self):
        self._lent.close()
        self._answer.fill(np.nan)  # whoever reads it now is wrong
        self._backend.in_flight -= 1


class LateBackend:
    """A backend like that of a graphics card, whose batches fail as told: each at its start, at its result, or not."""

    in_bands = False
    receptive_radius = 5
    grid = 4
    precision = "float32"
    device_memory_mb = None
    device = GPU

    def __init__(self, pools, at_start=(), at_result=()):
        self.pools = pools
        self.log = []
        self.in_flight = self.most_in_flight = self.started = self.released_in_flight = 0
        self._at_start, self._at_result = dict(at_start), dict(at_result)

    def start(self, channels, windows, cancel=None, out=None):
        self.started += 1
        self.log.append(("start", len(windows)))
        if self.started in self._at_start:
            raise self._at_start[self.started]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return Later(self, windows, cancel, self._at_result.get(self.started))

    def accepted_size(self, height, width):
        return -(-height // 4) * 4, -(-width // 4) * 4

    def release_memory(self):
        self.released_in_flight += self.in_flight


@pytest.fixture
def late(counting_backend):
    pools = counting_backend().pools
    return lambda *faults: LateBackend(pools, *faults)


def whole(image, card):
    """What a `LateBackend` answers."""
    from napari_unetseg.inference.normalisation import normalise

    return normalise(image, card.normalisation, 3).array[:2]


def assert_computed(results, given, card):
    for result, image in zip(results, given, strict=True):
        assert isinstance(result, Prediction), result
        np.testing.assert_array_equal(result.probability, whole(image, card))


def test_a_batch_is_begun_before_the_last_one_is_finished(card, late):
    backend = late()
    given = images(*[(12, 12)] * 6)
    assert_computed(list(predict_many(given, card, backend, PredictOptions(batch_size=2))), given, card)
    assert backend.log == [
        ("start", 2),
        ("start", 2),
        ("result", 2),
        ("start", 2),
        ("result", 2),
        ("result", 2),
    ]
    assert (backend.most_in_flight, backend.in_flight) == (2, 0)


def test_progress_counts_what_is_finished(card, late):
    told = []
    options = PredictOptions(batch_size=2, progress=lambda *done: told.append(done))
    list(predict_many(images(*[(12, 12)] * 5), card, late(), options))
    assert [done for done, _ in told] == [2, 4, 5]


def test_tiles_of_a_large_image_are_computed_ahead_too(card, late):
    backend = late()
    given = images((120, 90), (12, 12))
    options = PredictOptions(window=40, batch_size=3)
    assert_computed(list(predict_many(given, card, backend, options)), given, card)
    assert backend.most_in_flight == 2


def lack():
    return MemoryError("the card is full")


@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize("when", ["start", "result"])
def test_a_lack_of_memory_lets_all_go_on_with_fewer_tiles(card, late, when, failing):
    faults = {failing: lack()}
    backend = late(faults) if when == "start" else late((), faults)
    given = images(*[(12, 12)] * 16)
    steps = []
    results = list(predict_many(given, card, backend, PredictOptions(batch_size=4, on_step=steps.append)))
    assert_computed(results, given, card)
    assert [step.text for step in steps] == ["GPU memory ran out; went on with 2 tiles at once."]
    assert backend.released_in_flight == backend.in_flight == 0
    assert {count for kind, count in backend.log[-4:] if kind == "start"} <= {2}


def test_two_batches_that_lack_memory_are_one_step(card, late):
    backend = late((), {1: lack(), 2: lack()})
    given = images(*[(12, 12)] * 8)
    steps = []
    results = list(predict_many(given, card, backend, PredictOptions(batch_size=4, on_step=steps.append)))
    assert_computed(results, given, card)
    assert len(steps) == 1
    assert [count for kind, count in backend.log if kind == "start"] == [4, 4, 2, 2, 2, 2]


def test_where_nothing_helps_the_processor_computes_what_is_missing(card, late, counting):
    backend = late((), {number: lack() for number in range(3, 9)})
    given = images(*[(12, 12)] * 8)
    results = list(predict_many(given, card, backend, PredictOptions(batch_size=2, fallback=lambda: counting)))
    assert_computed(results[:4], given[:4], card)
    assert all((result.probability == 0.75).all() for result in results[4:])
    assert "the CPU took over" in results[4].warnings[-1]
    assert backend.in_flight == 0


def test_without_the_processor_the_error_is_that_images_alone(card, late):
    backend = late({2: lack(), 3: lack()})
    given = images(*[(12, 12)] * 3)
    results = list(predict_many(given, card, backend, PredictOptions(batch_size=1)))
    assert [type(result) for result in results] == [Prediction, DeviceError, DeviceError]


def test_an_image_that_fails_does_not_sink_those_beside_it(card, late):
    backend = late((), {1: ValueError("one of these"), 3: ValueError("this")})
    given = images(*[(12, 12)] * 4)
    results = list(predict_many(given, card, backend, PredictOptions(batch_size=2)))
    assert sorted(type(result).__name__ for result in results) == ["Prediction"] * 3 + ["ValueError"]


def test_a_cancel_ends_all_that_is_begun(card, late):
    backend = late()
    given = images(*[(12, 12)] * 8)
    options = PredictOptions(batch_size=2, cancel=lambda: len(backend.log) >= 3)
    results = list(predict_many(given, card, backend, options))
    assert [type(result) for result in results] == [Cancelled] * 8
    assert backend.in_flight == 0


def test_an_image_that_is_cancelled_leaves_alone_what_it_is_computed_with(card, late):
    backend = late()
    given = images(*[(12, 12)] * 6)
    requests = [
        PredictRequest(image, cancel=(lambda: len(backend.log) >= 2) if index == 2 else None)
        for index, image in enumerate(given)
    ]
    results = list(predict_many(requests, card, backend, PredictOptions(batch_size=2)))
    assert isinstance(results.pop(2), Cancelled)
    del given[2]
    assert_computed(results, given, card)


def test_nothing_stays_begun_where_nobody_takes_the_rest(card, late):
    backend = late()
    results = predict_many(images(*[(12, 12)] * 9), card, backend, PredictOptions(batch_size=2))
    next(results)
    assert backend.in_flight == 1
    results.close()
    assert backend.in_flight == 0
    assert backend.pools.output.report().leased_bytes == 0


def test_images_of_a_batch_are_prepared_side_by_side(card, late, monkeypatch):
    normalise, met = image_task.normalise, threading.Barrier(3)

    def meet(image, *settings):
        if image.name != "image 0":  # which is drawn alone, as nobody knows its tiles
            met.wait(60)
        return normalise(image, *settings)

    monkeypatch.setattr(image_task, "normalise", meet)
    monkeypatch.setattr(predicting, "usable_cores", lambda: 4)
    given = images(*[(12, 12)] * 4)
    assert_computed(list(predict_many(given, card, late(), PredictOptions(batch_size=4))), given, card)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("unetseg-images")]


def test_no_more_images_are_drawn_than_a_batch_has_room_for(card, late):
    backend, drawn = late(), []

    def source():
        for image in images(*[(40, 12)] * 12):
            drawn.append(image)
            yield image

    results = predict_many(source(), card, backend, PredictOptions(window=28, batch_size=4))
    assert next(results).tiles == 2
    # Two batches of four tiles are begun before the first one is finished.
    assert len(drawn) == 4
    results.close()


def test_one_of_several_images_that_cannot_be_prepared_is_one_error(card, late, monkeypatch):
    normalise = image_task.normalise

    def fail(image, *settings):
        if image.name == "image 2":
            raise ImageError("image 2: it is bad")
        return normalise(image, *settings)

    monkeypatch.setattr(image_task, "normalise", fail)
    results = list(predict_many(images(*[(12, 12)] * 5), card, late(), PredictOptions(batch_size=4)))
    assert [type(result) for result in results] == [Prediction, Prediction, ImageError, Prediction, Prediction]


FAULTS = st.dictionaries(st.integers(1, 12), st.sampled_from(["memory", "other"]), max_size=4)


@given(
    shapes=st.lists(st.sampled_from([(12, 12), (30, 50), (64, 20), (1, 1)]), min_size=1, max_size=7),
    batch_size=st.integers(1, 5),
    at_start=FAULTS,
    at_result=FAULTS,
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_fails_every_image_is_computed_whole_or_says_why(card, late, shapes, batch_size, at_start, at_result):
    def errors(faults):
        return {number: lack() if kind == "memory" else ValueError("it") for number, kind in faults.items()}

    backend = late(errors(at_start), errors(at_result))
    given = images(*shapes)
    results = list(predict_many(given, card, backend, PredictOptions(window=32, batch_size=batch_size)))
    assert (len(results), backend.in_flight, backend.released_in_flight) == (len(given), 0, 0)
    for result, image in zip(results, given, strict=True):
        if isinstance(result, Prediction):
            np.testing.assert_array_equal(result.probability, whole(image, card))
        else:
            assert isinstance(result, (ValueError, DeviceError))
    if not at_start and not at_result:
        assert_computed(results, given, card)

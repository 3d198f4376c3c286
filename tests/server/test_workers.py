"""How much is taken on at once, and what ends it early."""

import asyncio
import threading

import pytest

from napari_unetseg.config.settings import ServerSettings
from napari_unetseg.errors import Cancelled, ImageError
from napari_unetseg.server.errors import ApiError
from napari_unetseg.server.workers import Workers
from napari_unetseg.service.requests import request_id


class Gate:
    """Work that stands still until it is released, or asked to stop."""

    def __init__(self) -> None:
        self.began, self.release = threading.Event(), threading.Event()
        self.cancelled = False

    def __call__(self, cancel):
        self.began.set()
        while not self.release.wait(0.01):
            if cancel():
                self.cancelled = True
                raise Cancelled("stopped")
        return "done"

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.began.wait, 60)


@pytest.fixture
def make_workers():
    made = []

    def make(**settings) -> Workers:
        made.append(Workers(ServerSettings(**settings)))
        return made[-1]

    yield make
    for workers in made:
        workers.stop()


def test_work_runs_in_a_thread_under_the_id_of_its_request(make_workers, make_request):
    async def go():
        return await make_workers().run(
            make_request(identity="mine"), lambda _: (request_id(), threading.current_thread().name)
        )

    identity, thread = asyncio.run(go())
    assert identity == "mine"
    assert thread.startswith("request")


def test_an_error_of_the_work_is_raised(make_workers, make_request):
    def work(_cancel):
        raise ImageError("no image")

    with pytest.raises(ImageError, match="no image"):
        asyncio.run(make_workers().run(make_request(), work))


def test_a_full_queue_says_when_to_come_again_and_has_room_later(make_workers, make_request):
    async def go():
        workers, gate = make_workers(queue_size=1), Gate()
        first = asyncio.ensure_future(workers.run(make_request(), gate))
        await gate.has_begun()
        assert (workers.running, workers.waiting) == (1, 0)
        with pytest.raises(ApiError) as full:
            await workers.run(make_request(), lambda _: "too many")
        gate.release.set()
        assert await first == "done"
        return full.value, await workers.run(make_request(), lambda _: "later")

    error, later = asyncio.run(go())
    assert (error.status, error.code) == (503, "queue_full")
    assert int(error.headers["Retry-After"]) > 0
    assert later == "later"


def test_a_client_that_leaves_stops_its_work(make_workers, make_request):
    async def go():
        workers, gate, gone = make_workers(), Gate(), asyncio.Event()
        waiting = asyncio.ensure_future(workers.run(make_request(gone), gate))
        await gate.has_begun()
        gone.set()
        with pytest.raises(ApiError) as left:
            await waiting
        return left.value, gate, workers

    error, gate, workers = asyncio.run(go())
    assert error.code == "cancelled"
    assert gate.cancelled
    assert (workers.running, workers.waiting) == (0, 0)


def test_the_deadline_ends_a_request_and_its_work(make_workers, make_request):
    async def go():
        workers, gate = make_workers(timeout_s=0.05), Gate()
        with pytest.raises(ApiError) as late:
            await workers.run(make_request(), gate)
        await asyncio.to_thread(workers.stop)
        return late.value, gate

    error, gate = asyncio.run(go())
    assert (error.status, error.code) == (503, "deadline_exceeded")
    assert "Retry-After" in error.headers
    assert gate.cancelled


def test_work_without_a_deadline_outlasts_that_of_others(make_workers, make_request):
    async def go():
        workers, gate = make_workers(timeout_s=0.05), Gate()
        patient = asyncio.ensure_future(workers.run(make_request(), gate, has_deadline=False))
        with pytest.raises(ApiError, match="longer than"):
            await workers.run(make_request(), Gate())
        assert not patient.done()
        gate.release.set()
        return await patient

    assert asyncio.run(go()) == "done"


def test_one_of_several_works_fails_alone(make_workers, make_request):
    def fail(_cancel):
        raise ImageError("bad")

    first, second, third = asyncio.run(
        make_workers(queue_size=1).run_all(make_request(), [lambda _: 1, fail, lambda _: 3])
    )
    assert (first, third) == (1, 3)
    assert isinstance(second, ImageError)


def test_more_pixels_than_may_wait_but_one_image_is_always_taken(make_workers):
    workers = make_workers(queue_megapixels=1)
    with workers.reserve(5_000_000):
        with pytest.raises(ApiError) as full, workers.reserve(1):
            pass
        assert full.value.code == "queue_full"
    with workers.reserve(400_000), workers.reserve(600_000):
        pass


def test_a_stop_asks_what_runs_to_end_and_waits_for_it(make_workers, make_request):
    async def go():
        workers, gate = make_workers(), Gate()
        waiting = asyncio.ensure_future(workers.run(make_request(), gate))
        await gate.has_begun()
        await asyncio.to_thread(workers.stop)
        cancelled = gate.cancelled
        with pytest.raises(Cancelled):
            await waiting
        return cancelled

    assert asyncio.run(go())


def test_a_cancelled_endpoint_stops_its_work(make_workers, make_request):
    """As uvicorn cancels those that are still there when the time of a stop is over."""

    async def go():
        workers, gate = make_workers(), Gate()
        waiting = asyncio.ensure_future(workers.run(make_request(), gate))
        await gate.has_begun()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(workers.stop)
        return gate.cancelled

    assert asyncio.run(go())

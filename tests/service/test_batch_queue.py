"""Batches: the same labels as one by one, in order, lazily, whatever becomes of single images."""

import threading

import numpy as np
import pytest

from napari_unetseg import Cancelled, Image, Segmentation, SegmentationService
from napari_unetseg.errors import ImageError, ParameterError, UnetsegError
from napari_unetseg.service import Failure


@pytest.fixture
def service(bright_model, settings):
    # Small windows, so that images are divided and share batches.
    return SegmentationService(bright_model, settings=settings(inference__batch_size=3, inference__window=64))


@pytest.fixture
def frugal(bright_model, settings):
    """One tile at a time, so that few images are under way."""
    return SegmentationService(bright_model, settings=settings(inference__batch_size=1))


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    shapes = [(50, 70), (130, 90), (1, 1), (64, 64), (90, 130), (50, 70)]
    return [Image(rng.integers(0, 4000, shape, dtype=np.uint16), name=f"{i}") for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("together", [True, False])
def test_labels_are_those_of_single_runs(bright_model, settings, images, together):
    wanted = settings(
        inference__batch_size=3, inference__window=64, inference__enable_batch_processing=together, model__device="cpu"
    )
    service = SegmentationService(bright_model, settings=wanted)
    results = service.segment_batch(images, threshold=0.4, min_size=2)
    for image, result in zip(images, results, strict=True):
        single = service.segment(image, threshold=0.4, min_size=2)
        np.testing.assert_array_equal(result.labels, single.labels)
        assert result.provenance.image == image.name
        assert result.provenance.tiles == single.provenance.tiles
    assert service.health(dummy_inference=False).performance.runs == 2 * len(images)


def test_one_bad_image_gives_one_failure(service, images):
    bad = [images[0], np.zeros((2, 3, 4, 5)), images[1], Image(np.zeros((3, 20, 20)), axes="CYX", name="colours")]
    results = service.segment_batch(bad, channel=None)
    assert [type(result) for result in results] == [Segmentation, Failure, Segmentation, Segmentation]
    results = service.segment_batch(bad, channel=2)
    assert [type(result) for result in results] == [Failure, Failure, Failure, Segmentation]
    assert [result.image for result in results[:3]] == ["0", "image 1", "1"]
    assert all(isinstance(result.error, ImageError) for result in results[:3])
    reported = service.health(dummy_inference=False).performance
    assert (reported.runs, reported.failures) == (4, 4)


def test_images_are_read_when_their_turn_comes(frugal, images):
    read = []

    def reader(index):
        def read_now():
            read.append(index)
            if index == 2:
                raise ImageError("2.tif: damaged")
            return images[index % len(images)]

        return read_now

    results = frugal.iter_batch(reader(index) for index in range(60))
    assert read == []
    first = next(results)
    assert first.provenance.image == "0"
    assert len(read) < 60
    rest = list(results)
    assert read == list(range(60))
    assert [type(result) for result in rest] == [Segmentation, Failure, *[Segmentation] * 57]
    assert str(rest[1]) == "2.tif: damaged"


def test_an_unfinished_batch_blocks_nobody(service, images):
    results = service.iter_batch(images)
    next(results)
    assert service.segment(images[0]).provenance.image == "0"
    service.unload()
    assert service.segment(images[1]).provenance.image == "1"
    assert next(results).provenance.image == "1"
    results.close()
    assert service.health().service_healthy


def test_what_concerns_all_images_is_raised(service, images):
    with pytest.raises(ParameterError, match="threshold"):
        service.segment_batch(images, threshold=7)
    service.close()
    with pytest.raises(UnetsegError, match="closed"):
        service.segment_batch(images)


def test_cancel_keeps_what_is_finished_and_reads_no_more(frugal, images):
    finished, read = [], []
    stop = threading.Event()

    def reader(index):
        read.append(index)
        return images[index]

    work = [lambda index=index: reader(index % len(images)) for index in range(60)]
    for result in frugal.iter_batch(work, cancel=stop.is_set):
        finished.append(result)
        stop.set()
    assert isinstance(finished[0], Segmentation)
    assert len(finished) == 60
    assert all(isinstance(result.error, Cancelled) for result in finished[1:] if isinstance(result, Failure))
    assert isinstance(finished[-1], Failure)
    assert len(read) < 60


def test_cancel_is_heard_while_another_image_has_the_device(service, images):
    holding, release = threading.Event(), threading.Event()

    def hold(_done, _total):
        holding.set()
        release.wait()

    first = threading.Thread(target=service.segment, args=(images[0],), kwargs={"progress": hold})
    first.start()
    holding.wait()
    results = service.segment_batch(images, cancel=lambda: True)
    release.set()
    first.join()
    assert all(isinstance(result.error, Cancelled) for result in results)


def test_no_images_give_no_results(service):
    assert service.segment_batch([]) == []

"""Where memory runs out beyond the network: a smaller step first, then a sentence, and never a library's error."""

import gc
from types import SimpleNamespace

import numpy as np
import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.errors import ModelError, OutOfMemory
from napari_unetseg.image import Image
from napari_unetseg.postprocessing import decoding
from napari_unetseg.service import Failure, stack_prediction

ERRORS = [MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("can't start new thread")]


class Scarce:
    """Stands for a function that memory does not suffice for, the first so many times."""

    def __init__(self, function, failures, error):
        self.function, self.failures, self.error, self.calls = function, failures, error, 0

    def __call__(self, *arguments, **options):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.function(*arguments, **options)


@pytest.fixture
def service(bright_model):
    return SegmentationService(bright_model, device="cpu")


@pytest.fixture
def scarce(monkeypatch):
    def make(owner, name, failures, error):
        stand_in = Scarce(getattr(owner, name), failures, error)
        monkeypatch.setattr(owner, name, stand_in)
        return stand_in

    return make


def runs_of(service, monkeypatch):
    """Let the network count its runs, and what it keeps how often it is freed."""
    (loaded_model,) = service._models.loaded_models
    counts = SimpleNamespace(runs=0, freed=0)
    run, release = loaded_model.backend.run, loaded_model.backend.release_memory

    def counted_run(*arguments, **options):
        counts.runs += 1
        return run(*arguments, **options)

    def counted_release():
        counts.freed += 1
        release()

    monkeypatch.setattr(loaded_model.backend, "run", counted_run)
    monkeypatch.setattr(loaded_model.backend, "release_memory", counted_release)
    return counts


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_a_finished_map_is_decoded_again_without_what_the_network_keeps(service, squares, scarce, monkeypatch, error):
    expected = service.segment(squares)
    counts = runs_of(service, monkeypatch)
    scarce(decoding, "_decode", 2, error)
    result = service.segment(squares)
    np.testing.assert_array_equal(result.labels, expected.labels)
    assert (counts.runs, counts.freed) == (1, 1)
    assert service.health(dummy_inference=False).performance.failures == 0


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_where_nothing_helps_a_sentence_names_the_image_and_says_what_to_do(service, squares, scarce, error, caplog):
    scarce(decoding, "_decode", 99, error)
    with pytest.raises(OutOfMemory, match=r"^cells: memory ran out while objects were read off .* segment a part"):
        service.segment(Image(squares, name="cells"))
    (failure,) = service.segment_batch([Image(squares, name="cells")])
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, OutOfMemory)
    assert not [record for record in caplog.records if record.exc_info]


def test_one_image_that_fails_for_want_of_memory_stops_no_other(service, squares, scarce):
    scarce(decoding, "_decode", 4, MemoryError())
    first, second = service.segment_batch([squares, squares])
    assert isinstance(first, Failure)
    assert second.count == 3


def test_relabelling_says_so_too_and_the_result_stays(service, squares, scarce):
    result = service.segment(squares)
    labels = result.labels.copy()
    scarce(decoding, "_decode", 2, MemoryError())
    with pytest.raises(OutOfMemory, match=r"^image: memory ran out while objects were read off"):
        result.relabel(min_size=50)
    np.testing.assert_array_equal(result.labels, labels)
    assert result.relabel(min_size=50).count == 2


def test_a_stack_without_room_for_its_maps_is_told(service, squares, scarce):
    scarce(stack_prediction, "allocate_map", 1, MemoryError())
    stack = Image(np.stack([squares, squares]), "ZYX", name="volume")
    with pytest.raises(OutOfMemory, match=r"^volume: memory ran out for the result"):
        service.segment(stack)
    assert service.segment(stack).count == 6


def test_whatever_else_runs_out_of_memory_is_a_sentence(service, squares, scarce):
    from napari_unetseg.service import segmentation

    service.segment(squares)
    scarce(segmentation, "record", 1, MemoryError())
    with pytest.raises(OutOfMemory, match=r"^image: memory ran out\. Close other programs"):
        service.segment(squares)


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_a_model_is_loaded_again_without_those_that_nobody_uses(
    service, bright_model, squares, published_checkpoint, tmp_path, monkeypatch, error
):
    published_checkpoint(tmp_path / "best.pth")
    service.segment(squares, model=tmp_path / "best.pth")
    load = service._models._load
    loaded_beside = []

    def needs_room(package, worker):
        loaded_beside.append(len(service._models.loaded_models))
        if loaded_beside[-1]:
            raise error
        return load(package, worker)

    monkeypatch.setattr(service._models, "_load", needs_room)
    assert service.segment(squares).count == 3
    assert loaded_beside == [1, 0]


def test_a_model_that_does_not_fit_at_all_is_told_and_one_in_use_stays(service, squares, monkeypatch):
    service.segment(squares)
    package = service.package

    def no_room(package, worker):
        raise MemoryError

    monkeypatch.setattr(service._models, "_load", no_room)
    with service._models.borrow(package), pytest.raises(OutOfMemory, match=r"^bright: memory ran out while the model"):
        service._models.reload(package)
    assert service.segment(squares).count == 3


def test_a_broken_model_is_loaded_once_and_says_its_own_fault(service, monkeypatch):
    calls = []

    def broken(package, worker):
        calls.append(package)
        raise ModelError("broken")

    monkeypatch.setattr(service._models, "_load", broken)
    with pytest.raises(ModelError, match="broken"):
        service.initialize()
    assert len(calls) == 1


@pytest.mark.parametrize("failures", [1, 2])
def test_a_health_check_is_tried_again_and_says_what_to_do(service, squares, monkeypatch, failures):
    service.segment(squares)
    (loaded_model,) = service._models.loaded_models
    stand_in = Scarce(loaded_model.backend.run, failures, MemoryError())
    monkeypatch.setattr(loaded_model.backend, "run", stand_in)
    health = service.health()
    assert health.service_healthy == (failures == 1)
    assert [problem.startswith("Memory ran out while the network looked") for problem in health.problems] == (
        [] if failures == 1 else [True]
    )


def test_what_ran_out_of_memory_holds_no_pixels(service, squares, monkeypatch):
    import weakref

    held = []

    def decode(probability, *arguments):
        held.append(weakref.ref(probability))
        raise MemoryError

    monkeypatch.setattr(decoding, "_decode", decode)
    (failure,) = service.segment_batch([squares])
    failure.error.__traceback__ = failure.error.__context__ = None
    gc.collect()
    assert [one() for one in held] == [None] * 4

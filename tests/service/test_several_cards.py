"""Machines with several graphics cards: one that is named, or all side by side."""

import threading
from itertools import count

import numpy as np
import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.service.forecast import Workload
from napari_unetseg.service.machine_profile import TunedBatch, profile_path, write_profile
from napari_unetseg.service.run_recipe import RunRecipe
from napari_unetseg.zoo.registry import find_model


@pytest.fixture
def cards(pretend_cards):
    return pretend_cards(2)


@pytest.mark.parametrize("by_settings", [True, False])
def test_one_card_is_named(cards, bright_model, settings, squares, by_settings):
    wanted = settings(model__device="cuda:1" if by_settings else "auto")
    with SegmentationService(bright_model, None if by_settings else "cuda:1", settings=wanted) as service:
        assert service._models.workers == 1
        assert service.forecast(Workload((64, 64))).device == "cuda"
        result = service.segment(squares)
        health = service.health()
        assert result.count == 3
        assert result.provenance.device == health.model_info.device == service.model_info().device == "cuda:1"
        assert result.provenance.device_reason == "The GPU Pretended 1 (cuda:1) was asked for."
        assert (cards[0].taken, cards[1].taken > 0) == (0, True)
        assert health.memory_usage.device_total_mb == cards[1].room / 2**20
        forecast = service.forecast(Workload((64, 64)))
        assert (forecast.device, forecast.reason) == ("cuda", result.provenance.device_reason)


def test_a_recipe_asks_for_any_card(cards, bright_model, settings, squares):
    with SegmentationService(bright_model, "cuda:1", settings=settings()) as service:
        recipe = RunRecipe.of(service.segment(squares).provenance)
        assert recipe.run.device == "cuda"
        assert recipe.differences(service.model_info()) == ()


def test_one_of_several_makes_has_the_size_that_was_measured_on_it(cards, bright_model, settings):
    sha256 = find_model(bright_model).card.weights.sha256
    write_profile("Pretended 1", sha256, TunedBatch(batch_size=2, max_batch_size=4, window=96, max_window=128))
    try:
        windows = []
        for device in ("cuda:0", "cuda:1"):
            with SegmentationService(bright_model, device, settings=settings()) as service:
                windows.append(service.segment(np.ones((200, 200), np.uint8)).provenance.largest_window)
    finally:
        profile_path().unlink()
    assert windows[0] > windows[1] == 96


def test_all_cards_have_a_model_of_their_own_and_give_it_back(cards, bright_model, settings, squares):
    with SegmentationService(bright_model, "auto", settings=settings()) as service:
        models, package = service._models, service.package
        assert models.workers == 2
        with models.borrow(package, 1) as second, models.borrow(package) as first:
            assert [one.device.name for one in (first, second)] == ["cuda:0", "cuda:1"]
            assert [one.facts.device for one in (first, second)] == ["cuda:0", "cuda:1"]
        assert cards[0].taken == cards[1].taken > 0
        service.unload()
        assert [card.taken for card in cards] == [0, 0]


def test_a_card_that_fails_is_left_out_with_a_warning(cards, bright_model, settings, squares):
    cards[1].works = False
    with SegmentationService(bright_model, "auto", settings=settings()) as service:
        models, package = service._models, service.package
        with models.borrow(package, 1) as second, models.borrow(package) as first:
            assert second is first
        (warning,) = service.health().warnings
        assert warning.startswith("The graphics card cuda:1 is left out: PyTorch finds the graphics card cuda:1, but")
        assert "no kernel image" in warning


def test_a_full_card_is_left_out_and_no_model_runs_on_the_cpu_for_it(cards, bright_model, settings, squares):
    cards[1].room = 10
    with SegmentationService(bright_model, "auto", settings=settings()) as service:
        models, package = service._models, service.package
        with models.borrow(package, 1) as second:
            assert second.device.name == "cuda:0"
        assert [len(models.loaded_models), cards[1].taken] == [1, 0]
        assert service.health().warnings == ("The graphics card cuda:1 is left out: GPU memory ran out.",)


def test_a_batch_is_shared_by_all_cards(cards, bright_model, settings, squares):
    both = threading.Barrier(2)
    with SegmentationService(bright_model, "auto", settings=settings(health__startup_validation=False)) as service:
        for card in cards:
            runs = count()
            card.before_run = lambda runs=runs: both.wait(60) if next(runs) == 0 else None
        results = service.segment_batch([squares] * 6)
    assert [result.count for result in results] == [3] * 6
    assert {result.provenance.device for result in results} == {"cuda:0", "cuda:1"}
    assert [card.taken for card in cards] == [0, 0]


def test_a_batch_does_without_a_card_that_fails(cards, bright_model, settings, squares):
    cards[1].works = False
    with SegmentationService(bright_model, "auto", settings=settings()) as service:
        for _ in range(2):
            results = service.segment_batch([squares] * 5)
            assert [(result.count, result.provenance.device) for result in results] == [(3, "cuda:0")] * 5
        assert service.segment(squares).provenance.device == "cuda:0"
        (warning,) = service.health().warnings
    assert "cuda:1 is left out" in warning


@pytest.mark.parametrize("word", ["gpu", "cuda:", "cuda:a", "1"])
def test_other_words_are_refused_by_the_settings(word):
    with pytest.raises(ValueError, match="one of several cards, such as 'cuda:1'"):
        Settings(unet={"model": {"device": word}})

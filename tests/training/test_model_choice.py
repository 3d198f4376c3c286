"""The model and the settings that are best are found, in bounded time, and nothing is hidden."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.training.dataset import DatasetError, Pair, pair_files
from napari_unetseg.training.model_choice import Candidate, Setting, annotated_part, choose_model, describe, spread

MakePairs = Callable[..., list[Pair]]


class FakeClock:
    """Goes on by what runs take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeResult:
    """Objects above a threshold of a map."""

    def __init__(self, probability: NDArray[np.float64], truth: NDArray[np.int32], threshold: float) -> None:
        self.labels = np.where(probability >= threshold, truth, 0).astype(np.int32)
        self._map, self._truth = probability, truth

    def relabel(self, *, threshold: float) -> "FakeResult":
        return FakeResult(self._map, self._truth, threshold)


class FakeModel:
    """Is as sure as `sure` of the objects 1, 2, ... of an image, whose pixels are their numbers."""

    def __init__(self, clock: FakeClock, sure: Callable[[Setting], list[float]], seconds: float = 1.0) -> None:
        self._clock, self._sure, self._seconds = clock, sure, seconds
        self.calls: list[Setting] = []

    def __call__(self, image: Image, *, channel: int | None, diameter: float | None, augment: bool) -> FakeResult:
        setting = Setting(channel, diameter, augment)
        self.calls.append(setting)
        self._clock.now += self._seconds * (8 if augment else 1)
        truth = np.asarray(image.array if image.array.ndim == 2 else image.array[0]).astype(np.int32)
        return FakeResult(np.array([0.0, *self._sure(setting)])[truth], truth, 0.5)


@pytest.fixture
def make_pairs(tmp_path: Path) -> MakePairs:
    """Write images whose three objects of 10 x 10 pixels have their numbers as pixels, and their annotations."""

    def make(
        count: int, *, annotate: Callable[[NDArray[np.int32]], NDArray[Any]] = lambda labels: labels, channels: int = 0
    ) -> list[Pair]:
        labels = np.zeros((40, 40), np.int32)
        labels[2:12, 2:12], labels[2:12, 20:30], labels[20:30, 2:12] = 1, 2, 3
        for number in range(count):
            image = labels.astype(np.uint8)
            image = np.stack([image] * channels) if channels else image
            for folder, pixels in (("images", image), ("masks", annotate(labels))):
                (tmp_path / folder).mkdir(exist_ok=True)
                metadata = {"axes": "CYX"} if pixels.ndim == 3 else {"axes": "YX"}
                tifffile.imwrite(
                    tmp_path / folder / f"{number}.tif",
                    pixels,
                    imagej=channels > 0 and folder == "images",
                    metadata=metadata,
                )
        return pair_files(tmp_path / "images", tmp_path / "masks", tmp_path / "none.csv")

    return make


def candidate(name: str, model: Any, object_size: float | None = None, *, wants_channels: bool = False) -> Candidate:
    card: Any = SimpleNamespace(object_size=object_size, image_size=None, wants_channels=wants_channels)
    return Candidate(name, card, model)


def test_the_best_model_and_threshold_come_first(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    unsure = FakeModel(clock, lambda _: [0.45, 0.45, 0.42])  # finds all, but at a lower threshold
    partial = FakeModel(clock, lambda _: [0.9, 0.9, 0.0])
    choice = choose_model(
        [candidate("partial", partial), candidate("unsure", unsure)], make_pairs(2), seconds=1000, clock=clock
    )
    best = choice.ranking[0]
    assert (best.candidate.name, best.setting, best.score) == ("unsure", Setting(threshold=0.4), 1.0)
    scores = {(one.candidate.name, one.setting): one.score for one in choice.ranking}
    assert scores["partial", Setting()] == pytest.approx(2 / 3)
    assert scores["unsure", Setting()] == 0
    assert (choice.images, choice.objects, choice.measure, choice.drawn) == (2, 6, "ap50", "objects")
    assert best.seconds_per_megapixel == pytest.approx(1 / 0.0016)


def test_the_simpler_setting_wins_where_scores_are_equal(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    choice = choose_model(
        [candidate("sure", FakeModel(clock, lambda _: [0.9, 0.9, 0.9]), 40.0)], make_pairs(1), seconds=1000, clock=clock
    )
    assert choice.ranking[0].setting == Setting()
    tried = {one.setting for one in choice.ranking}
    assert Setting(diameter=11) in tried  # 2 * sqrt(100 / pi)
    assert Setting(augment=True) in tried


def test_the_size_of_the_objects_and_flips_are_found_to_help(make_pairs: MakePairs) -> None:
    clock = FakeClock()

    def sure(setting: Setting) -> list[float]:
        return [0.9, 0.9 if setting.diameter else 0.0, 0.9 if setting.diameter and setting.augment else 0.0]

    choice = choose_model([candidate("sized", FakeModel(clock, sure), 40.0)], make_pairs(1), seconds=1000, clock=clock)
    assert choice.ranking[0].setting == Setting(diameter=11, augment=True)
    assert describe(choice.ranking[0].setting) == "diameter 11, flips and turns"


def test_single_channels_are_tried(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    model = FakeModel(clock, lambda setting: [0.9 if setting.channel == 1 else 0.0] * 3)
    choice = choose_model([candidate("one", model)], make_pairs(1, channels=2), seconds=1000, clock=clock)
    assert choice.ranking[0].setting == Setting(channel=1)


def test_a_size_that_the_model_expects_is_not_tried(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    model = FakeModel(clock, lambda _: [0.9] * 3)
    choose_model([candidate("one", model, 11.5)], make_pairs(1), seconds=1000, clock=clock)
    assert {call.diameter for call in model.calls} == {None}


def test_time_is_bounded_and_what_is_left_out_is_named(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    models = [FakeModel(clock, lambda _: [0.9, 0.9, 0.0]) for _ in range(2)]
    candidates = [candidate(name, model, 40.0) for name, model in zip("ab", models, strict=True)]
    choice = choose_model(candidates, make_pairs(50), seconds=20, clock=clock)
    # Two models, a second each: five images in half of the time, then the size on these for both.
    assert choice.images == 5
    assert clock.now == 20
    assert [(one.name, setting) for one, setting in choice.not_tried] == [("a", Setting(augment=True))]
    assert choice.drawn == "images"


def test_one_image_is_tried_however_long_it_takes(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    choice = choose_model(
        [candidate("a", FakeModel(clock, lambda _: [0.9] * 3))], make_pairs(3), seconds=0, clock=clock
    )
    assert choice.images == 1


def test_a_model_that_fails_is_told_and_out(make_pairs: MakePairs) -> None:
    clock = FakeClock()

    def broken(image: Image, **options: Any) -> Any:
        raise ModelError("The weights are missing.")

    choice = choose_model(
        [candidate("broken", broken), candidate("good", FakeModel(clock, lambda _: [0.9] * 3))],
        make_pairs(2),
        seconds=100,
        clock=clock,
    )
    assert {one.candidate.name for one in choice.ranking} == {"good"}
    assert [failed.stem for failed in choice.failures] == ["broken"]
    with pytest.raises(UnetsegError, match="No model could be run"):
        choose_model([candidate("broken", broken)], make_pairs(2), seconds=100, clock=clock)


@pytest.mark.parametrize("fails", ["channel", "diameter", "augment"])
def test_a_model_that_fails_with_a_setting_is_out(make_pairs: MakePairs, fails: str) -> None:
    clock = FakeClock()
    works = FakeModel(clock, lambda _: [0.9, 0.9, 0.1])

    def broken(image: Image, **options: Any) -> Any:
        if options[fails]:
            raise ModelError("no memory")
        return FakeModel(clock, lambda _: [0.9] * 3)(image, **options)

    pairs = make_pairs(2, channels=2)
    both = [candidate("broken", broken, 40), candidate("works", works, 40)]
    choice = choose_model(both, pairs, seconds=100, clock=clock)
    assert {one.candidate.name for one in choice.ranking} == {"works"}
    assert [failed.stem for failed in choice.failures] == ["broken"]
    with pytest.raises(UnetsegError, match="No model could be run: broken: no memory"):
        choose_model(both[:1], pairs, seconds=100, clock=clock)


def test_an_image_that_cannot_be_used_is_told(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    pairs = make_pairs(3)
    pairs[1].mask.unlink()
    choice = choose_model([candidate("a", FakeModel(clock, lambda _: [0.9] * 3))], pairs, seconds=100, clock=clock)
    assert choice.images == 2
    assert [failed.stem for failed in choice.failures] == ["1"]


def test_images_without_labels_are_refused(make_pairs: MakePairs) -> None:
    pairs = make_pairs(2, annotate=lambda labels: 0 * labels)
    with pytest.raises(DatasetError, match="no image has an annotated object"):
        choose_model([candidate("a", None)], pairs, seconds=100)


def test_a_mask_is_scored_by_its_foreground(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    pairs = make_pairs(1, annotate=lambda labels: (labels > 0).astype(np.uint8))
    choice = choose_model(
        [candidate("a", FakeModel(clock, lambda _: [0.9, 0.9, 0.0]))], pairs, seconds=100, clock=clock
    )
    assert choice.measure == "dice"
    assert choice.ranking[0].score == pytest.approx(0.8)


def test_what_is_not_annotated_counts_for_nothing(make_pairs: MakePairs) -> None:
    clock = FakeClock()

    def left_half(labels: NDArray[np.int32]) -> NDArray[np.int16]:
        partly = labels.astype(np.int16)
        partly[:, 15:] = -1
        return partly

    model = FakeModel(clock, lambda _: [0.9, 0.9, 0.9])
    choice = choose_model([candidate("a", model)], make_pairs(1, annotate=left_half), seconds=100, clock=clock)
    assert choice.objects == 2
    assert choice.ranking[0].score == 1


def test_objects_that_are_mostly_outside_go() -> None:
    truth = np.array([[0, 1, 1, -1, -1, -1]], np.int32)
    predicted = np.array([[2, 3, 3, 3, 4, 4]], np.int32)
    found, known = annotated_part(predicted, truth)
    assert found.tolist() == [[2, 3, 3, 0, 0, 0]]
    assert known.tolist() == [[0, 1, 1, 0, 0, 0]]


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_the_first_images_come_from_all_over_the_list(count: int) -> None:
    pairs = [Pair(str(at), Path(), Path(), "image") for at in range(count)]
    order = [int(pair.stem) for pair in spread(pairs)]
    assert sorted(order) == list(range(count))
    if count == 64:
        assert sorted(order[:4]) == [0, 16, 32, 48]


def test_a_model_of_several_channels_is_not_tried_with_one(make_pairs: MakePairs) -> None:
    clock = FakeClock()
    model = FakeModel(clock, lambda _: [0.9] * 3)
    two = candidate("two", model, wants_channels=True)
    choice = choose_model([two], make_pairs(1, channels=2), seconds=1000, clock=clock)
    assert {setting.channel for setting in model.calls} == {None}
    assert choice.ranking[0].score == 1

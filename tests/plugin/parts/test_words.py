from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.plugin.parts import words
from napari_unetseg.plugin.parts.card_text import describe_model
from napari_unetseg.plugin.parts.result_summary import Summary, summarise
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service import Segmentation
from napari_unetseg.zoo.registry import read_package


def test_numbers_are_said_as_people_say_them() -> None:
    assert [words.count(n) for n in (0, 1, 1312)] == ["0 objects", "1 object", "1,312 objects"]
    assert [words.duration(s) for s in (0.04, 4.13, 38.4, 200)] == ["0.0 s", "4.1 s", "38 s", "3 min"]


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [(62, 100, 5.0, "62 % · 3 s left"), (1, 3, 600, "33 % · 20 min left"), (9, 9, 5, "100 % · 1 s left")],
)
def test_time_left_is_what_the_measured_tiles_say(done: int, total: int, seconds: float, text: str) -> None:
    assert words.tile_progress(done, total, seconds) == text


def test_cancelled_says_how_far_it_came() -> None:
    assert words.cancelled_at(62) == "Cancelled at 62 %. Nothing was added."
    assert words.cancelled_at(None) == "Cancelled before the first tile. Nothing was added."


def test_errors_for_users_are_shown_as_they_are_and_others_as_defects() -> None:
    assert words.describe_error(ModelError("a.yaml: no name.")).sentence == "a.yaml: no name."
    failure = words.describe_error(KeyError("x"))
    assert "KeyError" in failure.sentence
    assert "report" in failure.sentence
    assert "memory" in words.describe_error(MemoryError()).sentence


def test_an_empty_result_names_what_stands_in_the_way() -> None:
    parameters = DecodeParameters(threshold=0.5, min_size=20)
    assert words.nothing_found(Summary(0, 0.31, 0.28), parameters) == (
        "No objects above 0.50. The highest confidence was 0.31."
    )
    assert "at least 20 px" in words.nothing_found(Summary(0, 0.9), parameters)
    unsure = words.nothing_found(Summary(0, 0.9, surest=0.629), parameters)
    assert unsure == "All objects were dropped: their mean confidence was at most 0.62. Lower 'Confidence ≥'."


def test_the_suggested_threshold_leaves_room_for_one_object(segmentation: Segmentation) -> None:
    assert summarise(segmentation) == Summary(3)
    empty = segmentation.relabel(threshold=1.0, min_size=64)
    summary = summarise(empty)
    assert summary.count == 0
    assert summary.suggestion is not None
    assert summarise(empty.relabel(threshold=summary.suggestion)).count == 1


def test_objects_that_were_dropped_as_unsure_are_told_from_small_ones(segmentation: Segmentation) -> None:
    assert segmentation.confidence is not None
    means = segmentation.confidence.objects
    dropped = summarise(segmentation.relabel(min_confidence=1.0))
    assert (dropped.count, dropped.suggestion, dropped.surest) == (0, None, means.max())
    assert summarise(segmentation.relabel(min_confidence=1.0, min_size=65)).surest is None
    assert summarise(segmentation.relabel(min_confidence=1.0, threshold=1.0)).surest is None


def test_looking_for_dropped_objects_can_be_cancelled(segmentation: Segmentation) -> None:
    stack = replace(
        segmentation,
        probability=np.stack([segmentation.probability] * 2, axis=1),
        labels=np.zeros((2, *segmentation.labels.shape), np.int32),
        parameters=segmentation.parameters.model_copy(update={"min_confidence": 1.0}),
    )
    with pytest.raises(Cancelled):
        summarise(stack, lambda: True)


def test_the_card_is_told_in_full(bright_model: Path) -> None:
    package = read_package(bright_model, "path")
    text = describe_model(package)
    for part in (package.card.description, "12 px", package.card.licence, package.card.weights.sha256):
        assert part in text


def test_a_device_is_named_and_of_several_which() -> None:
    names = {device: words.device_words(device) for device in ("cpu", "cuda", "cuda:1", "mps", "tpu:3")}
    assert names == {
        "cpu": "CPU",
        "cuda": "NVIDIA GPU",
        "cuda:1": "NVIDIA GPU (cuda:1)",
        "mps": "Apple GPU",
        "tpu:3": "tpu:3",
    }

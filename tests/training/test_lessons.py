import numpy as np
import pytest
import torch

from napari_unetseg.image import Image
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.corrected_regions import Region, find_regions
from napari_unetseg.training.lessons import card_for, magnified, make_lesson, score_regions, scored_by, tuned_parameters
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import find_model

CPU = torch.device("cpu")
POOL = torch.zeros(2, 3, 64, 64), torch.zeros(2, 2, 64, 64)


@pytest.fixture(scope="module")
def card() -> ModelCard:
    """The card of a model that sees diameters from 12 to 100 pixels well."""
    return find_model("nuclei").card


def region_of(card: ModelCard, width: int, count: int = 6, side: int = 300) -> Region:
    """Draw squares in rows, bright on dark."""
    labels = np.zeros((side, side), np.int32)
    step = side // count
    for number in range(count):
        labels[10 : 10 + width, number * step + 2 : number * step + 2 + width] = number + 1
    (region,) = find_regions([CorrectedImage("squares", Image((200 * (labels > 0)).astype(np.uint8)), labels)], card)
    return region


def test_a_card_sees_well_what_was_learnt(card: ModelCard) -> None:
    usual = card_for(card, [region_of(card, 20)])
    assert usual == card
    large = card_for(card, [region_of(card, 140, count=2)])
    assert large.object_sizes is not None
    assert large.object_sizes[0] == 12.0
    assert large.object_sizes[1] > 140 * 2 / np.pi**0.5
    small = card_for(card, [region_of(card, 4)])
    assert small.object_sizes == card.object_sizes
    assert small.parameters.min_size == 8  # half of a square
    assert small.parameters.threshold == card.parameters.threshold


def test_small_objects_are_learnt_enlarged_too(card: ModelCard) -> None:
    region = region_of(card, 8)
    lesson = make_lesson([region], POOL, card)
    first, second = lesson.samples
    assert first.labels.shape == region.labels.shape
    assert np.median(second.diameters) == pytest.approx(card.object_size, rel=0.1)
    assert lesson.weights[1] > lesson.weights[0]
    assert sum(lesson.weights) == pytest.approx(1)
    assert len(make_lesson([region_of(card, 20)], POOL, card).samples) == 1


def test_labels_keep_their_numbers_when_a_region_is_enlarged(card: ModelCard) -> None:
    region = region_of(card, 8)
    region.labels[200:] = -1
    enlarged = magnified(region, 2.0)
    assert enlarged.labels.shape == (600, 600)
    assert np.array_equal(np.unique(enlarged.labels), np.unique(region.labels))
    assert np.array_equal(enlarged.labels[::2, ::2], region.labels)
    assert enlarged.pixels.shape == (3, 600, 600)


def test_objects_decide_where_there_are_enough_and_they_are_told_apart(card: ModelCard) -> None:
    assert scored_by([region_of(card, 20)], card) == "ap50"
    assert scored_by([region_of(card, 20, count=2)], card) == "dice"
    assert scored_by([region_of(card, 20)], card.model_copy(update={"decoder": "threshold"})) == "dice"


def test_only_what_is_annotated_is_scored(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    region = region_of(card, 20)
    region.labels[:, 150:] = -1
    # The model finds every square, also those at which nobody looked.
    answer = np.stack([region.pixels[0], np.zeros_like(region.pixels[0])])
    monkeypatch.setattr("napari_unetseg.training.lessons.answer_maps", lambda *arguments: answer)
    assert score_regions(torch.nn.Identity(), [region], card, CPU) == {"ap50": 1.0, "dice": 1.0}


def test_another_split_is_taken_only_where_it_is_better(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    card = card.model_copy(update={"parameters": card.parameters.model_copy(update={"split": 0.4})})
    region = region_of(card, 20)
    scored = {0.3: 0.2, 0.4: 0.5, 0.5: 0.9, 0.6: 0.9}
    monkeypatch.setattr("napari_unetseg.training.lessons.answer_maps", lambda *arguments: region.pixels[:2])
    monkeypatch.setattr(
        "napari_unetseg.training.lessons._score",
        lambda maps, regions, card, parameters: {"ap50": scored[parameters.split], "dice": 0.8},
    )
    network = torch.nn.Identity()
    chosen = tuned_parameters(network, [region], card, CPU, "ap50")
    assert (chosen.split, chosen.threshold) == (0.5, card.parameters.threshold)
    assert tuned_parameters(network, [region], card, CPU, "dice") == card.parameters

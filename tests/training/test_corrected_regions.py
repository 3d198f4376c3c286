import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.corrected_images import CorrectedImage, CorrectedImageError
from napari_unetseg.training.corrected_regions import (
    AROUND,
    LARGEST,
    divide,
    find_regions,
    typical_diameter_of,
    whole_objects,
    with_parts_numbered,
)
from napari_unetseg.zoo.card import Head, ModelCard, WeightsFile

CARD = ModelCard(
    name="some",
    display_name="Some",
    description="",
    architecture={"name": "unet"},
    outputs=(Head(name="foreground"),),
    decoder="threshold",
    parameters=DecodeParameters(),
    weights=WeightsFile(sha256=""),
    licence="none",
)


def corrected(labels: np.ndarray) -> CorrectedImage:
    pixels = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    return CorrectedImage("field", Image(pixels), labels.astype(np.int32))


def test_an_image_annotated_all_over_is_one_region() -> None:
    labels = np.zeros((50, 60), np.int32)
    labels[5:9, 5:9] = 3
    (region,) = find_regions([corrected(labels)], CARD)
    assert region.pixels.shape == (3, 50, 60)
    assert np.array_equal(region.labels > 0, labels > 0)
    assert region.annotated == 3000


def test_parts_apart_are_regions_with_their_surroundings_and_the_look_of_the_whole_image() -> None:
    labels = np.full((400, 300), -1)
    labels[100:140, 100:150] = 0
    labels[150:160, 100:150] = 1  # near enough to belong to it
    labels[350:360, 10:20] = 2
    first, second = find_regions([corrected(labels)], CARD)
    assert first.annotated == 40 * 50 + 10 * 50
    assert first.labels.shape == (60 + 2 * AROUND, 50 + 2 * AROUND)
    assert second.annotated == 100
    assert second.labels.shape == (10 + AROUND + 40, 20 + AROUND)
    # The darkest pixel of the image is 0, wherever a region lies.
    assert second.pixels.min() > 0.6


def test_large_regions_are_divided() -> None:
    regions = find_regions([corrected(np.zeros((64, LARGEST + 10), np.int32))], CARD)
    assert sum(region.annotated for region in regions) == 64 * (LARGEST + 10)
    assert len(regions) == 2


def test_halves_of_a_region_share_its_pixels() -> None:
    labels = np.full((100, 300), -1)
    labels[20:80, 20:280] = np.arange(260) // 10 + 1
    (region,) = find_regions([corrected(labels)], CARD)
    first, second = divide(region)
    assert first.annotated + second.annotated == region.annotated
    assert abs(first.annotated - second.annotated) <= 60
    assert not set(np.unique(first.labels)) & set(np.unique(second.labels)) - {-1}


@pytest.mark.parametrize("turned", [1, -1])
def test_no_half_is_empty_where_most_is_at_an_edge(turned: int) -> None:
    labels = np.full((20, 40), -1)
    labels[3, :15], labels[:15, 15] = 0, 1
    (region,) = find_regions([corrected(labels[:, ::turned])], CARD)
    assert all((half.labels >= 0).any() for half in divide(region))


def test_a_single_pixel_is_no_region() -> None:
    with pytest.raises(CorrectedImageError, match="nothing is annotated"):
        find_regions([corrected(np.ones((1, 1)))], CARD)


def test_nothing_annotated_is_refused() -> None:
    with pytest.raises(CorrectedImageError, match="nothing is annotated"):
        find_regions([corrected(np.full((20, 20), -1))], CARD)


def test_only_whole_objects_tell_how_large_objects_are() -> None:
    labels = np.full((80, 80), -1, np.int32)
    labels[10:70, 10:70] = 0
    labels[10:15, 10:40] = 1  # goes on where nobody looked
    labels[30:40, 30:40] = 2
    assert set(np.unique(whole_objects(labels))) == {0, 2}
    (region,) = find_regions([corrected(labels)], CARD)
    assert typical_diameter_of([region]) == pytest.approx(10 * 2 / np.pi**0.5)


def test_parts_of_a_mask_of_one_value_are_objects() -> None:
    mask = np.zeros((20, 20), np.int32)
    mask[2:6, 2:6] = mask[10:15, 10:15] = 255
    mask[19] = -1
    numbered = with_parts_numbered(mask)
    assert set(np.unique(numbered)) == {-1, 0, 1, 2}
    several = np.where(mask == 255, np.arange(20)[:, None], mask).astype(np.int32)
    assert with_parts_numbered(several) is several

import dataclasses

import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.training.corruptions import CORRUPTIONS, NOISE, PHOTONS, Corruption

BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}
STEM, SEED = "field", 3


def grey(dtype: type = np.uint8) -> Image:
    values = np.arange(48).reshape(6, 8) * 4 + 10
    return Image(values.astype(dtype), name="grey")


def colours() -> Image:
    rng = np.random.default_rng(0)
    return Image(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), "YXC", rgb=True, name="colours")


def channels() -> Image:
    return Image(np.random.default_rng(1).random((2, 6, 8), np.float32), "CYX", name="channels")


def labels() -> np.ndarray:
    numbers = np.zeros((6, 8), np.int32)
    numbers[0:3, 0:4] = 1
    numbers[3:6, 4:8] = 2
    return numbers


def corrupt(name: str, image: Image, seed: int = SEED) -> tuple[Image, np.ndarray]:
    return BY_NAME[name](image, labels(), STEM, seed)


def pixels(name: str, image: Image) -> np.ndarray:
    return corrupt(name, image)[0].array


@pytest.mark.parametrize("image", [grey(), grey(np.uint16), colours(), channels()], ids=lambda image: image.name)
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_every_corruption_takes_every_image_and_leaves_it_as_it_was(corruption: Corruption, image: Image) -> None:
    before, numbers = image.array.copy(), labels()
    if not corruption.concerns(image):
        return
    seen, there = corruption(image, numbers, STEM, SEED)
    assert seen.shape == there.shape
    assert there.dtype == np.int32
    assert np.isfinite(seen.array).all()
    np.testing.assert_array_equal(image.array, before)
    np.testing.assert_array_equal(numbers, labels())


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_a_seed_gives_the_same_image_again(corruption: Corruption) -> None:
    one, other = (corruption(colours(), labels(), STEM, SEED)[0].array for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["gaussian noise", "poisson noise", "uneven light"])
def test_what_is_random_depends_on_seed_and_stem(name: str) -> None:
    first = corrupt(name, grey())[0].array
    assert (first != corrupt(name, grey(), seed=SEED + 1)[0].array).any()
    assert (first != BY_NAME[name](grey(), labels(), "another", SEED)[0].array).any()


def test_inversion_swaps_the_ends_of_the_range() -> None:
    np.testing.assert_array_equal(pixels("inverted", grey()), 208 - grey().array)
    assert pixels("inverted", grey()).dtype == np.uint8


def test_gamma_bends_between_the_ends_of_the_range() -> None:
    image = Image(np.array([[10, 60, 110, 210]], np.uint8))
    np.testing.assert_array_equal(
        BY_NAME["gamma 2"](image, labels(), STEM, SEED)[0].array, [[10, 22, 60, 210]]
    )  # 10 + 200 * (0, 1/16, 1/4, 1), 22.5 to even
    np.testing.assert_array_equal(BY_NAME["gamma 0.5"](image, labels(), STEM, SEED)[0].array, [[10, 110, 151, 210]])


def test_contrast_is_halved_about_the_mean() -> None:
    image = Image(np.array([[0, 100], [100, 200]], np.uint8))
    np.testing.assert_array_equal(
        BY_NAME["half the contrast"](image, labels(), STEM, SEED)[0].array, [[50, 100], [100, 150]]
    )


def test_brightness_rises_by_a_quarter_of_the_range_and_is_cut_at_white() -> None:
    image = Image(np.array([[55, 100, 200, 255]], np.uint8))
    np.testing.assert_array_equal(BY_NAME["brighter"](image, labels(), STEM, SEED)[0].array, [[105, 150, 250, 255]])


def test_blur_stays_in_the_plane_and_keeps_constants() -> None:
    image = Image(np.stack([np.zeros((9, 9)), np.ones((9, 9))]).astype(np.float32), "CYX")
    np.testing.assert_allclose(pixels("gaussian blur", image), image.array, atol=1e-6)
    point = np.zeros((31, 31), np.float32)
    point[15, 15] = 1
    blurred = pixels("gaussian blur", Image(point))
    across = np.arange(-15, 16)
    assert (blurred.sum(axis=0) * across**2).sum() == pytest.approx(1.5**2, rel=0.01)


def test_noise_has_its_strength() -> None:
    ramp = np.linspace(0, 200, 10_000).reshape(100, 100).astype(np.float32)
    assert (pixels("gaussian noise", Image(ramp)) - ramp).std() == pytest.approx(NOISE * 200, rel=0.05)
    photons = pixels("poisson noise", Image(ramp)) * PHOTONS / 200
    np.testing.assert_allclose(photons, photons.round(), atol=1e-3)
    brightest = ramp > 190
    assert (photons - ramp / 2)[brightest].std() == pytest.approx(np.sqrt(97.5), rel=0.2)


def test_light_falls_off_to_one_half() -> None:
    light = pixels("uneven light", Image(np.ones((50, 40), np.float32)))
    assert light.min() == pytest.approx(0.5)
    assert light.max() == pytest.approx(1)
    assert light.mean() == pytest.approx(0.75)


def test_jpeg_changes_a_picture_a_little_and_makes_bytes() -> None:
    deep = Image((grey().array.astype(np.uint16) - 10) * 300)
    seen = pixels("jpeg", deep)
    assert seen.dtype == np.uint8
    assert np.abs(seen.astype(float) - deep.array / deep.array.max() * 255).max() < 40
    assert (seen != np.round(deep.array / deep.array.max() * 255)).any()


def test_pixels_are_binned_and_labels_vote() -> None:
    image = Image(np.array([[1, 3, 9], [5, 7, 9], [9, 9, 9]], np.uint8))
    numbers = np.array([[0, 2, 1], [2, 2, 1], [1, 1, 1]], np.int32)
    seen, there = BY_NAME["half the size"](image, numbers, STEM, SEED)
    np.testing.assert_array_equal(seen.array, [[4]])
    np.testing.assert_array_equal(there, [[2]])


def test_magnified_labels_are_binned_back() -> None:
    image, numbers = corrupt("double the size", grey())
    assert image.shape == (12, 16)
    np.testing.assert_array_equal(image.array.min(), grey().array.min())
    again, there = BY_NAME["half the size"](image, numbers, STEM, SEED)
    np.testing.assert_array_equal(there, labels())
    np.testing.assert_allclose(again.array.astype(int), grey().array, atol=10)


def test_16_bits_keep_every_value() -> None:
    np.testing.assert_array_equal(pixels("16 bits", grey()), grey().array.astype(np.uint16) * 257)
    deep = pixels("16 bits", channels())
    assert (deep.min(), deep.max(), deep.dtype) == (0, 65535, np.uint16)


def test_a_grey_image_is_shown_in_blue() -> None:
    seen, _ = corrupt("blue alone", grey())
    assert seen.rgb
    assert seen.axes == "YXC"
    np.testing.assert_array_equal(seen.array[..., 2], grey().array)
    assert not seen.array[..., :2].any()


def test_channels_are_swapped_where_they_differ() -> None:
    np.testing.assert_array_equal(pixels("channels swapped", colours()), colours().array[..., ::-1])
    concerns = BY_NAME["channels swapped"].concerns
    assert concerns(colours())
    assert not concerns(grey())
    assert not concerns(Image(np.repeat(grey().array[..., np.newaxis], 3, axis=-1), "YXC", rgb=True))


def test_image_and_labels_turn_together() -> None:
    seen, there = corrupt("rotated by 90 degrees", colours())
    np.testing.assert_array_equal(seen.array, np.rot90(colours().array))
    np.testing.assert_array_equal(there, np.rot90(labels()))


def test_alpha_is_dropped() -> None:
    alpha = np.full((6, 8, 1), 255, np.uint8)
    picture = dataclasses.replace(colours(), array=np.concatenate([colours().array, alpha], axis=-1))
    np.testing.assert_array_equal(pixels("inverted", picture), pixels("inverted", colours()))

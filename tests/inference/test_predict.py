import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.predict import predict
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.inference.tiling.plan import BANDED_TILE, TILE
from napari_unetseg.zoo.card import IMAGENET, Head

AS_IS = (Head(name="foreground", activation="sigmoid"), Head(name="distance", activation="sigmoid"))


@pytest.fixture
def backend(make, runtime):
    return runtime(make.network())


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class NarrowHalo:
    """The same backend, claiming to see only half as far as it does."""

    def __init__(self, backend):
        self._backend = backend
        self.receptive_radius = backend.receptive_radius // 2

    def __getattr__(self, name):
        return getattr(self._backend, name)


def difference(image, card, backend, tiled_by, window):
    """Largest difference between tiles and the whole image, and how many tiles there were."""
    whole = predict(image, card, backend)
    tiles = predict(image, card, tiled_by, PredictOptions(window=window, batch_size=3))
    assert whole.tiles == 1
    assert whole.probability.std() > 0.05
    return np.abs(whole.probability - tiles.probability).max(), tiles.tiles


def test_tiles_give_what_the_whole_image_gives(card, backend):
    largest, tiles = difference(Image.of(noise(203, 317)), card, backend, backend, 80)
    assert tiles >= 9
    assert largest <= 1e-5


def test_tiles_of_a_deep_network_give_what_the_whole_image_gives(make, card):
    backend = make.backend(make.network((4, 4, 4, 4, 4)))
    largest, tiles = difference(Image.of(noise(475, 469)), card, backend, backend, 320)
    assert tiles >= 9
    assert largest <= 1e-5


@pytest.mark.parametrize(("depth", "shape", "window"), [(2, (203, 317), 80), (4, (475, 469), 320)])
def test_half_the_halo_is_not_enough(make, depth, shape, window):
    backend = make.backend(make.shifting_network(depth), AS_IS)
    image = Image.of(noise(*shape))
    exact, tiles = difference(image, make.card(AS_IS), backend, backend, window)
    assert tiles >= 9
    assert exact <= 1e-5
    wrong, _ = difference(image, make.card(AS_IS), backend, NarrowHalo(backend), window)
    assert wrong > 0.1


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 300), (3, 3), (7, 4), (8, 8), (15, 17), (63, 1)])
def test_any_size_from_one_pixel(make, runtime, card, norm, shape):
    prediction = predict(Image.of(noise(*shape)), card, runtime(make.network(norm=norm)))
    assert prediction.probability.shape == (2, *shape)
    assert prediction.probability.dtype == np.float32
    assert np.isfinite(prediction.probability).all()
    assert prediction.probability.min() >= 0
    assert prediction.probability.max() <= 1


def seen_shape(shape, counting, card):
    predict(Image.of(noise(*shape)), card, counting)
    (seen,) = counting.shapes
    return seen[2:]


@pytest.mark.parametrize(
    ("shape", "padded"), [((1, 1), (4, 4)), ((4, 5), (4, 8)), ((8, 8), (8, 8)), ((9, 30), (12, 32))]
)
def test_exact_tiles_are_padded_to_the_grid(counting, card, shape, padded):
    assert seen_shape(shape, counting, card) == padded


def test_image_wide_statistics_are_not_tiled_where_the_image_fits(make, runtime, card):
    backend = runtime(make.network(norm="instance"))
    image = Image.of(noise(150, 131))
    prediction = predict(image, card, backend, PredictOptions(window=64))
    assert (prediction.tiles, prediction.window, prediction.halo) == (1, 150, 0)
    assert np.array_equal(prediction.probability, predict(image, card, backend).probability)


def blended_naively(image, card, backend, window):
    """Average windows that overlap by a quarter, with gaussian weights, one accumulator for each sum."""
    pixels = normalise(image, card.normalisation, 3).array
    height, width = image.shape
    y, x = np.mgrid[:window, :window] - (window - 1) / 2
    sigma = window / 8
    weights = np.maximum(np.exp(-(y**2) / 2 / sigma**2), 1e-3) * np.maximum(np.exp(-(x**2) / 2 / sigma**2), 1e-3)
    total, seen = np.zeros((2, height, width)), np.zeros((height, width))
    step, windows = window * 3 // 4, 0
    for top in [*range(0, height - window, step), height - window]:
        for left in [*range(0, width - window, step), width - window]:
            place = slice(top, top + window), slice(left, left + window)
            total[:, *place] += weights * backend.run(pixels[None, :, *place])[0]
            seen[place] += weights
            windows += 1
    return total / seen, windows


@pytest.mark.parametrize("shape", [(150, 131), (112, 64), (64, 65)])
def test_windows_are_blended_where_statistics_are_image_wide_and_the_image_does_not_fit(make, runtime, card, shape):
    backend = runtime(make.network(norm="instance"))
    image = Image.of(noise(*shape), name="slide")
    expected, windows = blended_naively(image, card, backend, 64)
    prediction = predict(image, card, backend, PredictOptions(window=64, largest_whole=64 * 64))
    assert np.abs(prediction.probability - expected).max() <= 1e-5
    assert (prediction.tiles, prediction.window, prediction.halo) == (windows, 64, 0)
    (warning,) = prediction.warnings
    assert warning.startswith(f"slide: with {shape[0]} x {shape[1]} pixels")
    assert f"{windows} windows of 64 x 64 pixels" in warning


def test_an_image_narrower_than_a_blended_window_is_divided_along_the_other_axis(make, runtime, card):
    backend = runtime(make.network(norm="instance"))
    prediction = predict(Image.of(noise(3, 200)), card, backend, PredictOptions(window=64, largest_whole=100))
    assert (prediction.tiles, prediction.window) == (4, 64)
    assert prediction.probability.shape == (2, 3, 200)
    assert 0 < prediction.probability.min() <= prediction.probability.max() < 1


def resized(shape, image_size, card, backend):
    """What PyTorch makes of an image that is stretched, run, and stretched back."""
    image = Image.of(noise(*shape))
    card = card.model_copy(update={"image_size": image_size, "normalisation": IMAGENET})
    rgb = torch.from_numpy(np.repeat(image.array[None].astype(np.float32) / 255, 3, axis=0))
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET.mean, IMAGENET.std))
    network_input = functional.interpolate(((rgb - mean) / std)[None], image_size, mode="bilinear", antialias=True)
    output = torch.from_numpy(backend.run(network_input.numpy()))
    return predict(image, card, backend), functional.interpolate(output, shape, mode="bilinear")[0].numpy()


@pytest.mark.parametrize("shape", [(20, 30), (64, 64), (150, 91), (1, 1)])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_fixed_size_is_stretched_to_and_the_probability_stretched_back(make, runtime, card, norm, shape):
    prediction, expected = resized(shape, (64, 48), card, runtime(make.network(norm=norm)))
    assert prediction.probability.shape == (2, *shape)
    # PyTorch rounds the weights of its interpolation to float32, and the network makes more of it.
    assert np.abs(prediction.probability - expected).max() <= 2e-5
    assert (prediction.resized_to, prediction.tiles, prediction.window, prediction.halo) == ((64, 48), 1, 64, 0)


def test_a_fixed_size_is_never_tiled_and_pixels_without_a_value_stay_background(counting, card):
    card = card.model_copy(update={"image_size": (32, 32)})
    pixels = noise(90, 70).astype(np.float32)
    pixels[10:20, 30:33] = np.nan
    reported = []
    prediction = predict(
        Image.of(pixels),
        card,
        counting,
        PredictOptions(window=40, largest_whole=1, progress=lambda *done: reported.append(done)),
    )
    assert counting.shapes == [(1, 3, 32, 32)]
    assert reported == [(1, 1)]
    assert not prediction.probability[:, 10:20, 30:33].any()
    assert np.count_nonzero(prediction.probability == 0.75) == 2 * (90 * 70 - 30)


def test_a_cancel_is_seen_before_a_stretched_image_runs(counting, card):
    card = card.model_copy(update={"image_size": (32, 32)})
    with pytest.raises(Cancelled, match="scan"):
        predict(Image.of(noise(9, 9), name="scan"), card, counting, PredictOptions(cancel=lambda: True))
    assert counting.shapes == []


def test_images_that_keep_their_size_say_so(card, counting):
    assert predict(Image.of(noise(9, 9)), card, counting).resized_to is None


def test_colour_and_grey_of_the_same_values_agree(card, backend):
    grey = noise(40, 50)
    colour = np.repeat(grey[..., np.newaxis], 3, axis=2)
    expected = predict(Image.of(grey), card, backend).probability
    assert np.array_equal(predict(Image.of(colour), card, backend).probability, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_without_a_value_are_background(card, backend, bad):
    pixels = noise(90, 70).astype(np.float32)
    pixels[10:20, 30:33] = bad
    prediction = predict(Image.of(pixels, name="scan"), card, backend, PredictOptions(window=56))
    assert not prediction.probability[:, 10:20, 30:33].any()
    assert np.count_nonzero(prediction.probability) == 2 * (90 * 70 - 30)
    assert "scan: 30 of 6300 pixels" in prediction.warnings[0]


def test_an_image_without_any_value_is_all_background(card, backend):
    assert not predict(Image.of(np.full((20, 20), np.nan)), card, backend).probability.any()


def test_it_says_how_the_image_was_divided(card, counting):
    prediction = predict(Image.of(noise(100, 30)), card, counting, PredictOptions(window=40))
    assert (prediction.tiles, prediction.window, prediction.halo) == (4, 40, 8)
    assert prediction.warnings == ()
    whole = predict(Image.of(noise(100, 30)), card, counting)
    assert (whole.tiles, whole.window, whole.halo) == (1, 100, 0)


@pytest.mark.parametrize(("in_bands", "tile"), [(False, TILE), (True, BANDED_TILE)])
def test_by_default_a_window_keeps_its_tile_whatever_the_halo(card, counting, in_bands, tile):
    counting.in_bands = in_bands
    prediction = predict(Image.of(noise(tile + 100, 30)), card, counting)
    assert (prediction.tiles, prediction.halo) == (2, 8)
    assert prediction.window <= tile + 2 * prediction.halo
    assert predict(Image.of(noise(tile, 30)), card, counting).tiles == 1


def test_a_window_that_is_too_small_is_raised_and_the_user_told(card, counting):
    prediction = predict(Image.of(noise(100, 30)), card, counting, PredictOptions(window=10))
    assert prediction.window == 20
    assert "10 pixels is too small" in prediction.warnings[0]
    assert "20 was used" in prediction.warnings[0]


def test_progress_counts_the_tiles_of_each_batch(card, counting):
    reported = []
    predict(
        Image.of(noise(100, 100)),
        card,
        counting,
        PredictOptions(window=40, batch_size=6, progress=lambda *done: reported.append(done)),
    )
    assert reported == [(6, 16), (12, 16), (16, 16)]
    assert counting.shapes == [(6, 3, 40, 40), (6, 3, 40, 40), (4, 3, 40, 40)]


def test_a_cancel_is_seen_between_batches(card, counting):
    reported = []
    with pytest.raises(Cancelled, match="scan"):
        predict(
            Image.of(noise(100, 100), name="scan"),
            card,
            counting,
            PredictOptions(window=40, progress=lambda *done: reported.append(done), cancel=lambda: len(reported) == 2),
        )
    assert reported == [(1, 16), (2, 16)]
    assert len(counting.shapes) == 2


def test_a_cancel_is_seen_inside_a_batch(make, card):
    reported, polls = [], iter([False] * 4)
    with pytest.raises(Cancelled):
        predict(
            Image.of(noise(50, 50)),
            card,
            make.backend(make.network()),
            PredictOptions(progress=lambda *done: reported.append(done), cancel=lambda: next(polls, True)),
        )
    assert reported == []


def test_only_one_batch_is_converted_at_a_time(card, counting, monkeypatch):
    from napari_unetseg.inference import normalisation

    converted = []
    rescale = normalisation.rescale

    def note(pixels, *ends, **out):
        converted.append(pixels.size)
        return rescale(pixels, *ends, **out)

    monkeypatch.setattr(normalisation, "rescale", note)
    predict(Image.of(noise(100, 100).astype(np.float32)), card, counting, PredictOptions(window=40))
    assert max(converted) == 40 * 40


@pytest.mark.parametrize(("size", "stays"), [((40, 32), True), ((39, 32), False)])
def test_the_answer_to_a_whole_image_is_written_where_it_stays(card, counting, monkeypatch, size, stays):
    given, run = [], counting.run
    monkeypatch.setattr(counting, "run", lambda batch, cancel, out: given.append(out) or run(batch, cancel, out))
    probability = predict(Image.of(noise(*size)), card, counting).probability
    assert np.may_share_memory(given[0], probability) is stays
    np.testing.assert_array_equal(probability, np.full((2, *size), 0.75, np.float32))


def test_what_a_failed_run_left_of_its_answer_is_overwritten(card, counting, monkeypatch):
    run, failures = counting.run, [MemoryError("nothing is left")]

    def half_done(batch, cancel, out):
        out[..., :20, :] = 0.25
        if failures:
            raise failures.pop()
        return run(batch, cancel, out)

    monkeypatch.setattr(counting, "run", half_done)
    fallback = lambda: counting  # noqa: E731
    probability = predict(Image.of(noise(20, 20)), card, counting, PredictOptions(fallback=fallback)).probability
    np.testing.assert_array_equal(probability, np.full((2, 20, 20), 0.75, np.float32))

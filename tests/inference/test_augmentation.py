import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.augmentation import ORIENTATIONS, average_orientations, rotate_and_flip, rotate_back
from napari_unetseg.inference.predict import predict
from napari_unetseg.inference.prediction import PredictOptions

HEADS = ("foreground", "distance")


def noise(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def test_the_ways_are_eight_different_ones():
    picture = np.arange(6.0).reshape(2, 3)
    seen = {(rotate_and_flip(picture, *way).shape, rotate_and_flip(picture, *way).tobytes()) for way in ORIENTATIONS}
    assert len(seen) == len(ORIENTATIONS) == 8
    for way in ORIENTATIONS:
        np.testing.assert_array_equal(rotate_back(rotate_and_flip(picture, *way), *way), picture)


@given(st.floats(0, 1, width=32))
def test_passes_that_say_the_same_agree(value):
    answer = average_orientations(
        lambda seen: np.full_like(seen[:, :2], value), noise(2, 3, 4, 8), HEADS, lambda _: None
    )
    np.testing.assert_array_equal(answer[:, :2], np.float32(value))
    np.testing.assert_array_equal(answer[:, 2], 1)


def test_mean_and_agreement_are_those_of_the_passes():
    """Half of the passes are sure of the contrary of the others."""
    passes = []

    def run(seen):
        passes.append(seen.shape)
        return np.full((1, 1, *seen.shape[2:]), len(passes) % 2, np.float32)

    counted = []
    answer = average_orientations(run, noise(1, 3, 4, 8), ("foreground",), counted.append)
    np.testing.assert_allclose(answer[0, 0], 0.5)
    np.testing.assert_allclose(answer[0, 1], 0, atol=1e-6)
    assert counted == list(range(1, 9))
    assert sorted(set(passes)) == [(1, 3, 4, 8), (1, 3, 8, 4)]


def test_a_flow_turns_with_the_picture():
    """The slope of a picture, as a network would answer it, is the same from all ways."""
    rows, columns = np.mgrid[:6, :8].astype(np.float32)
    picture = ((rows + 2 * columns) / 30)[np.newaxis, np.newaxis]

    def slope(seen):
        along = np.gradient(seen[0, 0])
        return np.stack([np.ones_like(along[0]), *((1 + part) / 2 for part in along)])[np.newaxis].astype(np.float32)

    answer = average_orientations(slope, picture, ("foreground", "flow_y", "flow_x"), lambda _: None)
    np.testing.assert_allclose(answer[:, :3], slope(picture), atol=1e-6)


def test_tiles_average_to_what_the_whole_image_averages_to(card, backend):
    image = Image(noise(150, 217))
    whole = predict(image, card, backend, PredictOptions(augment=True))
    tiled = predict(image, card, backend, PredictOptions(augment=True, window=80, batch_size=3))
    assert tiled.tiles > whole.tiles == 1
    assert np.abs(tiled.probability - whole.probability).max() <= 1e-5
    assert np.abs(tiled.agreement - whole.agreement).max() <= 1e-4
    assert whole.agreement.shape == (150, 217)
    assert 0 <= whole.agreement.min() < whole.agreement.max() <= 1
    assert np.abs(whole.probability - predict(image, card, backend).probability).max() > 0.01


def test_a_turned_image_gets_a_turned_answer(card, backend):
    pixels = noise(64, 96)
    answer = predict(Image(pixels), card, backend, PredictOptions(augment=True)).probability
    turned = predict(Image(np.rot90(pixels)), card, backend, PredictOptions(augment=True)).probability
    np.testing.assert_allclose(np.rot90(answer, axes=(1, 2)), turned, atol=1e-5)


def test_progress_counts_every_pass(card, counting):
    reported = []
    predict(
        Image(noise(40, 90)),
        card,
        counting,
        PredictOptions(augment=True, window=48, progress=lambda *done: reported.append(done)),
    )
    tiles = len(counting.shapes) // 8
    assert reported == [(done, 8 * tiles) for done in range(1, 8 * tiles + 1)]
    assert tiles > 1


def test_a_cancel_between_passes_is_obeyed(card, backend):
    done = []
    with pytest.raises(Cancelled):
        predict(
            Image(noise(32, 32)),
            card,
            backend,
            PredictOptions(augment=True, progress=lambda *counts: done.append(counts), cancel=lambda: len(done) == 3),
        )
    assert done == [(1, 8), (2, 8), (3, 8)]


def test_one_pass_knows_no_agreement(card, counting):
    assert predict(Image(noise(9, 9)), card, counting).agreement is None

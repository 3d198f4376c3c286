"""Answers of which no map of the image is made."""

import pickle

import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.inference.predict import plan_image, predict, predict_many
from napari_unetseg.inference.prediction import PredictOptions, PredictRequest, WindowTooLarge
from napari_unetseg.inference.tiling.plan import TileLimits


class Sink:
    """Keeps what it is given."""

    def __init__(self, tile_plan, wanted):
        self.tile_plan = tile_plan
        self.wanted = wanted
        self.answers = {}

    def put(self, tile, values):
        self.answers[tile] = values.copy()


@pytest.fixture
def image():
    return Image(np.random.default_rng(0).integers(0, 256, (150, 130), np.uint8))


def test_the_wanted_tiles_alone_are_computed_in_their_order(card, counting, image):
    sink = Sink(plan_image(image, card, counting, TileLimits(60, 2**30), None), [5, 2])
    told = []
    request = PredictRequest(image, progress=lambda *now: told.append(now), sink=sink)
    (outcome,) = predict_many([request], card, counting)
    assert list(sink.answers) == [5, 2]
    assert len(counting.shapes) == 2
    assert told == [(1, 2), (2, 2)]
    assert outcome.probability.shape == (2, 0, 0)
    assert outcome.tiles == len(sink.tile_plan.tiles) > 6
    for tile, values in sink.answers.items():
        rows, columns = sink.tile_plan.tiles[tile].write
        assert values.shape == (2, rows.stop - rows.start, columns.stop - columns.start)


def test_images_with_and_without_a_sink_share_batches(card, backend, image):
    limits = PredictOptions(window=60, batch_size=4)
    sink = Sink(plan_image(image, card, backend, TileLimits(60, 2**30), None), [0, 1])
    _, other = predict_many([PredictRequest(image, sink=sink), image], card, backend, limits)
    undivided = predict(image, card, backend, limits).probability
    np.testing.assert_allclose(other.probability, undivided, atol=1e-5)
    for tile, values in sink.answers.items():
        np.testing.assert_allclose(values, undivided[:, *sink.tile_plan.tiles[tile].write], atol=1e-5)


def test_windows_that_do_not_fit_are_refused_with_the_size_to_try(card, counting_backend, image):
    backend = counting_backend(room=64 * 64)
    sink = Sink(plan_image(image, card, backend, TileLimits(None, 2**30), None), [0])
    refused, other = predict_many([PredictRequest(image, sink=sink), image], card, backend)
    assert isinstance(refused, WindowTooLarge)
    assert refused.window < sink.tile_plan.window
    assert other.probability.shape == (2, 150, 130)
    travelled = pickle.loads(pickle.dumps(refused))
    assert (str(travelled), travelled.window) == (str(refused), refused.window)

import gc
import weakref

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, ImageError, ModelError
from napari_unetseg.image import Image
from napari_unetseg.inference.predict import predict, predict_many
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest

SHAPES = [(64, 64), (30, 90), (64, 64), (64, 64), (150, 90), (1, 1), (64, 64), (30, 90)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def images(shapes=SHAPES):
    return [Image(noise(*shape, seed=index), name=f"image {index}") for index, shape in enumerate(shapes)]


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_together_gives_what_one_by_one_gives(make, runtime, card, norm):
    backend = runtime(make.network(norm=norm))
    together = list(predict_many(images(), card, backend, PredictOptions(window=80, batch_size=4)))
    for image, result in zip(images(), together, strict=True):
        alone = predict(image, card, backend, PredictOptions(window=80))
        assert np.abs(result.probability - alone.probability).max() <= 5e-6
        assert (result.tiles, result.window, result.halo) == (alone.tiles, alone.window, alone.halo)


def test_stretched_images_share_batches_too(make, card):
    backend = make.backend(make.network())
    card = card.model_copy(update={"image_size": (32, 48)})
    together = list(predict_many(images(), card, backend, PredictOptions(batch_size=8)))
    for image, result in zip(images(), together, strict=True):
        np.testing.assert_allclose(result.probability, predict(image, card, backend).probability, atol=5e-6)


def test_tiles_of_one_shape_share_a_batch_whatever_image_they_are_of(card, counting):
    results = list(predict_many(images(), card, counting, PredictOptions(batch_size=4)))
    assert all(isinstance(result, Prediction) for result in results)
    # Four squares at once, with what is left of the batches of the others computed in the images' order.
    assert counting.shapes == [
        (4, 3, 64, 64),
        (2, 3, 32, 92),
        (1, 3, 152, 92),
        (1, 3, 4, 4),
    ]


def test_with_batches_of_one_no_image_is_taken_in_before_it_is_its_turn(card, counting):
    taken = []

    def source():
        for image in images():
            taken.append(image.name)
            yield image

    for number, _ in enumerate(predict_many(source(), card, counting, PredictOptions(batch_size=1)), start=1):
        assert len(taken) == number


def test_only_a_few_images_are_under_way(card, counting):
    alive = []

    def source():
        for index in range(60):
            # The rare shape first: its batch never fills.
            image = Image(noise(*((8, 8) if index == 0 else (12, 12))), name=str(index))
            alive.append(weakref.ref(image))
            yield image

    most = 0
    gc.freeze()  # to collect again and again what other tests left takes half a minute
    try:
        for _ in predict_many(source(), card, counting, PredictOptions(batch_size=4)):
            gc.collect()
            most = max(most, sum(one() is not None for one in alive))
    finally:
        gc.unfreeze()
    assert len(alive) == 60
    assert most <= 2 * 4 + 1


def test_beyond_so_many_pixels_no_further_image_is_taken_in(card, counting, monkeypatch):
    monkeypatch.setattr("napari_unetseg.inference.schedule.MAX_PIXELS_UNDER_WAY", 100)
    list(predict_many(images([(12, 12)] * 3), card, counting, PredictOptions(batch_size=4)))
    assert counting.shapes == [(1, 3, 12, 12)] * 3


def test_one_bad_image_gives_one_error(card, counting, monkeypatch):
    from napari_unetseg.inference import image_task

    whole = image_task.normalise

    def normalise(image, *settings):
        if image.name == "image 2":
            raise ImageError("image 2: it is bad")
        return whole(image, *settings)

    monkeypatch.setattr(image_task, "normalise", normalise)
    results = list(predict_many(images(), card, counting, PredictOptions(batch_size=4)))
    assert [index for index, result in enumerate(results) if isinstance(result, Exception)] == [2]
    assert str(results[2]) == "image 2: it is bad"


def test_an_error_in_the_place_of_an_image_is_handed_through_in_order(card, counting):
    error = ImageError("cannot be read")
    given = [error, *images()[:2], error, error]
    results = list(predict_many(given, card, counting, PredictOptions(batch_size=3)))
    assert [result is error for result in results] == [True, False, False, True, True]
    assert list(predict_many([], card, counting)) == []


def test_an_image_that_the_network_fails_on_does_not_sink_those_beside_it(card, counting):
    run = counting.run

    def fail_on_white(batch, cancel=None, out=None):
        if (batch[:, 0] == batch[:, 0, :1, :1]).all(axis=(1, 2)).any():
            raise ValueError("constant")
        return run(batch, cancel, out)

    counting.run = fail_on_white
    given = images([(64, 64)] * 4)
    given[1] = Image(np.ones((64, 64)), name="constant")
    results = list(predict_many(given, card, counting, PredictOptions(batch_size=4)))
    assert [type(result) for result in results] == [Prediction, ValueError, Prediction, Prediction]


def test_an_unloaded_backend_gives_an_error_for_each_image(make, card):
    backend = make.backend(make.network())
    backend.unload()
    results = list(predict_many(images(), card, backend))
    assert len(results) == len(SHAPES)
    assert all(isinstance(result, ModelError) for result in results)


def test_progress_counts_the_tiles_of_all_images_taken_in(card, counting):
    reported = []
    shapes = [(40, 40), (100, 40), (40, 40)]
    list(
        predict_many(
            images(shapes),
            card,
            counting,
            PredictOptions(window=40, batch_size=2, progress=lambda *done: reported.append(done)),
        )
    )
    assert reported == [(2, 5), (4, 5), (6, 6)]


def test_after_a_cancel_what_is_finished_stays_and_the_others_say_so(card, counting):
    reported = []
    given = [Image(noise(40, 40), name=f"image {index}") for index in range(5)]
    results = list(
        predict_many(
            given,
            card,
            counting,
            PredictOptions(batch_size=2, progress=lambda *done: reported.append(done), cancel=lambda: bool(reported)),
        )
    )
    assert [type(result) for result in results] == [Prediction] * 2 + [Cancelled] * 3
    assert [str(result).split(":")[0] for result in results[2:]] == ["image 2", "image 3", "image 4"]
    assert len(counting.shapes) == 1


def test_a_cancel_inside_the_network_ends_all(make, card):
    polls = iter([False] * 5)
    results = list(
        predict_many(images(), card, make.backend(make.network()), PredictOptions(cancel=lambda: next(polls, True)))
    )
    assert [type(result) for result in results] == [Cancelled] * len(SHAPES)


def test_the_next_result_is_computed_only_when_it_is_asked_for(card, counting):
    results = predict_many(images([(9, 9)] * 3), card, counting, PredictOptions(batch_size=1))
    assert counting.shapes == []
    next(results)
    assert len(counting.shapes) == 1


# Requests of their own


def test_each_request_is_seen_as_it_says_itself(make, card):
    backend = make.backend(make.network())
    wanted = [(None, False), (20.0, False), (None, True), (20.0, True), (None, False)]
    card = card.model_copy(update={"object_size": 10.0})
    given = [PredictRequest(image, *wishes) for image, wishes in zip(images([(64, 64)] * 5), wanted, strict=True)]
    together = list(predict_many(given, card, backend, PredictOptions(batch_size=4)))
    for request, result in zip(given, together, strict=True):
        alone = predict(
            request.image, card, backend, PredictOptions(diameter=request.diameter, augment=request.augment)
        )
        np.testing.assert_allclose(result.probability, alone.probability, atol=5e-6)
        assert result.resized_to == alone.resized_to
        assert (result.agreement is None) == (alone.agreement is None) == (not request.augment)


def test_an_image_among_requests_is_seen_as_the_options_say(card, counting):
    image = Image(noise(16, 16))
    plain, own = predict_many([image, PredictRequest(image)], card, counting, PredictOptions(augment=True))
    assert (plain.agreement is None, own.agreement is None) == (False, True)


def test_only_tiles_that_are_augmented_alike_share_a_batch(card, counting):
    given = [PredictRequest(image, augment=index % 2 == 1) for index, image in enumerate(images([(16, 16)] * 4))]
    list(predict_many(given, card, counting, PredictOptions(batch_size=4)))
    assert [shape[0] for shape in counting.shapes] == [2] * 9


def test_each_request_is_told_its_own_progress(card, counting):
    told = [[], [], []]
    given = [
        PredictRequest(image, augment=augment, progress=lambda *done, to=to: to.append(done))
        for image, augment, to in zip(images([(40, 40), (100, 40), (40, 40)]), (False, False, True), told, strict=True)
    ]
    list(predict_many(given, card, counting, PredictOptions(window=40, batch_size=2)))
    assert told == [[(1, 1)], [(1, 4), (3, 4), (4, 4)], [(done, 8) for done in range(1, 9)]]


def test_a_cancelled_request_ends_alone_before_the_next_batch(card, counting):
    given = images([(40, 40)] * 4)
    given[1] = PredictRequest(Image(noise(100, 40), name="long"), cancel=lambda: len(counting.shapes) == 2)
    results = list(predict_many(given, card, counting, PredictOptions(window=40, batch_size=2)))
    assert [type(result) for result in results] == [Prediction, Cancelled, Prediction, Prediction]
    assert str(results[1]).startswith("long:")
    assert [shape[0] for shape in counting.shapes] == [2, 2, 2]


def test_a_request_that_is_cancelled_at_once_is_never_computed(card, counting):
    given = [PredictRequest(Image(noise(8, 8)), cancel=lambda: True), Image(noise(8, 8))]
    results = list(predict_many(given, card, counting))
    assert [type(result) for result in results] == [Cancelled, Prediction]
    assert len(counting.shapes) == 1


def test_the_network_stops_for_a_cancel_only_where_nobody_else_shares_the_batch(make, card):
    polls = {"alone": 0, "shared": 0}

    def cancel_of(name):
        def cancel():
            polls[name] += 1
            return polls[name] > 4  # past those before the batch

        return cancel

    backend = make.backend(make.network())
    alone = PredictRequest(Image(noise(32, 32)), cancel=cancel_of("alone"))
    shared = [PredictRequest(Image(noise(64, 64)), cancel=cancel_of("shared")), Image(noise(64, 64, seed=1))]
    results = list(predict_many([alone, *shared], card, backend, PredictOptions(batch_size=2)))
    # What was computed for the others was computed for it, too.
    assert [type(result) for result in results] == [Cancelled, Prediction, Prediction]


# Buffers


def test_from_the_second_image_on_every_buffer_is_found(make, runtime, card):
    backend = runtime(make.network())
    backend.pools.release()
    before = {name: getattr(backend.pools, name).report() for name in ("input", "output")}
    for index in range(3):
        predict(Image.of(noise(150, 90, seed=index)), card, backend, PredictOptions(window=80))
    for name, counted in before.items():
        report = getattr(backend.pools, name).report()
        assert report.misses - counted.misses == 1
        assert report.hits - counted.hits >= 0.9 * 3 * 4
        assert report.leased_bytes == 0


def test_pools_are_in_use_during_a_run_and_not_after_it(make, runtime, card):
    backend = runtime(make.network())
    seen = []

    def look():
        seen.append((backend.pools.input.report().utilization, backend.pools.output.report().utilization))
        return False

    predict(Image.of(noise(64, 64)), card, backend, PredictOptions(cancel=look))
    assert (0.0, 0.0) in seen  # before the batch
    assert any(into > 0 and out > 0 for into, out in seen)
    assert backend.pools.input.report().utilization == 0
    assert backend.pools.output.report().utilization == 0


def test_unloading_frees_the_buffers(make, runtime, card):
    backend = runtime(make.network())
    predict(Image.of(noise(64, 64)), card, backend)
    held = sum(pool.report().held_bytes for pool in (backend.pools.input, backend.pools.output))
    assert held == 4 * (3 + 2) * 64 * 64
    backend.unload()
    assert [pool.report().held_bytes for pool in (backend.pools.input, backend.pools.output)] == [0, 0]

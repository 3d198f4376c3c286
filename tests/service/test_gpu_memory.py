"""Memory of a graphics card that runs out at each step of a model's life, and that is given back at its end."""

import gc

import numpy as np
import pytest

from napari_unetseg import Image, SegmentationService
from napari_unetseg.errors import OutOfMemory
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.service import Failure
from napari_unetseg.zoo.registry import find_model

LET_GO = "GPU memory ran out; models that nobody used were let go."
ON_CPU = "GPU memory ran out; the CPU took over, which is slower."

VERBS = {
    "segment": lambda service, image: service.segment(image),
    "iter_batch": lambda service, image: list(service.iter_batch([image])),
    "initialize": lambda service, _image: service.initialize(),
    "health": lambda service, _image: service.health(),
}


@pytest.fixture
def squares(squares):
    """An image that takes no more memory than the test picture."""
    return squares[:, :64]


@pytest.fixture(params=VERBS)
def verb(request):
    return VERBS[request.param]


@pytest.fixture
def card(pretend_cards):
    (card,) = pretend_cards(1)
    return card


@pytest.fixture
def weights(bright_model):
    """Bytes of the parameters of the models here."""
    from napari_unetseg.zoo.network_loading import load_network

    return sum(tensor.nbytes for tensor in load_network(find_model(bright_model)).parameters())


@pytest.fixture
def run_bytes(bright_model):
    """Bytes that a run on the test picture takes beside the weights."""
    from napari_unetseg.zoo.known_answer import PICTURE_SIDE

    return 10 * 4 * find_model(bright_model).card.input_channels * PICTURE_SIDE**2


@pytest.fixture
def service(card, bright_model, settings):
    with SegmentationService(bright_model, "cuda", settings=settings()) as service:
        yield service


def check_it_goes_on(service, squares, device, steps):
    """Every verb answers from here on, and health says what was done."""
    health = service.health()
    assert (health.problems, health.memory_steps) == ((), steps)
    assert health.model_info.device == service.model_info().device == device
    result = service.segment(squares)
    assert (result.count, result.provenance.device) == (3, device)
    if device == "cpu":
        assert any("until the model is reloaded" in warning for warning in (*result.warnings, *health.warnings))


def test_without_lack_nothing_is_said(service, card, squares, weights, verb):
    verb(service, squares)
    check_it_goes_on(service, squares, "cuda", ())
    assert card.taken == weights
    service.unload()
    assert card.taken == 0


def test_nothing_that_was_on_a_card_is_kept_alive(service, card, squares):
    """Not even until Python looks for circles."""
    gc.disable()
    try:
        service.segment_batch([squares] * 3)
        service.unload()
        assert [network() for network in card.networks] == [None]
        service.segment(squares)
        card.room = 1
        assert LET_GO not in service.segment(squares).warnings
        assert service.model_info().device == "cpu"
        assert [network() for network in card.networks] == [None] * 2
    finally:
        gc.enable()


def test_a_model_that_does_not_fit_beside_an_idle_one_takes_its_place(
    service, card, squares, weights, run_bytes, dark_model, verb
):
    service.initialize(model=dark_model)
    card.room = 2 * weights - 1 + run_bytes
    verb(service, squares)
    check_it_goes_on(service, squares, "cuda", (LET_GO,))
    assert card.taken == weights
    assert not service.model_info(dark_model).loaded


def test_one_that_fits_but_cannot_run_beside_an_idle_one_takes_its_place(
    service, card, squares, weights, run_bytes, dark_model, verb
):
    service.initialize(model=dark_model)
    card.room = 2 * weights + run_bytes - 1
    verb(service, squares)
    check_it_goes_on(service, squares, "cuda", (LET_GO,))
    assert not service.model_info(dark_model).loaded


@pytest.mark.parametrize(("short_of", "validated"), [("weights", True), ("maps", True), ("maps", False)])
def test_what_fits_in_no_way_runs_on_the_cpu(card, bright_model, settings, squares, weights, validated, short_of, verb):
    card.room = weights - 1 if short_of == "weights" else weights + 1
    checked = settings(health__startup_validation=validated)
    with SegmentationService(bright_model, "cuda", settings=checked) as service:
        verb(service, squares)
        assert card.taken == 0
        said = service.health().memory_steps
        assert said[-1] == ON_CPU
        check_it_goes_on(service, squares, "cpu", said)
        card.room = 10**12
        service.initialize(force_reload=True)
        check_it_goes_on(service, squares, "cuda", ())


@pytest.mark.parametrize("short_of", ["weights", "maps"])
def test_where_the_cpu_must_not_it_is_a_sentence_and_nothing_stays_on_the_card(
    card, bright_model, settings, squares, weights, short_of
):
    card.room = weights - 1 if short_of == "weights" else weights + 1
    service = SegmentationService(bright_model, "cuda", fallback_to_cpu=False, settings=settings())
    with pytest.raises(OutOfMemory, match=r"emory ran out while the .*Close other programs") as raised:
        service.segment(squares)
    assert card.taken == 0
    with pytest.raises(OutOfMemory):
        service.segment_batch([squares])
    with pytest.raises(OutOfMemory):
        service.initialize()
    health = service.health()
    assert (health.service_healthy, health.model_loaded) == (False, False)
    assert "emory ran out while the" in health.problems[0]
    # The error, its frames and what they hold are still here, and no network with them.
    assert raised.value.__traceback__ is not None
    assert [network() for network in card.networks] == [None] * len(card.networks)
    card.room = 10**12
    assert service.segment(squares).count == 3


def test_images_let_idle_models_go_first_and_say_so(service, card, squares, weights, run_bytes, dark_model):
    service.initialize()
    service.initialize(model=dark_model)
    image_bytes = 10 * 4 * 3 * squares.size
    card.room = 2 * weights + max(run_bytes, image_bytes) - 1
    many = np.tile(squares, (3, 1))
    results = service.segment_batch([many, many])
    assert not any(isinstance(result, Failure) for result in results)
    assert LET_GO in results[0].warnings
    assert not service.model_info(dark_model).loaded


@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
def test_whatever_room_a_card_has_the_objects_are_found_and_all_is_given_back(
    service, card, squares, dark_model, share
):
    image = np.tile(squares, (2, 2))
    expected = service.segment(image).labels
    service.unload()
    service.initialize(model=dark_model)
    card.room = card.taken + int(share * 10 * 4 * 3 * image.size)
    for result in (service.segment(image), *service.segment_batch([image] * 2)):
        np.testing.assert_array_equal(result.labels, expected)
    service.unload()
    assert card.taken == 0


def test_a_card_that_others_fill_meanwhile_leaves_a_health_check_on_the_cpu(service, card, squares, weights):
    service.initialize()
    card.room = weights + 1
    health = service.health()
    assert health.service_healthy
    assert health.memory_steps == (ON_CPU,)
    assert card.taken == 0  # nobody needs the network there any more
    check_it_goes_on(service, squares, "cpu", (ON_CPU,))


def test_a_run_that_began_on_the_card_keeps_its_network_until_it_ends(service, card, squares, weights):
    """Between two of its images a check finds the card full."""
    with service._models.borrow(service.package) as loaded_model:
        images = [Image(squares) for _ in range(4)]
        results = loaded_model.predict_many(images, PredictOptions())
        loaded_model.limits.lower("cuda", batch_size=1)
        first = next(results)
        # What is ahead of it has its room by then.
        loaded_model.backend._card.launch(lambda: None).result()
        room, card.room = card.room, weights + 1
        assert service.health().memory_steps == (ON_CPU,)
        card.room = room
        assert card.taken >= weights
        for result in results:
            np.testing.assert_array_equal(result.probability, first.probability)
            assert result.warnings == first.warnings == ()
        assert (loaded_model.device.kind, card.taken) == ("cpu", 0)

"""What a card says of intensities and shapes, in the words of the zoo."""

import numpy as np
import pytest

from napari_unetseg.errors import ModelError
from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.zoo.bioimageio import operations as stated
from napari_unetseg.zoo.bioimageio.processing import translate_preprocessing
from napari_unetseg.zoo.bioimageio.spec_0_5 import Model05
from napari_unetseg.zoo.card import Linear, MeanStd, MinMax, Percentile, ZScore


def picture(dtype) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(3, 250, (3, 40, 50)).astype(dtype)


def column(*numbers) -> np.ndarray:
    return np.array(numbers)[:, None, None]


@pytest.mark.parametrize(
    "normalisation",
    [
        Percentile(),
        Percentile(low=2, high=95, per_channel=True, clip=(0, 1)),
        MinMax(),
        MinMax(per_channel=True),
        MeanStd(mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3)),
        ZScore(),
        ZScore(per_channel=True, clip=(-1, 1)),
        Linear(gain=(0.1,), offset=(-1,)),
        Linear(gain=(0.1, 0.2, 0.3), offset=(-1, 0, 1), clip=(0, 20)),
    ],
)
def test_stated_operations_give_the_network_what_it_gets_here(make_card, normalisation):
    model = make_card(normalisation=normalisation)
    pixels = picture(np.uint8)
    ours = normalise(Image(pixels, "CYX", rgb=True), normalisation, 3).array
    np.testing.assert_allclose(stated.apply_operations(stated.operations(model), pixels), ours, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize(
    ("normalisation", "expected"),
    [
        (ZScore(), lambda x: (x - x.mean()) / x.std()),
        (ZScore(per_channel=True), lambda x: (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)),
        (MinMax(per_channel=True), lambda x: (x - x.min((1, 2), keepdims=True)) / np.ptp(x, (1, 2), keepdims=True)),
        (Linear(gain=(0.5,), offset=(-1.0,)), lambda x: 0.5 * x - 1),
        (Linear(gain=(1, 2, 3), offset=(4, 5, 6)), lambda x: x * column(1, 2, 3) + column(4, 5, 6)),
        (Linear(gain=(0.1,), offset=(0.0,), clip=(1, 2)), lambda x: np.clip(0.1 * x, 1, 2)),
    ],
)
def test_every_other_normalisation_is_said_too(make_card, normalisation, expected):
    pixels = picture(np.float64)
    found = stated.apply_operations(stated.operations(make_card(normalisation=normalisation)), pixels)
    np.testing.assert_allclose(found, expected(pixels), rtol=1e-5, atol=1e-5)


def test_what_needs_a_full_range_is_said_for_8_bits(make_card):
    (operation,) = stated.operations(make_card(normalisation=MeanStd(mean=(0.2,), std=(0.4,))))
    assert operation["id"] == "fixed_zero_mean_unit_variance"
    assert operation["kwargs"] == {"mean": pytest.approx(51), "std": pytest.approx(102)}


def test_percentiles_that_the_zoo_takes_for_shares_are_refused(make_card):
    with pytest.raises(ModelError, match=r"percentile 0\.9"):
        stated.operations(make_card(normalisation=Percentile(low=0, high=0.9)))


def test_logits_get_a_sigmoid_and_probabilities_none(make_card):
    assert stated.activations(make_card()) == [{"id": "sigmoid"}]
    assert stated.activations(make_card(outputs=[{"name": "foreground", "activation": "sigmoid"}])) == []
    np.testing.assert_allclose(stated.apply_operations([{"id": "sigmoid"}], np.zeros((1, 2, 2))), 0.5)


def test_outputs_of_both_kinds_are_refused(make_card):
    heads = [{"name": "foreground", "activation": "sigmoid"}, {"name": "distance"}]
    with pytest.raises(ModelError, match="tiny: some of its outputs"):
        stated.activations(make_card(outputs=heads))


def test_a_halo_covers_the_receptive_field_in_whole_steps(make_card):
    # A U-Net with one pooling: 4 at full size, 4 + 1 at half size; see `unet_facts`.
    model = make_card()
    assert stated.halo_of(model) == 10
    y, x = stated.input_axes(model)[2:]
    assert y == {"type": "space", "id": "y", "size": {"min": 256, "step": 2}}
    assert x["id"] == "x"
    assert stated.output_axes(model)[2] == {
        "type": "space",
        "id": "y",
        "size": {"tensor_id": "image", "axis_id": "y"},
        "halo": 10,
    }
    assert stated.smallest_shape(model) == (256, 256)


def test_a_deep_network_takes_more_than_two_halos(make_card):
    deep = {"in_channels": 3, "out_channels": 1, "features": [4] * 7}
    model = make_card(architecture={"name": "unet", "arguments": deep})
    halo = stated.halo_of(model)
    assert halo % 64 == 0
    assert stated.smallest_shape(model) == (2 * halo + 64, 2 * halo + 64)


def test_a_network_with_statistics_of_the_image_has_no_halo(make_card):
    model = make_card(architecture={"name": "hrnet"})
    assert stated.halo_of(model) == 0
    assert "halo" not in stated.output_axes(model)[2]
    assert stated.input_axes(model)[2]["size"] == {"min": 256, "step": 32}


def test_a_stretched_image_has_fixed_sides(make_card):
    model = make_card(image_size=(128, 192))
    assert [axis["size"] for axis in stated.input_axes(model)[2:]] == [128, 192]
    assert stated.halo_of(model) == 0


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["red", "green", "blue"]),
        ({"input_channels": 1}, ["grey"]),
        ({"input_channels": 2}, ["channel0", "channel1"]),
        ({"input_channels": 2, "channel_roles": ("nucleus", "cytoplasm")}, ["nucleus", "cytoplasm"]),
    ],
)
def test_channels_have_names(make_card, fields, names):
    assert stated.input_axes(make_card(**fields))[1] == {"type": "channel", "channel_names": names}


@pytest.mark.parametrize(
    "normalisation",
    [
        Percentile(low=2, high=98, per_channel=True, clip=(0, 1)),
        Percentile(),
        ZScore(eps=1e-3),
        ZScore(per_channel=True),
        Linear(gain=(0.5,), offset=(-1.0,)),
        Linear(gain=(1, 2, 3), offset=(4, 5, 6)),
    ],
)
def test_what_is_said_is_understood_again(make_card, normalisation):
    model = make_card(normalisation=normalisation)
    said = {
        "format_version": "0.5.4",
        "name": "Tiny objects",
        "inputs": [{"id": "image", "axes": stated.input_axes(model), "preprocessing": stated.operations(model)}],
        "outputs": [{"id": "probability", "axes": stated.output_axes(model)}],
        "weights": {},
    }
    (taken,) = Model05.model_validate(said).describe().inputs
    assert translate_preprocessing(taken).normalisation == normalisation

"""A diameter rescales what the network sees, and nothing else; averaging over flips tells how far it agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg import Image, SegmentationService, samples
from napari_unetseg.errors import ImageError, ParameterError
from napari_unetseg.service import Failure


@pytest.fixture(scope="module")
def service(bright_model):
    """Its model expects objects of 12 pixels."""
    return SegmentationService(bright_model, device="cpu")


@pytest.mark.parametrize("diameter", [12, 12.0, 12.001])
def test_the_diameter_of_the_card_changes_no_bit(service, squares, diameter):
    plain, same = service.segment(squares), service.segment(squares, diameter=diameter)
    assert plain.probability.tobytes() == same.probability.tobytes()
    assert plain.labels.tobytes() == same.labels.tobytes()
    assert (plain.provenance.diameter, same.provenance.diameter) == (None, diameter)
    assert same.provenance.resized_to is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_grey_image_is_rescaled_for_a_network_of_three_channels(precision):
    with SegmentationService("nuclei", "cpu", "torch", precision=precision) as service:
        image = samples.nuclei()
        assert (service.package.card.input_channels, image.rgb) == (3, False)
        result = service.segment(image, diameter=30)
    assert result.provenance.resized_to is not None
    assert result.count > 50


@settings(max_examples=12, deadline=None)
@given(st.integers(6, 20), st.sampled_from([2, 3]))
def test_objects_twice_as_large_at_twice_the_diameter_are_the_same_objects(service, discs, diameter, factor):
    small = service.segment(discs(diameter, per_side=4), diameter=diameter)
    large = service.segment(discs(factor * diameter, per_side=4), diameter=factor * diameter)
    assert small.count == large.count == 16
    assert large.labels.shape == tuple(factor * side for side in small.labels.shape)
    ratio = large.measurements["equivalent_diameter_px"] / small.measurements["equivalent_diameter_px"]
    np.testing.assert_allclose(ratio, factor, rtol=0.12)
    np.testing.assert_allclose(
        large.measurements["centroid_y_px"], factor * (small.measurements["centroid_y_px"] + 0.5) - 0.5, atol=0.6
    )


@pytest.mark.parametrize(("diameter", "size"), [(6, (120, 160)), (30, (24, 32))])
def test_results_have_the_images_own_size_and_provenance_says_what_was_seen(service, squares, diameter, size):
    result = service.segment(squares, diameter=diameter, min_size=1)
    assert result.labels.shape == squares.shape
    assert result.count == 3
    assert (result.provenance.resized_to, result.provenance.diameter) == (size, diameter)
    overlap = ((result.labels > 0) & (squares > 0)).sum() / ((result.labels > 0) | (squares > 0)).sum()
    assert overlap > 0.7


def test_the_minimum_size_stays_in_pixels_of_the_image(service, squares):
    assert service.segment(squares, diameter=6, min_size=50).count == 2
    assert service.segment(squares, diameter=6, min_size=81).count == 1


def test_a_batch_gives_what_single_calls_give(service, squares):
    options = {"diameter": 7.5, "augment": True}
    single = service.segment(squares, **options)
    for result in service.segment_batch([squares, squares[:30]], **options)[:1] + list(
        service.iter_batch([squares], **options)
    ):
        np.testing.assert_array_equal(result.labels, single.labels)
        np.testing.assert_allclose(result.agreement, single.agreement, atol=1e-6)


def test_bad_diameters_are_refused_before_anything_runs(service, squares):
    with pytest.raises(ParameterError, match="above 0"):
        service.segment(squares, diameter=0)
    with pytest.raises(ParameterError, match="above 0"):
        service.segment_batch([squares], diameter=-1)
    with pytest.raises(ImageError, match="less than one"):
        service.segment(squares, diameter=2000)


def test_an_image_that_a_diameter_does_not_fit_does_not_sink_the_batch(service, squares):
    first, second = service.segment_batch([Image(np.ones((1, 1)), name="dot"), squares], diameter=40)
    assert isinstance(first, Failure)
    assert "dot" in str(first.error)
    assert second.count == 3


def test_averaging_tells_how_far_the_passes_agree(service, squares):
    plain, averaged = service.segment(squares), service.segment(squares, augment=True)
    assert plain.agreement is None
    assert "agreement" not in plain.measurements
    assert not plain.provenance.augmented
    assert averaged.provenance.augmented
    np.testing.assert_array_equal(averaged.labels, plain.labels)
    assert averaged.agreement.shape == squares.shape
    # The model looks at single pixels, so that no flip changes what it says.
    np.testing.assert_allclose(averaged.agreement, 1, atol=1e-5)
    np.testing.assert_allclose(averaged.measurements["agreement"], 1, atol=1e-5)
    again = averaged.relabel(threshold=0.6)
    assert again.agreement is averaged.agreement
    assert len(again.measurements["agreement"]) == again.count

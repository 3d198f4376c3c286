import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from scipy.special import ellipe
from skimage.measure import regionprops_table

from napari_unetseg.postprocessing.measurements import measure

SAME_AS_SCIKIT_IMAGE = {
    "label": "label",
    "area_px": "area",
    "centroid_y_px": "centroid-0",
    "centroid_x_px": "centroid-1",
    "bbox_min_y_px": "bbox-0",
    "bbox_min_x_px": "bbox-1",
    "bbox_max_y_px": "bbox-2",
    "bbox_max_x_px": "bbox-3",
    "equivalent_diameter_px": "equivalent_diameter_area",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
    "perimeter_px": "perimeter",
    "mean_intensity": "intensity_mean",
}
COLUMNS = [*SAME_AS_SCIKIT_IMAGE, "confidence"]

label_images = arrays(
    np.int32, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.sampled_from([0, 0, 1, 2, 5])
)


def table_of(labels, *, intensity=None, scale=None, unit=None):
    labels = np.asarray(labels)
    plane = np.zeros(labels.shape, np.float32)
    return measure(
        labels, foreground=plane, intensity=plane[None] if intensity is None else intensity, scale=scale, unit=unit
    )


def assert_same_as_scikit_image(labels):
    intensity = np.random.default_rng(0).random(labels.shape)
    table = table_of(labels, intensity=intensity[None])
    properties = {name.split("-")[0] for name in SAME_AS_SCIKIT_IMAGE.values()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image warns of hulls it cannot compute
        oracle = regionprops_table(labels, intensity, properties=sorted(properties))
    for ours, theirs in SAME_AS_SCIKIT_IMAGE.items():
        # Eccentricity is the root of a difference that may vanish, so rounding shows as its root.
        np.testing.assert_allclose(table[ours], oracle[theirs], rtol=1e-9, atol=1e-7, err_msg=ours)


@given(label_images)
@settings(deadline=None, max_examples=200)
def test_small_images_agree_with_scikit_image(labels):
    assert_same_as_scikit_image(labels)


@pytest.mark.parametrize("seed", range(5))
def test_blobs_agree_with_scikit_image(seed):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random((150, 170)), 3)
    labels, count = ndimage.label(field > 0.5)
    assert count > 10
    assert_same_as_scikit_image(labels)


def test_a_rectangle():
    labels = np.zeros((10, 12), dtype=np.int32)
    labels[2:6, 3:11] = 3
    row = {name: column.item() for name, column in table_of(labels).items()}
    assert row == pytest.approx(
        {
            "label": 3,
            "area_px": 32,
            "centroid_y_px": 3.5,
            "centroid_x_px": 6.5,
            "bbox_min_y_px": 2,
            "bbox_min_x_px": 3,
            "bbox_max_y_px": 6,
            "bbox_max_x_px": 11,
            "equivalent_diameter_px": np.sqrt(128 / np.pi),
            "eccentricity": np.sqrt(1 - (4**2 - 1) / (8**2 - 1)),
            "solidity": 1,
            "perimeter_px": 20,
            "mean_intensity": 0,
            "confidence": 0,
        }
    )


def test_columns_and_their_order():
    assert list(table_of([[1]])) == COLUMNS


@pytest.mark.parametrize(("scale", "unit"), [(None, None), (None, "micrometer"), ((2.0, 2.0), None)])
def test_no_physical_columns_without_scale_and_unit(scale, unit):
    assert list(table_of([[1]], scale=scale, unit=unit)) == COLUMNS


@pytest.mark.parametrize("labels", [np.zeros((4, 5), int), np.zeros((1, 1), int)])
def test_no_objects_give_empty_columns(labels):
    table = table_of(labels, scale=(1, 1), unit="micrometer")
    assert {len(column) for column in table.values()} == {0}
    assert set(COLUMNS) < set(table)


@pytest.mark.parametrize(
    ("unit", "suffix"),
    [("micrometer", "um"), ("µm", "um"), ("μm", "um"), ("um", "um"), ("nanometer", "nm"), ("millimetre", "mm")],
)
def test_physical_columns_name_their_unit(unit, suffix):
    table = table_of([[1]], scale=(1, 1), unit=unit)
    assert list(table)[len(COLUMNS) :] == [
        f"area_{suffix}2",
        f"centroid_y_{suffix}",
        f"centroid_x_{suffix}",
        f"equivalent_diameter_{suffix}",
        f"perimeter_{suffix}",
    ]


def disc(radii, shape=(201, 201)):
    y, x = np.indices(shape)
    centre = np.array(shape) // 2
    return ((((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2) <= 1).astype(np.int32)


def test_square_pixels_scale_every_length_alike():
    table = table_of(disc((40, 60)), scale=(0.25, 0.25), unit="micrometer")
    for name in ("centroid_y", "centroid_x", "equivalent_diameter", "perimeter"):
        np.testing.assert_allclose(table[f"{name}_um"], table[f"{name}_px"] * 0.25, rtol=1e-12)
    np.testing.assert_allclose(table["area_um2"], table["area_px"] / 16, rtol=1e-12)


def circumference(a, b):
    """Complete elliptic integral, independent of the approximation under test."""
    return 4 * max(a, b) * ellipe(1 - (min(a, b) / max(a, b)) ** 2)


@pytest.mark.parametrize("radii", [(20, 80), (80, 20), (40, 80), (80, 80)])
def test_oblong_pixels(radii):
    """Ellipses that on their pixels of 4 x 1 have known physical shape."""
    table = table_of(disc(radii), scale=(4.0, 1.0), unit="micrometer")
    a, b = radii[0] * 4, radii[1]
    # The estimator is some 5 % long on large discs; what is tested here is the stretch.
    stretch = circumference(a, b) / circumference(*radii)
    np.testing.assert_allclose(table["area_um2"], np.pi * a * b, rtol=0.01)
    np.testing.assert_allclose(table["centroid_y_um"], 400)
    np.testing.assert_allclose(table["centroid_x_um"], 100)
    np.testing.assert_allclose(table["equivalent_diameter_um"], 2 * np.sqrt(a * b), rtol=0.01)
    np.testing.assert_allclose(table["perimeter_um"] / table["perimeter_px"], stretch, rtol=5e-3)


def test_lines_and_points_have_finite_physical_perimeters():
    table = table_of([[1, 0, 2], [0, 0, 2], [3, 3, 3]], scale=(2.0, 1.0), unit="micrometer")
    assert np.isfinite(table["perimeter_um"]).all()


def test_every_channel_has_its_mean():
    intensity = np.array([[[1, 3, 9]], [[10, 30, 90]]], dtype=np.uint8)
    table = table_of([[1, 1, 2]], intensity=intensity)
    assert "mean_intensity" not in table
    assert table["mean_intensity_0"].tolist() == [2, 9]
    assert table["mean_intensity_1"].tolist() == [20, 90]


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_pixels_without_a_finite_value_are_left_out(missing):
    intensity = np.array([[[2, missing, 4, missing]]], dtype=np.float32)
    table = table_of([[1, 1, 1, 2]], intensity=intensity)
    np.testing.assert_array_equal(table["mean_intensity"], [3, np.nan])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint32, np.float16, np.float64])
def test_intensity_of_any_real_type(dtype):
    assert table_of([[1, 1]], intensity=np.array([[[0, 1]]], dtype=dtype))["mean_intensity"].tolist() == [0.5]


def test_large_values_do_not_overflow():
    intensity = np.full((1, 40, 40), 65535, dtype=np.uint16)
    assert table_of(np.ones((40, 40), int), intensity=intensity)["mean_intensity"].tolist() == [65535]


def test_confidence_is_the_mean_foreground():
    foreground = np.array([[0.5, 1.0, 0.25]], dtype=np.float32)
    table = measure(np.array([[1, 1, 7]]), foreground=foreground, intensity=np.zeros((1, 1, 3)), scale=None, unit=None)
    assert table["confidence"].tolist() == [0.75, 0.25]


def test_without_a_foreground_there_is_no_confidence():
    with_it, without = (
        measure(
            np.array([[1, 1, 7]]),
            foreground=foreground,
            intensity=np.zeros((1, 1, 3)),
            scale=(1.0, 1.0),
            unit="micrometer",
        )
        for foreground in (np.ones((1, 3), np.float32), None)
    )
    assert set(with_it) - set(without) == {"confidence"}


def test_positions_in_a_part_of_an_image_count_from_the_image():
    whole = np.zeros((30, 40), int)
    whole[8:13, 20:24], whole[15:17, 30:37] = 1, 2
    arguments = {"foreground": None, "scale": (0.5, 0.25), "unit": "micrometer"}
    expected = measure(whole, intensity=whole[None], **arguments)
    part = whole[6:20, 11:39]
    found = measure(part, intensity=part[None], origin=(6, 11), **arguments)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)

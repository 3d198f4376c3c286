"""What the axes of a layer mean to a file."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import Position
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.axes import AxisChoices, pixel_size
from napari_unetseg.plugin.layers.exports import contours_of_labels, read_axes
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import shown_axes, shown_plane, shown_stack
from napari_unetseg.service import SegmentationService


def attributes(shape: tuple[int, ...], **arguments: Any) -> dict[str, Any]:
    return Labels(np.zeros(shape, int), **arguments).as_layer_data_tuple()[1]


@pytest.mark.parametrize(
    ("labels", "letters"),
    [
        (None, "TZ"),
        (("time", "channel", "y", "x"), "TC"),
        (("Z", "T", "Y", "X"), "ZT"),
        (("z", "z", "y", "x"), "TZ"),
        (("well", "z", "y", "x"), "TZ"),
    ],
)
def test_axes_have_the_letters_of_their_labels_or_the_usual_ones(labels: Any, letters: str) -> None:
    axes = read_axes(4, attributes((2, 3, 4, 5), axis_labels=labels))
    assert axes.letters == letters
    assert (axes.stack, axes.plane, axes.start) == ((0, 1), (2, 3), (0, 0))


@pytest.mark.parametrize(
    ("labels", "letters"),
    [
        (("frames", "y", "x"), "T"),
        (("timepoint", "y", "x"), "T"),
        ((" Channels ", "row", "column"), "C"),
        (("slices", "y", "x"), "Z"),
        (("axis 0", "y", "x"), "Z"),
        (("-3", "-2", "-1"), "Z"),
        (("well", "y", "x"), "Z"),
        (("frames", "channels", "y", "x"), "TC"),
        (("channels", "frames", "y", "x"), "CT"),
        (("frames", "", "y", "x"), "TZ"),
        (("", "frames", "y", "x"), "ZT"),
        (("", "z", "y", "x"), "TZ"),
        (("z", "", "y", "x"), "ZT"),
        (("c", "", "y", "x"), "CZ"),
        (("z", "well", "y", "x"), "ZT"),
        (("slices", "planes", "t", "y", "x"), "CZT"),
        (("", "", "z", "y", "x"), "TCZ"),
        (("z", "", "", "y", "x"), "ZTC"),
        (("", "channel", "", "y", "x"), "TCZ"),
        (("planes", "frames", "wavelengths", "y", "x"), "ZTC"),
    ],
)
def test_names_of_axes_are_those_of_the_window(labels: tuple[str, ...], letters: str) -> None:
    shape = (5,) * len(labels)
    for meta in (attributes(shape, axis_labels=labels), attributes(shape, metadata={"axes": list(labels)})):
        assert read_axes(len(labels), meta).letters == letters


def test_labels_go_before_metadata() -> None:
    meta = attributes((2, 3, 4, 5), axis_labels=("frames", "", "y", "x"), metadata={"axes": "ZCYX"})
    assert read_axes(4, meta).letters == "TC"


@pytest.mark.parametrize(
    ("labels", "plane"),
    [
        (("y", "x", "frames"), (0, 1)),
        (("x", "frames", "y"), (0, 2)),
        (("frames", "y", "x"), (1, 2)),
        (("y", "frames", ""), (1, 2)),
        (("y", "y", "x"), (1, 2)),
    ],
)
def test_a_plane_lies_where_its_axes_are_named(labels: tuple[str, ...], plane: tuple[int, int]) -> None:
    assert read_axes(3, attributes((3, 4, 5), axis_labels=labels)).plane == plane


@pytest.mark.parametrize("recorded", [None, 7, "ZYX", ["Z"], ["", "", ""]])
def test_a_record_that_says_nothing_is_passed_over(recorded: Any) -> None:
    meta = attributes((3, 4, 5), metadata={METADATA_KEY: {"layer_axes": recorded}}, axis_labels=("z", "y", "x"))
    axes = read_axes(3, meta)
    assert (axes.letters, axes.plane, axes.start) == ("Z", (1, 2), (0,))


@pytest.mark.parametrize("shown", [(0, 1, 2, 3), (1, 0, 2, 3), (2, 0, 1, 3), (0, 3, 1, 2)])
@pytest.mark.parametrize(
    ("arguments", "choice"),
    [
        ({"axis_labels": ("frames", "channels", "y", "x")}, None),
        ({"axis_labels": ("slices", "", "rows", "columns")}, None),
        ({"metadata": {"axes": "ZTYX"}}, None),
        ({"metadata": {"axes": "CZYX"}, "axis_labels": ("t", "", "y", "x")}, None),
        ({}, None),
        ({}, ("Z", "C", "Y", "X")),
        ({"axis_labels": ("z", "t", "y", "x")}, ("T", "Z", "Y", "X")),
    ],
)
def test_results_have_the_axes_of_their_image(
    service: SegmentationService, arguments: dict[str, Any], choice: tuple[str, ...] | None, shown: tuple[int, ...]
) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((9, 8, 16, 24), np.uint8), **arguments)
    viewer.dims.order = shown
    axis_choices = AxisChoices()
    axis_choices.choose(image, choice)
    layer_axes = axis_choices.of(image, shown_axes(image, viewer.dims))
    for plane in (shown_plane(image, viewer.dims, layer_axes), shown_stack(image, viewer.dims, layer_axes)):
        result = service.segment(plane.read())
        for layer in build_layers(layer_data(result, plane, ("labels", "contours"))).values():
            axes = read_axes(4, layer.as_layer_data_tuple()[1])
            assert axes.plane == layer_axes.plane
            known = zip(axes.letters, (layer_axes.known_roles[axis] for axis in axes.stack), strict=True)
            assert all(letter == role for letter, role in known if role)


@pytest.mark.parametrize(("ndim", "letters"), [(2, ""), (3, "Z"), (5, "TCZ")])
def test_usual_axes(ndim: int, letters: str) -> None:
    assert read_axes(ndim, {}).letters == letters


def test_a_layer_that_was_cut_out_of_a_stack_knows_where() -> None:
    meta = attributes(
        (1, 4, 1, 5), metadata={"napari_unetseg": {"plane": {0: 7, 2: 3}}}, axis_labels=("t", "y", "z", "x")
    )
    axes = read_axes(4, meta)
    assert (axes.stack, axes.plane) == ((0, 2), (1, 3))
    assert axes.position((0, 0)) == Position(t=7, z=3)


def test_six_dimensions_are_too_many() -> None:
    with pytest.raises(UnetsegError, match="The layer 'cells' has 6 dimensions; files hold five at most"):
        read_axes(6, {"name": "cells"})


def test_pixels_have_a_size_where_both_axes_have_one_unit() -> None:
    assert pixel_size(attributes((4, 5), scale=(0.5, 0.25), units=("um", "um")), (0, 1)) == ((0.5, 0.25), "micrometer")
    assert pixel_size(attributes((4, 5), scale=(0.5, 0.25), units=("um", "nm")), (0, 1)) == (None, None)
    assert pixel_size(attributes((4, 5), scale=(0.5, 0.25)), (0, 1)) == (None, None)


@pytest.mark.parametrize(
    ("change", "size"),
    [
        ({"scale": (-0.5, 0.25)}, (0.5, 0.25)),
        ({"scale": (-0.5, -0.25), "rotate": 30}, (0.5, 0.25)),
        ({"scale": (0.5, 0.25), "affine": np.diag([-2, 3, 1])}, (1, 0.75)),
        ({"scale": (1e-9, 2e-9)}, (1e-9, 2e-9)),
        ({"scale": (0.5, 0.25), "shear": [0.1]}, None),
        ({"scale": (0.5, 0.25), "affine": [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]}, None),
    ],
)
def test_the_size_of_a_pixel_is_how_far_pixels_lie_apart(change: dict[str, Any], size: Any) -> None:
    found, unit = pixel_size(attributes((4, 5), units="um", **change), (0, 1))
    assert found == (None if size is None else pytest.approx(size, rel=1e-12))
    assert unit == (None if size is None else "micrometer")


def test_the_full_resolution_of_a_pyramid_is_taken() -> None:
    fine = np.ones((8, 8), int)
    found = contours_of_labels([fine, fine[::2, ::2]], {"multiscale": True})
    assert [contour.area for contour in found.contours] == [64]


def test_rows_of_features_that_name_no_object_are_left_out() -> None:
    features = pd.DataFrame({"index": [np.nan, 1.0], "area": [5.0, 4.0], "remark": ["x", "y"]})
    found = contours_of_labels(np.ones((2, 2), int), {"features": features})
    assert {name: list(column) for name, column in found.measurements.items()} == {"label": [1.0], "area": [4.0]}

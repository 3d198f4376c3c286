"""What the axes of a layer mean to a file."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import Position
from napari_unetseg.plugin.layers.exports import contours_of_labels, pixel_size, read_axes


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


def test_the_full_resolution_of_a_pyramid_is_taken() -> None:
    fine = np.ones((8, 8), int)
    found = contours_of_labels([fine, fine[::2, ::2]], {"multiscale": True})
    assert [contour.area for contour in found.contours] == [64]


def test_rows_of_features_that_name_no_object_are_left_out() -> None:
    features = pd.DataFrame({"index": [np.nan, 1.0], "area": [5.0, 4.0], "remark": ["x", "y"]})
    found = contours_of_labels(np.ones((2, 2), int), {"features": features})
    assert {name: list(column) for name, column in found.measurements.items()} == {"label": [1.0], "area": [4.0]}

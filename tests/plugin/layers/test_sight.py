"""Which images cannot be seen."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unetseg.plugin.layers.sight import grid_of, why_unseen


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer with the images a and, beneath it and three times as large, b."""
    viewer = ViewerModel()
    viewer.add_image(np.eye(30), name="b")
    viewer.add_image(np.eye(10), name="a")
    return viewer


def test_what_is_on_display_is_seen(viewer: ViewerModel) -> None:
    assert [why_unseen(layer, viewer) for layer in viewer.layers] == [None, None]


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [("visible", False, "'a' is hidden."), ("opacity", 0, "'a' is fully transparent.")],
)
def test_a_layer_can_be_off(viewer: ViewerModel, attribute: str, value: Any, reason: str) -> None:
    setattr(viewer.layers["a"], attribute, value)
    assert why_unseen(viewer.layers["a"], viewer) == reason
    assert why_unseen(viewer.layers["b"], viewer) is None


def test_a_larger_image_covers(viewer: ViewerModel) -> None:
    viewer.layers.reverse()
    a, b = viewer.layers["a"], viewer.layers["b"]
    assert why_unseen(a, viewer) == "'a' lies under 'b'."
    assert why_unseen(b, viewer) is None
    a.translate = (20.5, 0)
    assert why_unseen(a, viewer) is None, "a part of it is beside the other"
    a.translate = (20, 20)
    assert why_unseen(a, viewer) == "'a' lies under 'b'."


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("visible", False),
        ("opacity", 0.9),
        ("blending", "additive"),
        ("blending", "minimum"),
        ("rotate", 45),
        ("scale", (0.3, 0.3)),
        ("colormap", {"colors": [[0, 0, 0, 0], [1, 1, 1, 1]], "name": "faint", "interpolation": "linear"}),
    ],
)
def test_what_lets_something_through_covers_nothing(viewer: ViewerModel, attribute: str, value: Any) -> None:
    viewer.layers.reverse()
    setattr(viewer.layers["b"], attribute, value)
    assert why_unseen(viewer.layers["a"], viewer) is None


def test_colours_cover_unless_they_may_be_transparent() -> None:
    viewer = ViewerModel()
    below = viewer.add_image(np.eye(10), name="a")
    viewer.add_image(np.zeros((10, 10, 3), np.uint8), name="b", rgb=True)
    assert why_unseen(below, viewer) == "'a' lies under 'b'."
    viewer.layers.pop()
    viewer.add_image(np.zeros((10, 10, 4), np.uint8), name="b", rgb=True)
    assert why_unseen(below, viewer) is None


def test_nothing_covers_side_by_side_or_in_space(viewer: ViewerModel) -> None:
    viewer.layers.reverse()
    grid_of(viewer).enabled = True
    assert why_unseen(viewer.layers["a"], viewer) is None
    grid_of(viewer).enabled = False
    viewer.dims.ndisplay = 3
    assert why_unseen(viewer.layers["a"], viewer) is None


def test_a_short_stack_ends_before_a_long_one() -> None:
    viewer = ViewerModel()
    short = viewer.add_image(np.zeros((3, 10, 10)), name="short", scale=(2, 1, 1))
    viewer.add_image(np.zeros((9, 5, 5)), name="long")
    viewer.dims.set_point(0, 5)
    assert why_unseen(short, viewer) is None, "half a plane belongs to it"
    viewer.dims.set_point(0, 6)
    assert why_unseen(short, viewer) == ("'short' has no plane where the sliders stand; the nearest one is taken.")
    plane = viewer.add_image(np.zeros((10, 10)), name="plane")
    assert why_unseen(plane, viewer) is None


def test_what_was_removed_hides_nothing(viewer: ViewerModel) -> None:
    gone = viewer.layers.pop()
    assert why_unseen(gone, viewer) is None

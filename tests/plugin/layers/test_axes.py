"""How axes are read, and the line that says so."""

from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_unetseg.plugin.dock.axes_row import AxesLine
from napari_unetseg.plugin.layers.axes import AxisChoices, guess, is_complete, role_of


def layer_of(*shape: int, **arguments: Any) -> ImageLayer:
    return ImageLayer(np.zeros(shape, np.uint8), **arguments)


def roles(layer: ImageLayer, shown: tuple[int, int] | None = None) -> str:
    return "".join(role or "-" for role in guess(layer, shown or (layer.ndim - 2, layer.ndim - 1)).roles)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 8), "YX"),
        ((5, 6, 8), "ZYX"),
        ((3, 6, 8), "CYX"),
        ((12, 5, 6, 8), "TZYX"),
        ((5, 2, 6, 8), "ZCYX"),
        ((3, 3, 6, 8), "TZYX"),
        ((12, 3, 5, 6, 8), "TCZYX"),
        ((12, 5, 3, 6, 8), "TZCYX"),
        ((12, 9, 7, 6, 8), "TCZYX"),
        ((2, 12, 9, 7, 6, 8), "C-TZYX"),
        ((1, 6, 8), "ZYX"),
    ],
)
def test_lengths_are_the_last_hint(shape: tuple[int, ...], expected: str) -> None:
    assert roles(layer_of(*shape)) == expected


def test_colours_leave_no_channels_to_guess() -> None:
    assert roles(layer_of(3, 6, 8, 3, rgb=True)) == "ZYX"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("c", "t", "y", "x"), "CTYX"),
        (("time", "slice", "y", "x"), "TZYX"),
        (("position", "Z", "y", "x"), "-ZYX"),
        (("z", "Z", "y", "x"), "Z-YX"),
        (("0", "t", "y", "x"), "CTYX"),
    ],
)
def test_labels_come_first(labels: tuple[str, ...], expected: str) -> None:
    assert roles(layer_of(3, 9, 6, 8, axis_labels=labels)) == expected


@pytest.mark.parametrize("axes", ["ZTYX", ["z", "t", "y", "x"], [{"name": name} for name in "ztyx"]])
def test_metadata_come_second(axes: Any) -> None:
    assert roles(layer_of(3, 9, 6, 8, metadata={"axes": axes})) == "ZTYX"
    labelled = layer_of(3, 9, 6, 8, metadata={"axes": axes}, axis_labels=("c", "t", "y", "x"))
    assert roles(labelled) == "CTYX"


@pytest.mark.parametrize("axes", ["ZYX", 7, None, [1, 2, 3, 4]])
def test_metadata_that_say_nothing_are_passed_over(axes: Any) -> None:
    assert roles(layer_of(12, 9, 6, 8, metadata={"axes": axes})) == "TZYX"


SYNONYMS = {
    "T": "t time times timepoint timepoints time_point frame frames",
    "Z": "z slice slices z-slice plane planes depth section sections focus",
    "C": "c ch channel channels wavelength wavelengths colour colours color colors",
}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in SYNONYMS.items() for name in names.split()])
def test_axes_have_many_names(role: str, name: str) -> None:
    for label in (name, name.upper(), name.title(), f" {name}\t", name.replace("_", " ")):
        assert role_of(label) == role
        assert roles(layer_of(7, 6, 8, axis_labels=(label, "y", "x"))) == f"{role}YX"
        assert roles(layer_of(7, 6, 8, metadata={"axes": [label, "y", "x"]})) == f"{role}YX"


@pytest.mark.parametrize("label", ["axis 0", "Axis 1", "axis -3", "-3", "0", "", " ", " -3 "])
def test_numbers_of_axes_name_nothing(label: str) -> None:
    assert roles(layer_of(9, 6, 8, metadata={"axes": "TYX"}, axis_labels=(label, "y", "x"))) == "TYX"


@pytest.mark.parametrize("name", ["position", "well", "stage", "site", "lifetime", "framerate"])
def test_other_names_are_other_planes(name: str) -> None:
    assert role_of(name) == ""


def test_what_is_on_display_is_the_plane() -> None:
    layer = layer_of(5, 6, 8, axis_labels=("z", "y", "x"))
    layer_axes = guess(layer, (0, 2))
    assert (layer_axes.plane, layer_axes.stack, layer_axes.names) == ((0, 2), (1,), ("Z", "y".upper(), "X"))
    assert layer_axes.letters((0, 1, 2))[0::2] == "YX"


def test_letters_are_those_of_an_image_and_differ() -> None:
    layer_axes = guess(layer_of(2, 3, 5, 6, 8, axis_labels=("well", "site", "z", "y", "x")), (3, 4))
    letters = layer_axes.letters(range(5))
    assert letters[2:] == "ZYX"
    assert len(set(letters)) == 5


def test_what_the_user_chose_holds_until_it_no_longer_fits() -> None:
    layer, axis_choices = layer_of(5, 6, 8), AxisChoices()
    axis_choices.choose(layer, ("T", "Y", "X"))
    assert axis_choices.of(layer, (1, 2)).roles == ("T", "Y", "X")
    layer.data = np.zeros((2, 5, 6, 8))
    assert axis_choices.of(layer, (2, 3)).roles == ("C", "Z", "Y", "X")
    layer.data = np.zeros((5, 6, 8))
    axis_choices.choose(layer, None)
    assert axis_choices.of(layer, (1, 2)).roles == ("Z", "Y", "X")


@pytest.mark.parametrize(
    ("chosen", "complete"), [("ZYX", True), ("ZZYX", False), ("YXX", False), ("TZX", False), (["", "", "Y", "X"], True)]
)
def test_a_reading_needs_one_plane(chosen: Any, complete: bool) -> None:
    assert is_complete(tuple(chosen)) == complete


def test_the_line_has_room_for_a_large_font_that_comes_with_the_window(qtbot: Any) -> None:
    window = QWidget()
    line = AxesLine(window)
    QVBoxLayout(window).addWidget(line)
    qtbot.addWidget(window)
    window.setStyleSheet("QLabel { font-size: 40px }")
    window.show()
    for text in ("", "Y X · 64 x 64 · uint16"):
        line.show_axes(text)
        QApplication.processEvents()
        assert line.height() >= line.fontMetrics().height() >= 40

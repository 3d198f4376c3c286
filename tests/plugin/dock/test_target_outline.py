"""The outline around the image that a run would be on."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Squares = NDArray[np.uint16]


def send(widget: QWidget, kind: QEvent.Type) -> None:
    QApplication.sendEvent(widget, QEvent(kind))


def outlined(widget: SegmentationWidget) -> list[str]:
    return [layer.name for layer in widget.viewer.layers if layer.bounding_box.visible]


def look(layer: Any) -> dict[str, Any]:
    return dict(layer.bounding_box.model_dump())


def test_the_chosen_image_is_outlined_while_the_pointer_is_on_run(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(*(ImageLayer(squares, name=name) for name in "abc"))
    widget.inputs.choose_layer(widget.viewer.layers["a"])
    before = look(widget.viewer.layers["a"])
    for part in (widget.runner.run, widget.inputs.image, widget.inputs.pin):
        send(part, QEvent.Type.Enter)
        assert outlined(widget) == ["a"]
        send(part, QEvent.Type.Leave)
        assert outlined(widget) == []
    assert look(widget.viewer.layers["a"]) == before


def test_all_selected_images_are_outlined_where_a_run_is_on_them(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(*(ImageLayer(squares, name=name) for name in "abc"))
    widget.inputs.run_on.choose(RunOn.SELECTED)
    widget.viewer.layers.selection = {widget.viewer.layers["a"], widget.viewer.layers["c"]}
    send(widget.runner.run, QEvent.Type.Enter)
    assert outlined(widget) == ["a", "c"]
    send(widget.runner.run, QEvent.Type.Hide)
    assert outlined(widget) == []


def test_a_box_of_the_user_stays(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(ImageLayer(squares, name="a"), ImageLayer(squares, name="b"))
    widget.viewer.layers["b"].bounding_box.visible = True
    before = look(widget.viewer.layers["b"])
    send(widget.runner.run, QEvent.Type.Enter)
    send(widget.runner.run, QEvent.Type.Leave)
    assert look(widget.viewer.layers["b"]) == before


def test_an_image_alone_needs_no_outline(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    send(widget.runner.run, QEvent.Type.Enter)
    assert outlined(widget) == []

"""What the window does at the press of a key, and that every control says what it is for."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari._app_model import get_app_model
from napari.utils.shortcuts import default_shortcuts
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListView, QWidget

from napari_unetseg.plugin.dock.shortcuts import CANCEL, CONTOURS, RUN
from napari_unetseg.plugin.widget import SegmentationWidget

MakeWidget = Callable[..., SegmentationWidget]
Squares = NDArray[np.uint16]


def test_the_keys_are_not_those_of_napari(make_widget: MakeWidget, squares: Squares) -> None:
    make_widget(squares)
    taken = {str(binding.keybinding) for binding in get_app_model().keybindings}
    taken |= {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not {RUN, CANCEL, CONTOURS} & taken


def test_keys_run_and_flip_the_contours(make_widget: MakeWidget, qtbot: Any, squares: Squares) -> None:
    widget = make_widget(squares)
    window = widget.window()
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    qtbot.keyClick(window, Qt.Key.Key_R, modifiers)
    assert widget.controller.running
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)
    contours = widget.viewer.layers["cells contours"]
    for visible in (False, True):
        qtbot.keyClick(window, Qt.Key.Key_E, modifiers)
        assert contours.visible is visible
    assert widget.viewer.layers["cells labels"].visible
    assert "Alt" in widget.runner.run.toolTip()


def test_the_tab_key_goes_down_the_rows(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    rows = [
        *(widget.inputs.image, widget.inputs.run_on, widget.inputs.model, widget.inputs.card, widget.inputs.device),
        *(widget.object_size.rescale, widget.runner.run, widget.adjust.outputs["labels"], widget.more.toggle),
        *(
            widget.result_actions.save,
            widget.result_actions.python,
            widget.result_actions.rerun,
            widget.result_actions.more,
        ),
    ]
    chain: list[QWidget] = []
    current: QWidget | None = widget
    while current is not None and current not in chain:
        chain.append(current)
        current = current.nextInFocusChain()
    places = [chain.index(row) for row in rows]
    assert places == sorted(places)


def test_every_control_says_what_it_is_for(make_widget: MakeWidget, squares: Squares) -> None:
    widget = make_widget(squares)
    rows = (widget.inputs, widget.runner, widget.adjust, widget.result_actions, widget.more)
    controls = [one for row in rows for one in row.findChildren(QWidget) if one.focusPolicy() & Qt.FocusPolicy.TabFocus]
    # The lists that combo boxes drop are theirs, and a message's button is told with the message.
    told = (widget.message.action, widget.message.second)
    own = [one for one in controls if not isinstance(one, QListView) and one not in told]
    silent = [
        one for one in own if not (one.toolTip() or (one.parentWidget() is not None and one.parentWidget().toolTip()))
    ]
    assert [type(one).__name__ for one in silent] == []

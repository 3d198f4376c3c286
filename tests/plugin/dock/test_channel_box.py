"""Channels chosen in the window by name: along an axis, in layers of their own, and for a model of two inputs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialogButtonBox

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.dock.channel_box import ChannelBox
from napari_unetseg.plugin.learning.labelled_planes import labelled_planes
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import RunRecipe, SegmentationService
from napari_unetseg.service.recipe_text import as_python

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]

DARK, LEFT, RIGHT = (np.zeros((40, 60), np.uint8) for _ in range(3))
LEFT[10:20, 5:15] = 200
RIGHT[10:20, 40:55] = 250
STAINS = np.stack([DARK, LEFT, RIGHT])


def titles(box: ChannelBox) -> list[str]:
    return [box.itemText(row) for row in range(box.count())]


def choose(widget: SegmentationWidget, title: str) -> None:
    widget.inputs.channels.setCurrentIndex(titles(widget.inputs.channels).index(title))


def press_ok(box: ChannelBox) -> None:
    assert box.dialog is not None
    button = box.dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert button is not None
    button.click()


def stained(**more: Any) -> ImageLayer:
    return ImageLayer(
        STAINS,
        name="cells",
        metadata={"axes": "CYX", "channel_names": ["BF", "DAPI", "GFP"]},
        **more,
    )


def labels(widget: SegmentationWidget, name: str = "cells labels") -> NDArray[np.integer]:
    return np.asarray(widget.viewer.layers[name].data).reshape(40, 60) > 0


def record(widget: SegmentationWidget, name: str = "cells labels") -> dict[str, Any]:
    found: dict[str, Any] = widget.viewer.layers[name].metadata[METADATA_KEY]
    return found


def python_of(widget: SegmentationWidget, name: str, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.integer]:
    """Run what Copy as Python gives, in the console of the window."""
    monkeypatch.setattr("napari.current_viewer", lambda: widget.viewer)
    names: dict[str, Any] = {}
    exec(as_python(RunRecipe.of(record(widget, name))), names)
    found: NDArray[np.integer] = names["result"].labels > 0
    return found


def test_the_row_takes_no_room_without_channels_to_choose(make_widget: MakeWidget) -> None:
    widget = make_widget(ImageLayer(LEFT, name="grey"))
    inputs = widget.inputs
    assert inputs.channels.isHidden()
    low = inputs.sizeHint().height()
    widget.viewer.add_layer(stained())
    assert not inputs.channels.isHidden()
    assert inputs.sizeHint().height() > low + 15
    widget.viewer.layers.remove("cells")
    assert inputs.channels.isHidden()
    assert inputs.sizeHint().height() == low


def test_one_channel_and_several_together(
    make_widget: MakeWidget, press_run: Step, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = make_widget(stained())
    box = widget.inputs.channels
    assert titles(box)[:6] == ["the one shown", "BF", "DAPI", "GFP", "brightest of all", "sum of all"]
    choose(widget, "GFP")
    press_run(widget)
    np.testing.assert_array_equal(labels(widget), RIGHT > 0)
    choose(widget, "brightest of all")
    press_run(widget)
    both = (LEFT > 0) | (RIGHT > 0)
    np.testing.assert_array_equal(labels(widget, "cells labels [2]"), both)
    assert record(widget, "cells labels [2]")["channels"] == "max(BF,DAPI,GFP)"
    assert "max(BF,DAPI,GFP)" in widget.runner.result.text()
    np.testing.assert_array_equal(python_of(widget, "cells labels [2]", monkeypatch), both)
    # What learns from the corrected labels sees what the model saw.
    lessons = {plane.labels.name: plane for plane in labelled_planes(widget.viewer)}
    np.testing.assert_array_equal(lessons["cells labels"].read_image().array, RIGHT)
    np.testing.assert_array_equal(lessons["cells labels [2]"].read_image().array, np.maximum(LEFT, RIGHT))
    # The other result again, with its channel.
    widget.viewer.layers.selection.select_only(widget.viewer.layers["cells labels"])
    widget.result_actions.rerun.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)
    np.testing.assert_array_equal(labels(widget, "cells labels [3]"), RIGHT > 0)
    assert box.choice() == "GFP"


def test_layers_of_one_channel_each_are_named_without_what_they_share(
    make_widget: MakeWidget, press_run: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a.lif Series 3 DAPI", "a.lif Series 3 GFP")
    widget = make_widget(*(ImageLayer(one, name=name) for one, name in zip((LEFT, RIGHT), names, strict=True)))
    assert titles(widget.inputs.channels)[:3] == ["this layer", "DAPI", "GFP"]
    choose(widget, "sum of all")
    press_run(widget)
    both = (LEFT > 0) | (RIGHT > 0)
    name = f"{names[1]} labels"
    np.testing.assert_array_equal(labels(widget, name), both)
    np.testing.assert_array_equal(python_of(widget, name, monkeypatch), both)


def test_a_choice_is_kept_by_name_and_said_where_it_is_missing(make_widget: MakeWidget) -> None:
    other = ImageLayer(STAINS, name="other", metadata={"axes": "CYX", "channels": [{"name": "GFP"}, "Cy5", "DAPI"]})
    third = ImageLayer(STAINS[:2, :20], name="third", metadata={"axes": "CYX"})
    widget = make_widget(stained(), other, third)
    box = widget.inputs.channels
    widget.inputs.choose_layer(widget.viewer.layers["cells"])
    choose(widget, "DAPI")
    widget.inputs.choose_layer(widget.viewer.layers["other"])
    assert box.choice() == "DAPI"
    widget.inputs.choose_layer(widget.viewer.layers["third"])
    assert (box.choice(), box.currentText()) == (None, "the one shown (no DAPI here)")
    assert box.wanted(by_role=False) == "DAPI"


def test_one_channel_leaves_nothing_to_choose(make_widget: MakeWidget) -> None:
    widget = make_widget(LEFT)
    assert not widget.inputs.channels.isEnabled()
    assert widget.inputs.segment_options() == {"link": False}


def test_the_last_row_asks_and_leaves_the_choice_where_it_was(make_widget: MakeWidget, qtbot: Any) -> None:
    widget = make_widget(stained())
    box = widget.inputs.channels
    box.setCurrentIndex(box.count() - 1)
    assert box.choice() is None
    box.activated.emit(box.count() - 1)
    assert box.dialog is not None
    ticks = {tick.text(): tick for tick in box.dialog.ticks}
    ticks["BF"].setChecked(False)
    box.dialog.combination.setCurrentIndex(1)
    press_ok(box)
    assert box.choice() == "sum(DAPI,GFP)"


@pytest.fixture
def two_inputs(two_inputs_model: Path) -> SegmentationService:
    return SegmentationService(str(two_inputs_model), "cpu", "torch")


def test_a_model_of_two_inputs_gets_its_channels_by_role(
    make_widget: MakeWidget, press_run: Step, two_inputs: SegmentationService, qtbot: Any
) -> None:
    widget = make_widget(stained(), model_choice=two_inputs)
    widget.inputs.model.set_models([two_inputs.package])
    box = widget.inputs.channels
    # Shown is what the model would get, in the order of the image, as none is called as a role is.
    assert box.currentText() == "nucleus: BF, cytoplasm: DAPI"
    box.activated.emit(box.count() - 1)
    assert box.dialog is not None
    for role, name in zip(box.dialog.roles, ("GFP", "BF"), strict=True):
        role.setCurrentIndex(role.findText(name, Qt.MatchFlag.MatchExactly))
    press_ok(box)
    assert box.choice() == "nucleus=GFP,cytoplasm=BF"
    press_run(widget)
    np.testing.assert_array_equal(labels(widget), RIGHT > 0)
    assert record(widget)["channels"] == "nucleus=GFP,cytoplasm=BF"
    widget.result_actions.rerun.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)
    np.testing.assert_array_equal(labels(widget, "cells labels [2]"), RIGHT > 0)


def test_a_tile_of_a_model_of_two_inputs_shows_what_run_finds(
    make_widget: MakeWidget, press_run: Step, two_inputs: SegmentationService, qtbot: Any
) -> None:
    widget = make_widget(stained(), model_choice=two_inputs)
    widget.inputs.model.set_models([two_inputs.package])
    widget.inputs.channels.want("nucleus=GFP,cytoplasm=BF", by_role=True)
    widget.runner.try_all.click()
    dialog = widget.try_all.dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: not dialog.controller.running, timeout=30_000)
    (tile,) = dialog.view.tiles()
    assert (tile.source.name, tile.trial.error) == ("nucleus=GFP, cytoplasm=BF", None)
    np.testing.assert_array_equal(tile.trial.labels > 0, RIGHT > 0)
    dialog.view.setCurrentRow(0)
    press_run(widget)
    np.testing.assert_array_equal(labels(widget), RIGHT > 0)


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (["a: DAPI", "a: GFP"], ("DAPI", "GFP")),
        (["0 :: well 1 :: DAPI", "0 :: well 1 :: GFP"], ("DAPI", "GFP")),
        (["Channel 1 :: 0 :: a", "Channel 2 :: 0 :: a"], ("Channel 1", "Channel 2")),
        (["a.nd2: Alexa 488", "a.nd2: Alexa 568"], ("Alexa 488", "Alexa 568")),
        (["488 nm", "568 nm"], ("488 nm", "568 nm")),
        (["a.nd2 DAPI", "a.nd2 GFP"], ("DAPI", "GFP")),
    ],
)
def test_no_name_of_a_layer_is_cut_to_a_number(
    make_widget: MakeWidget, layers: list[str], names: tuple[str, ...]
) -> None:
    # The file has "Channel 1" and "Channel 2": a 1 would be taken for the second of them.
    widget = make_widget(*(ImageLayer(LEFT, name=name) for name in layers))
    assert tuple(titles(widget.inputs.channels)[1:3]) == names


class Labelled(np.ndarray):
    """As much of an array of xarray as names channels."""

    dims = ("C", "Y", "X")
    coords: ClassVar[dict[str, list[str]]] = {"C": ["BF", "DAPI", "GFP"]}


def test_channels_are_called_by_the_coordinates_of_an_xarray(make_widget: MakeWidget) -> None:
    widget = make_widget(ImageLayer(STAINS.view(Labelled), metadata={"axes": "CYX"}))
    assert titles(widget.inputs.channels)[1:4] == ["BF", "DAPI", "GFP"]

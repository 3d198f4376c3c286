"""Try all in the real window: tiles, what choosing one sets, and what messages offer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.errors import ModelError
from napari_unetseg.plugin.trials.trials_dialog import TrialsDialog
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import SegmentationService

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]
Squares = NDArray[np.uint16]


@pytest.fixture
def tried(qtbot: Any) -> Callable[[SegmentationWidget], TrialsDialog]:
    """Press Try all and wait until all is tried."""

    def press(widget: SegmentationWidget) -> TrialsDialog:
        widget.runner.try_all.click()
        dialog = widget.try_all.dialog
        assert dialog is not None
        qtbot.waitUntil(lambda: not widget.try_all.busy, timeout=30_000)
        return dialog

    return press


def channels(squares: Squares) -> ImageLayer:
    """Return an image of three channels of which the second has the squares."""
    pixels = np.stack([squares * 0, squares, squares * 0])
    return ImageLayer(pixels, name="cells", axis_labels=("c", "y", "x"))


def found(dialog: TrialsDialog) -> list[tuple[str, int]]:
    return [(tile.source.name, tile.trial.count) for tile in dialog.view.tiles()]


def test_every_channel_becomes_a_tile_and_nothing_is_added(
    make_widget: MakeWidget, tried: Callable[[SegmentationWidget], TrialsDialog], squares: Squares
) -> None:
    widget = make_widget(channels(squares))
    dialog = tried(widget)
    assert found(dialog) == [("channel 2", 3), ("channel 1", 0), ("channel 3", 0)]
    assert len(widget.viewer.layers) == 1
    best = dialog.view.tiles()[0]
    assert best.picture.shape == (48, 64, 3)
    assert (best.picture[4, 4] != best.picture[8, 8]).any()  # an outline round the first square


def test_a_click_sets_channel_and_model_and_run_finds_what_the_tile_shows(
    make_widget: MakeWidget,
    tried: Callable[[SegmentationWidget], TrialsDialog],
    press_run: Step,
    squares: Squares,
) -> None:
    widget = make_widget(channels(squares))
    widget.adjust.min_size.setValue(60)
    widget.object_size.diameter.setValue(30)
    widget.viewer.dims.set_current_step(0, 2)
    dialog = tried(widget)
    dialog.view.setCurrentRow(0)
    assert "channel 2 of 3" in widget.inputs.axes.text()
    assert widget.message.text.text() == "Bright objects · channel 2 is chosen. Press Run."
    press_run(widget)
    np.testing.assert_array_equal(
        np.squeeze(widget.viewer.layers["cells labels"].data), dialog.view.tiles()[0].trial.labels
    )


def test_a_double_click_runs(
    make_widget: MakeWidget, tried: Callable[[SegmentationWidget], TrialsDialog], squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(channels(squares))
    dialog = tried(widget)
    dialog.view.setCurrentRow(0)
    item = dialog.view.item(0)
    assert item is not None
    dialog.view.itemDoubleClicked.emit(item)
    qtbot.waitUntil(lambda: widget.result is not None, timeout=30_000)
    assert widget.viewer.layers["cells labels"].data.max() == 3
    assert dialog.isHidden()


def test_layers_that_are_channels_of_one_image_are_tried_and_chosen(
    make_widget: MakeWidget, tried: Callable[[SegmentationWidget], TrialsDialog], squares: Squares
) -> None:
    widget = make_widget(ImageLayer(squares * 0, name="dapi"), ImageLayer(squares, name="gfp"))
    widget.inputs.choose_layer(widget.viewer.layers["dapi"])
    dialog = tried(widget)
    assert found(dialog) == [("gfp", 3), ("dapi", 0)]
    dialog.view.setCurrentRow(0)
    assert widget.inputs.image.currentText() == "gfp"


def test_cancel_stops_and_keeps_what_was_tried(
    make_widget: MakeWidget, gated: Any, squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(channels(squares), model_choice=gated)
    widget.runner.try_all.click()
    dialog = widget.try_all.dialog
    assert dialog is not None
    assert gated.entered.wait(20)
    dialog.cancel.click()
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.try_all.busy, timeout=20_000)
    assert found(dialog) == []
    assert gated.calls == 1
    assert dialog.message.text.text().startswith("Cancelled.")


def test_a_model_that_fails_says_so_in_its_tile(
    make_widget: MakeWidget, tried: Callable[[SegmentationWidget], TrialsDialog], squares: Squares, service: Any
) -> None:
    class Failing:
        def segment(self, *_: Any, **__: Any) -> Any:
            raise ModelError("The weights are gone.")

        def __getattr__(self, name: str) -> Any:
            return getattr(service, name)

    widget = make_widget(squares, model_choice=Failing())
    dialog = tried(widget)
    (tile,) = dialog.view.tiles()
    item = dialog.view.item(0)
    assert isinstance(tile.trial.error, ModelError)
    assert item is not None
    assert "The weights are gone." in item.toolTip()
    assert dialog.message.badge.kind == "warning"


def test_closing_the_dock_ends_the_trials(make_widget: MakeWidget, gated: Any, squares: Squares, qtbot: Any) -> None:
    widget = make_widget(squares, model_choice=gated)
    widget.runner.try_all.click()
    assert gated.entered.wait(20)
    widget.viewer.window.remove_dock_widget(widget)
    gated.release.set()
    qtbot.waitUntil(lambda: not widget.try_all.busy, timeout=20_000)


def test_where_nothing_is_found_the_other_channels_are_named_and_can_be_tried(
    make_widget: MakeWidget, press_run: Step, squares: Squares, qtbot: Any
) -> None:
    widget = make_widget(channels(squares))
    widget.viewer.dims.set_current_step(0, 0)  # napari shows the middle one at first
    press_run(widget)
    assert "Not looked at: channel 2, channel 3." in widget.message.text.text()
    offered = [one for one in (widget.message.action, widget.message.second) if not one.isHidden()]
    assert offered[-1].text() == "Try all..."
    offered[-1].click()
    qtbot.waitUntil(lambda: widget.try_all.dialog is not None and not widget.try_all.busy, timeout=30_000)


def test_threshold_and_try_all_are_offered_side_by_side(
    make_widget: MakeWidget, press_run: Step, settle: Step, squares: Squares
) -> None:
    widget = make_widget(squares)
    widget.adjust.threshold.setValue(1.0)
    widget.adjust.min_size.setValue(40)
    press_run(widget)
    assert widget.message.action.text().startswith("Set to 0.")
    assert widget.message.second.text() == "Try all..."
    widget.message.action.click()
    settle(widget)
    assert widget.viewer.layers["cells labels"].data.max() == 1
    assert widget.message.action.isHidden()
    assert widget.message.second.isHidden()


def test_runs_that_find_nothing_do_not_pile_up(make_widget: MakeWidget, press_run: Step, squares: Squares) -> None:
    widget = make_widget(channels(squares))
    widget.viewer.dims.set_current_step(0, 0)
    for _ in range(3):
        press_run(widget)
    assert [layer.name for layer in widget.viewer.layers] == ["cells", "cells labels", "cells contours"]
    widget.viewer.dims.set_current_step(0, 1)
    press_run(widget)
    assert widget.viewer.layers["cells labels"].data.max() == 3
    press_run(widget)
    assert "cells labels [2]" in widget.viewer.layers


def test_an_empty_result_that_somebody_drew_on_stays(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    widget = make_widget(squares * 0)
    press_run(widget)
    widget.viewer.layers["cells labels"].paint((5, 5), 1)
    press_run(widget)
    assert "cells labels [2]" in widget.viewer.layers


def test_an_image_unlike_what_the_model_knows_offers_try_all(
    make_widget: MakeWidget, press_run: Step, squares: Squares
) -> None:
    faint = np.zeros((60, 80), np.float32)
    faint[5:45, 5:65] = 0.52
    faint[50, 70] = 1
    widget = make_widget(faint)
    press_run(widget)
    assert "looks unlike what Bright objects knows" in widget.message.text.text()
    assert widget.message.action.text() == "Try all..."
    layer = widget.viewer.add_image(squares, name="squares")
    widget.inputs.choose_layer(layer)
    press_run(widget)
    assert "unlike" not in widget.message.text.text()
    assert widget.message.action.isHidden()


def test_models_of_the_box_are_tried_one_after_the_other(
    make_widget: MakeWidget,
    tried: Callable[[SegmentationWidget], TrialsDialog],
    squares: Squares,
    bright_model: Path,
    tmp_path: Path,
) -> None:
    import shutil

    from napari_unetseg.zoo.registry import read_package

    other = shutil.copytree(bright_model, tmp_path / "other")
    card = (other / "model.yaml").read_text(encoding="utf-8")
    card = card.replace("name: bright", "name: other", 1).replace("min_size: 4", "min_size: 50")
    (other / "model.yaml").write_text(card.replace("Bright objects", "Large ones"), encoding="utf-8")
    widget = make_widget(squares, model_choice=SegmentationService(bright_model, "cpu"))
    widget.inputs.model.set_models([read_package(bright_model, "user"), read_package(other, "user")])
    dialog = tried(widget)
    assert sorted((tile.trial.package.name, tile.trial.count) for tile in dialog.view.tiles()) == [
        ("bright", 3),
        ("other", 1),
    ]
    row = next(row for row, tile in enumerate(dialog.view.tiles()) if tile.trial.package.name == "other")
    dialog.view.setCurrentRow(row)
    package = widget.inputs.package()
    assert package is not None
    assert package.name == "other"

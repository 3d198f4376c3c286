"""The same verbs for scripts, menus, samples and the demo."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from magicgui import magicgui
from napari._app_model import get_app_model
from napari.layers import Image as ImageLayer
from napari.utils.notifications import notification_manager
from numpy.typing import NDArray
from qtpy.QtWidgets import QDialog

from napari_unetseg import samples
from napari_unetseg.errors import ImageError
from napari_unetseg.plugin import commands, demo_window, functions
from napari_unetseg.plugin.functions import segment_layer, segment_layers
from napari_unetseg.plugin.layers.plane import shown_plane
from napari_unetseg.plugin.sample_data import open_nuclei, open_tissue
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.plugin.workers.services import shared_service
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.zoo.registry import DEFAULT_MODEL, read_package

Squares = NDArray[np.uint16]


@pytest.fixture(autouse=True)
def _the_bright_model_is_the_default(bright_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def service(model: str, device: str) -> Any:
        return shared_service(str(bright_model) if model == DEFAULT_MODEL else model, device)

    monkeypatch.setattr(functions, "shared_service", service)
    package = read_package(bright_model, "path")
    others = SegmentationWidget.__init__.__defaults__[2:]
    monkeypatch.setattr(SegmentationWidget.__init__, "__defaults__", (shared_service, lambda: [package], *others))


def test_a_script_gets_layer_data(qtbot: Any, squares: Squares) -> None:
    worker = segment_layer(ImageLayer(squares, name="cells"), confidence=True)
    with qtbot.waitSignal(worker.returned, timeout=30_000) as result:
        pass
    (data,) = result.args
    assert [(one[1]["name"], one[2]) for one in data] == [
        ("cells confidence", "image"),
        ("cells labels", "labels"),
        ("cells contours", "shapes"),
    ]
    assert data[1][0].max() == 3


def test_parameters_reach_the_decoder(qtbot: Any, squares: Squares) -> None:
    worker = segment_layer(ImageLayer(squares), min_size=40, contours=False)
    with qtbot.waitSignal(worker.returned, timeout=30_000) as result:
        pass
    assert result.args[0][0][0].max() == 1


def test_magicgui_makes_a_form_that_adds_the_layers(make_napari_viewer: Any, qtbot: Any, squares: Squares) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_image(squares, name="cells")
    form = magicgui(segment_layer)
    viewer.window.add_dock_widget(form)
    form.layer.value = layer
    assert all(form[name].value is None for name in ("threshold", "min_size", "split", "diameter"))
    for names in (["cells labels", "cells contours"], ["cells labels [2]", "cells contours [2]"]):
        with qtbot.waitSignal(form().finished, timeout=30_000):
            pass
        assert [layer.name for layer in viewer.layers][-2:] == names


def test_forms_have_a_row_for_every_option_of_a_plane(qtbot: Any) -> None:
    # A function gets the plane that is shown: channels beside it, and planes to link, are chosen in the window.
    without = ("channel", "channels", "link")
    options = [name for name in SegmentOptions.model_fields if name not in without]
    for function, first in ((segment_layer, "layer"), (segment_layers, "layers")):
        shown = inspect.signature(function).parameters
        assert list(shown) == [first, "model", "device", *options, "labels", "contours", "confidence"]
    form = magicgui(segment_layer)
    assert all(form[name].tooltip for name in options)
    assert {form[name].widget_type for name in DecodeParameters.model_fields} == {"LiteralEvalLineEdit"}


@pytest.mark.parametrize("name", ["treshold", "channel", "channels", "link"])
def test_an_option_that_there_is_not_is_refused_at_once(squares: Squares, name: str) -> None:
    options: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError, match=name):
        segment_layer(ImageLayer(squares), **options)
    with pytest.raises(TypeError, match=name):
        segment_layers([ImageLayer(squares)], **options)


def test_a_cancelled_worker_returns_nothing(qtbot: Any, squares: Squares) -> None:
    worker = segment_layer(ImageLayer(squares))
    worker.quit()
    returned: list[Any] = []
    worker.returned.connect(returned.append)
    with qtbot.waitSignal(worker.finished, timeout=30_000):
        pass
    assert returned == []


def test_the_menu_opens_one_widget_and_presses_run(make_napari_viewer: Any, qtbot: Any, squares: Squares) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(squares, name="other")
    viewer.add_image(squares, name="cells")
    for _ in range(2):
        commands.segment_selected(viewer)
        widget = commands.open_widget(viewer)
        qtbot.waitUntil(lambda w=widget: not w.controller.running, timeout=30_000)
        viewer.layers.selection.active = viewer.layers["cells"]
    assert len(viewer.window.dock_widgets) == 1
    assert {"cells labels", "cells labels [2]"} <= {layer.name for layer in viewer.layers}


def test_menus_and_scripts_open_the_same_dock(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    get_app_model().commands.execute_command("napari-unetseg.widget")
    assert list(viewer.window.dock_widgets) == ["U-Net Segmentation (napari-unetseg)"]
    commands.open_widget(viewer)
    assert len(viewer.window.dock_widgets) == 1


def test_the_background_entry_adds_layers(make_napari_viewer: Any, qtbot: Any, squares: Squares) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(squares, name="cells")
    get_app_model().commands.execute_command("napari-unetseg.segment_in_background")
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=30_000)
    assert [layer.name for layer in viewer.layers] == ["cells", "cells labels", "cells contours"]


def test_the_batch_entry_adds_the_layers_of_every_selected_image(
    make_napari_viewer: Any, qtbot: Any, squares: Squares
) -> None:
    viewer = make_napari_viewer()
    layers = [viewer.add_image(squares, name="cells"), viewer.add_image(squares[:30], name="part")]
    viewer.add_image(squares, name="not selected")
    viewer.layers.selection = set(layers)
    get_app_model().commands.execute_command("napari-unetseg.segment_batch")
    qtbot.waitUntil(lambda: len(viewer.layers) == 7, timeout=30_000)
    assert [layer.name for layer in viewer.layers][3:] == [
        *("cells labels", "cells contours"),
        *("part labels", "part contours"),
    ]
    assert viewer.layers["cells labels"].data.max() == 3
    assert viewer.layers["part labels"].data.max() == 2
    assert "5 objects in 2 images." in [notice.message for notice in notification_manager.records]


def test_one_bad_image_of_a_batch_is_named(qtbot: Any, squares: Squares, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = ImageLayer(squares, name="good"), ImageLayer(squares, name="bad")

    def cannot_be_read() -> Any:
        raise ImageError("bad: the file is gone.")

    def plane_of(layer: ImageLayer, dims: Any) -> Any:
        plane = shown_plane(layer, dims)
        return replace(plane, read=cannot_be_read) if layer is bad else plane

    monkeypatch.setattr(functions, "shown_plane", plane_of)
    worker = segment_layers([bad, good], contours=False)
    with qtbot.waitSignal(worker.returned, timeout=30_000) as result:
        pass
    assert [one[1]["name"] for one in result.args[0]] == ["good labels"]
    reported = [notice.message for notice in notification_manager.records]
    assert "bad was not segmented: bad: the file is gone." in reported


@pytest.mark.parametrize("name", ["health", "initialize"])
def test_the_palette_checks_and_loads_the_model_in_the_panel(make_napari_viewer: Any, qtbot: Any, name: str) -> None:
    viewer = make_napari_viewer()
    get_app_model().commands.execute_command(f"napari-unetseg.{name}")
    widget = commands.open_widget(viewer)
    assert widget.health.expanded
    qtbot.waitUntil(lambda: not widget.health.checking, timeout=30_000)
    assert widget.health.light.state == "ready"


@pytest.mark.parametrize(
    ("name", "part", "method"),
    [
        ("fix_objects", "fixing", "open"),
        ("improve_model", "learning", "open_improve"),
        ("train_model", "learning", "open_train"),
        ("review_folder", "reviewing", "open"),
        ("open_plate", "plates", "open"),
        ("compare_models", "comparing", "open"),
    ],
)
def test_the_palette_opens_the_windows_of_the_panel(
    make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch, name: str, part: str, method: str
) -> None:
    viewer = make_napari_viewer()
    widget, opened = commands.open_widget(viewer), []
    monkeypatch.setattr(getattr(widget, part), method, lambda: opened.append(part))
    get_app_model().commands.execute_command(f"napari-unetseg.{name}")
    assert opened == [part]


def test_the_palette_shows_the_card(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    get_app_model().commands.execute_command("napari-unetseg.model_info")
    (dialog,) = commands.open_widget(viewer).findChildren(QDialog)
    assert dialog.windowTitle() == "Bright objects"
    dialog.close()


@pytest.mark.parametrize("command", [commands.check_health, commands.initialize])
def test_magicgui_makes_a_button_of_a_command(make_napari_viewer: Any, qtbot: Any, command: Any) -> None:
    viewer = make_napari_viewer()
    form = magicgui(command)
    viewer.window.add_dock_widget(form)
    form()
    widget = commands.open_widget(viewer)
    qtbot.waitUntil(lambda: not widget.health.checking, timeout=30_000)
    assert widget.health.light.state == "ready"


def test_without_a_selected_image_the_entries_say_what_to_do(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    viewer.add_points()
    for command in (commands.segment_selected, commands.segment_batch, commands.segment_in_background):
        with pytest.raises(ImageError, match=r"Select one (or more )?image layer"):
            command(viewer)


def test_samples_open_as_layers(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    for key in ("nuclei", "tissue"):
        viewer.open_sample("napari-unetseg", key)
    nuclei, tissue = viewer.layers
    np.testing.assert_array_equal(nuclei.data, samples.nuclei().array)
    assert [str(unit) for unit in nuclei.units] == ["micrometer"] * 2
    assert tissue.rgb
    assert (open_nuclei()[0][2], open_tissue()[0][2]) == ("image", "image")


def test_the_demo_saves_a_picture_of_the_real_window(qtbot: Any, tmp_path: Path) -> None:
    path = tmp_path / "new" / "window.png"
    demo_window.open_demo(path)
    picture = iio.imread(path)
    assert picture.shape[0] > 400
    assert picture.shape[1] > 800
    assert picture.std() > 10

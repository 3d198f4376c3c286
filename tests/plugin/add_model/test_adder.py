"""Adding a model in the real window, from real files; only the choice of a file is made by the test."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QPushButton
from tests.zoo.bioimageio.conftest import zoo_package

from napari_unetseg.networks import UNet
from napari_unetseg.plugin.add_model import model_words as words
from napari_unetseg.plugin.add_model.model_dialog import AddModelDialog
from napari_unetseg.plugin.dock.model_box import ADD
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo import registry, user_models
from napari_unetseg.zoo.card import IMAGENET, Architecture, MinMax, Percentile
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import ModelPackage, find_model, list_models
from napari_unetseg.zoo.user_models import Candidate, examine

Open = Callable[..., SegmentationWidget]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's model folder, empty."""
    monkeypatch.setattr(registry, "user_data_path", lambda *_, **__: tmp_path / "home")
    return tmp_path / "home" / "models"


@pytest.fixture
def checkpoint(tmp_path: Path, published_checkpoint: Callable[[Path], UNet]) -> Path:
    published_checkpoint(tmp_path / "spheres.pth")
    return tmp_path / "spheres.pth"


@pytest.fixture
def open_window(make_napari_viewer_proxy: Any, package: ModelPackage, qtbot: Any) -> Iterator[Open]:
    """Open a viewer with the widget, where the file dialog answers with the paths that are given."""
    made: list[SegmentationWidget] = []

    def make(*chosen: Path | None, services: Any = None) -> SegmentationWidget:
        answers = list(chosen)
        viewer = make_napari_viewer_proxy()
        viewer.add_image(np.zeros((48, 64), np.uint8), name="cells")
        widget = SegmentationWidget(
            viewer,
            services=services or (lambda model, device: SegmentationService(model, device)),
            models=lambda: [package, *(model for model in list_models() if model.name != "nuclei")],
            choose=lambda _: answers.pop(0),
        )
        viewer.window.add_dock_widget(widget)
        made.append(widget)
        return widget

    yield make
    for widget in made:
        if widget.model_adder.dialog is not None:
            widget.model_adder.dialog.close()
        qtbot.waitUntil(
            lambda w=widget: not (w.model_adder.busy or w.controller.running or w.health.checking), timeout=20_000
        )


@pytest.fixture
def ask(qtbot: Any) -> Callable[[SegmentationWidget], AddModelDialog]:
    """Choose `Add model...` and wait for the questions."""

    def press(widget: SegmentationWidget) -> AddModelDialog:
        choose_command(widget)
        qtbot.waitUntil(lambda: widget.model_adder.dialog is not None, timeout=20_000)
        dialog = widget.model_adder.dialog
        assert dialog is not None
        return dialog

    return press


def choose_command(widget: SegmentationWidget) -> None:
    """Open the list of models and choose its last row with the keyboard."""
    box = widget.inputs.model
    box.showPopup()
    QTest.keyClick(box.view(), Qt.Key.Key_End)
    QTest.keyClick(box.view(), Qt.Key.Key_Return)


def finish(widget: SegmentationWidget, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not widget.model_adder.busy, timeout=20_000)
    QApplication.processEvents()


def offered(widget: SegmentationWidget) -> list[str]:
    box = widget.inputs.model
    return [box.itemText(row) for row in range(box.count())]


def test_a_checkpoint_becomes_a_model_that_runs(
    open_window: Open, ask: Any, qtbot: Any, checkpoint: Path, home: Path
) -> None:
    widget = open_window(checkpoint)
    dialog = ask(widget)
    assert dialog.heading.text() == "Recognised as U-Net"
    assert "4, 8, 16 channels; InstanceNorm" in dialog.facts["Network"].text()
    assert "optimizer_state_dict" in dialog.facts["Left out"].text()
    assert "downs.1 (6 weights" in dialog.facts["Left out"].text()
    assert dialog.name.text() == "spheres"
    dialog.name.setText("My spheres")
    dialog.normalisation.setCurrentText("Darkest and brightest pixel become 0 and 1")
    dialog.add.click()
    finish(widget, qtbot)
    assert widget.message.text.text() == words.added("My spheres")
    assert widget.message.badge.kind == "good"
    assert widget.inputs.model.currentText() == "My spheres (user)"
    chosen = widget.inputs.package()
    assert chosen is not None
    assert chosen.path == home / "my_spheres"
    assert (chosen.card.normalisation, chosen.card.image_size) == (MinMax(), None)
    assert offered(widget)[-1] == ADD
    widget.runner.run.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    assert "cells labels" in widget.viewer.layers, widget.message.text.text()


def test_arrows_and_wheel_never_give_the_command(open_window: Open) -> None:
    widget = open_window()
    box = widget.inputs.model
    for _ in range(box.count() + 1):
        QTest.keyClick(box, Qt.Key.Key_Down)
    QTest.keyClick(box, Qt.Key.Key_End)
    QTest.keyClick(box, Qt.Key.Key_A)
    assert box.package() is not None
    assert box.currentText() != ADD
    assert not widget.model_adder.busy


def test_choosing_no_file_changes_nothing(open_window: Open) -> None:
    widget = open_window(None)
    before, reported = widget.inputs.package(), widget.message.text.text()
    choose_command(widget)
    assert not widget.model_adder.busy
    assert widget.inputs.package() == before
    assert widget.message.text.text() == reported
    assert widget.runner.run.isEnabled()


def test_closing_the_questions_adds_nothing(
    open_window: Open, ask: Any, qtbot: Any, checkpoint: Path, home: Path
) -> None:
    widget = open_window(checkpoint, checkpoint)
    ask(widget).reject()
    assert widget.message.text.text() == "spheres.pth was not added."
    assert widget.inputs.package() is not None
    assert not home.exists()
    assert widget.runner.run.isEnabled()
    ask(widget)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch was_run",)


@pytest.mark.parametrize("kind", ["hostile", "damaged", "of no known network"])
def test_a_file_that_cannot_be_used_is_named_and_the_model_before_stays_loaded(
    open_window: Open, qtbot: Any, tmp_path: Path, squares: NDArray[np.uint16], kind: str
) -> None:
    file = tmp_path / "a folder with a long name" / "stranger.pth"
    file.parent.mkdir()
    torch.save({"w": Evil() if kind == "hostile" else torch.zeros(2, 3)}, file)
    if kind == "damaged":
        file.write_bytes(file.read_bytes()[:-30])
    made: list[SegmentationService] = []

    def services(model: str, device: str) -> SegmentationService:
        made.extend([] if made else [SegmentationService(model, "cpu")])
        return made[0]

    widget = open_window(file, services=services)
    before = widget.inputs.package()
    widget.runner.run.click()
    qtbot.waitUntil(lambda: not widget.controller.running, timeout=20_000)
    choose_command(widget)
    assert not widget.runner.run.isEnabled()
    assert widget.message.text.text() == words.reading("stranger.pth")
    finish(widget, qtbot)
    reported = widget.message.text.text()
    assert reported.startswith("stranger.pth: ")
    assert str(tmp_path) not in reported
    assert widget.message.badge.kind == "error"
    assert widget.inputs.package() == before
    assert made[0].model_info().loaded
    assert widget.runner.run.isEnabled()
    widget.message.details.click()
    details = next(found for found in widget.findChildren(QDialog) if found.windowTitle() == "Details")
    next(button for button in details.findChildren(QPushButton) if button.text() == "Copy").click()
    assert str(file) in QApplication.clipboard().text()
    details.close()


def test_a_name_that_is_taken_cannot_be_given(open_window: Open, ask: Any, checkpoint: Path) -> None:
    widget = open_window(checkpoint)
    dialog = ask(widget)
    for name, fault in (("Bright", "There is a model bright already."), ("  ", "Give the model a name.")):
        dialog.name.setText(name)
        assert not dialog.add.isEnabled()
        assert dialog.fault.text() == fault
    dialog.name.setText("Other")
    assert dialog.add.isEnabled()


def test_a_name_that_is_taken_meanwhile_is_told(
    open_window: Open, ask: Any, qtbot: Any, checkpoint: Path, home: Path
) -> None:
    widget = open_window(checkpoint)
    before = widget.inputs.package()
    dialog = ask(widget)
    (home / "spheres").mkdir(parents=True)
    (home / "spheres" / "model.yaml").write_text("[]", encoding="utf-8")
    dialog.add.click()
    finish(widget, qtbot)
    assert widget.message.text.text() == "spheres.pth: there is a model 'spheres' already. Choose another name."
    assert widget.inputs.package() == before


@pytest.mark.parametrize("step", ["examine", "add_model"])
def test_cancel_stops_either_step(
    open_window: Open, ask: Any, qtbot: Any, checkpoint: Path, home: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release, threads = threading.Event(), threading.Event(), []
    work = getattr(user_models, step)

    def stand_still(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        entered.set()
        assert release.wait(20)
        return work(*arguments)

    monkeypatch.setattr(user_models, step, stand_still)
    widget = open_window(checkpoint)
    before = widget.inputs.package()
    if step == "add_model":
        ask(widget).add.click()
    else:
        choose_command(widget)
    qtbot.waitUntil(entered.is_set, timeout=20_000)
    assert threads != [threading.main_thread()]
    assert widget.runner.cancel.isEnabled()
    widget.runner.cancel.click()
    release.set()
    finish(widget, qtbot)
    assert widget.message.text.text() == "spheres.pth was not added."
    assert widget.model_adder.dialog is None
    assert widget.inputs.package() == before
    assert not home.exists() or list(home.iterdir()) == []
    assert widget.runner.run.isEnabled()


def test_what_was_added_just_before_a_cancel_is_told(
    open_window: Open, ask: Any, qtbot: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = user_models.add_model
    widget = open_window(checkpoint)

    def add_then_cancel(candidate: Candidate, changes: Any, _cancel: Any) -> Path:
        folder = work(candidate, changes)
        widget.model_adder.cancel()
        return folder

    monkeypatch.setattr(user_models, "add_model", add_then_cancel)
    ask(widget).add.click()
    finish(widget, qtbot)
    assert widget.message.text.text() == words.added("spheres")
    assert widget.inputs.model.currentText() == "spheres (user)"


def test_a_model_package_is_copied(open_window: Open, ask: Any, qtbot: Any, package: ModelPackage, home: Path) -> None:
    widget = open_window(package.path / "model.yaml")
    dialog = ask(widget)
    assert dialog.heading.text() == "Model package Bright objects"
    # "bright" is listed already.
    assert dialog.name.text() == "Bright objects 2"
    dialog.add.click()
    finish(widget, qtbot)
    assert widget.inputs.model.currentText() == "Bright objects 2 (user)"
    added = find_model("bright_objects_2")
    assert added.path == home / "bright_objects_2"
    assert added.card.parameters == package.card.parameters


def test_closing_the_dock_stops_it(
    open_window: Open, qtbot: Any, checkpoint: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    def stand_still(path: Path) -> Candidate:
        entered.set()
        assert release.wait(20)
        return examine(path)

    monkeypatch.setattr(user_models, "examine", stand_still)
    widget = open_window(checkpoint)
    choose_command(widget)
    qtbot.waitUntil(entered.is_set, timeout=20_000)
    widget.viewer.window.remove_dock_widget(widget)
    release.set()
    finish(widget, qtbot)
    assert widget.model_adder.dialog is None


def published_candidate(name: str) -> Candidate:
    model = PUBLISHED[name]
    card = model.card(registry.WeightsFile(file="best.pth", sha256=""))
    card = card.model_copy(update={"name": "best", "display_name": "best"})
    return Candidate(Path("best.pth"), (card,), (model.live_parameters,), (), (), 10**8)


@pytest.mark.parametrize(("name", "side"), [("unet_spherohq", 1024), ("attention_unet_deep", 256)])
def test_answers_for_a_published_network_are_those_published(qtbot: Any, name: str, side: int) -> None:
    dialog = AddModelDialog(published_candidate(name), frozenset())
    qtbot.addWidget(dialog)
    changes = dialog.changes()
    assert (changes["name"], changes["display_name"]) == (name, PUBLISHED[name].display_name)
    assert (changes["normalisation"], changes["image_size"]) == (IMAGENET, (side, side))
    assert dialog.normalisation.currentText().endswith("(as published)")
    dialog.stretch.setChecked(False)
    assert dialog.changes()["image_size"] is None
    assert not dialog.width_.isEnabled()


def test_where_two_networks_fit_the_user_says_which(qtbot: Any) -> None:
    first, second = published_candidate("unet_spherohq"), published_candidate("hrnet")
    both = Candidate(Path("best.pth"), (*first.cards, *second.cards), (31_037_633, 65_846_401), (), (), 10**8)
    dialog = AddModelDialog(both, frozenset())
    qtbot.addWidget(dialog)
    assert dialog.network.count() == 2
    assert dialog.changes()["architecture"].name == "unet"
    dialog.network.setCurrentIndex(1)
    assert dialog.changes()["architecture"].name == "hrnet"
    assert dialog.facts["Parameters"].text() == "65.85 million"
    assert dialog.heading.text() == "Recognised as the network of HRNetV2"


def test_a_network_of_ones_own_is_asked_about_openly(qtbot: Any, tmp_path: Path) -> None:
    torch.save(UNet(1, 1, (2, 4)).state_dict(), tmp_path / "mine.pt")
    dialog = AddModelDialog(examine(tmp_path / "mine.pt"), frozenset({"mine"}))
    qtbot.addWidget(dialog)
    changes = dialog.changes()
    assert (changes["name"], changes["normalisation"], changes["image_size"]) == ("mine_2", Percentile(), None)
    dialog.stretch.setChecked(True)
    dialog.height_.setValue(300)
    assert dialog.changes()["image_size"] == (300, 512)
    # ImageNet's three means do not fit a network that takes one channel.
    assert [dialog.normalisation.itemData(row).kind for row in range(dialog.normalisation.count())] == [
        "percentile",
        "min_max",
    ]


def test_a_name_that_a_published_network_has_is_kept_for_it() -> None:
    card = published_candidate("unet_spherohq").cards[0]
    assert words.name_fault("hrnet", card, frozenset()) == "The name hrnet is kept for another published network."
    assert words.name_fault("unet_spherohq", card, frozenset()) == ""


@pytest.mark.parametrize(
    ("sentence", "reported"),
    [
        (f"{Path('a') / 'b.pth'}: no.", "b.pth: no."),
        ("This should not have happened.", "b.pth: This should not have happened."),
    ],
)
def test_sentences_name_the_file_without_the_way_to_it(sentence: str, reported: str) -> None:
    assert words.about_file(sentence, Path("a") / "b.pth") == reported


def test_a_package_of_the_zoo_becomes_a_model_checked_on_its_own_image(
    open_window: Open, ask: Any, qtbot: Any, tmp_path: Path, home: Path
) -> None:
    widget = open_window(zoo_package(tmp_path / "given", ["a", "b"]))
    dialog = ask(widget)
    assert dialog.heading.text() == "Package of the BioImage Model Zoo: Nuclei of somebody"
    assert dialog.facts["Made by"].text() == "Ada Maker"
    assert dialog.facts["Licence"].text() == "MIT"
    assert dialog.facts["Cite"].text() == "Maker 2020, https://doi.org/10.1000/xyz"
    assert dialog.name.text() == "Nuclei of somebody"
    assert dialog.consent.isHidden()
    assert dialog.normalisation.parent() is None
    first, second = dialog.meanings
    assert [box.currentText() for box in (first, second)] == ["Objects", "Outlines of objects"]
    first.setCurrentText("Not used")
    assert dialog.fault.text() == "Say which channel shows the objects."
    assert not dialog.add.isEnabled()
    first.setCurrentText("Outlines of objects")
    second.setCurrentText("Objects")
    assert dialog.fault.text() == ""
    dialog.add.click()
    finish(widget, qtbot)
    assert widget.message.text.text() == words.added("Nuclei of somebody")
    chosen = widget.inputs.package()
    assert chosen is not None
    assert chosen.path == home / "nuclei_of_somebody"
    assert chosen.card.heads == ("boundary", "foreground")


def test_a_package_that_answers_otherwise_is_not_added(
    open_window: Open, ask: Any, qtbot: Any, tmp_path: Path, home: Path
) -> None:
    folder = zoo_package(tmp_path / "given", ["nucleus"])
    described = (folder / "rdf.yaml").read_text(encoding="utf-8")
    (folder / "rdf.yaml").write_text(described.replace("max_percentile: 99", "max_percentile: 60"), encoding="utf-8")
    widget = open_window(folder / "rdf.yaml")
    ask(widget).add.click()
    finish(widget, qtbot)
    assert "does not answer as the package says" in widget.message.text.text()
    assert not home.exists() or list(home.iterdir()) == []


def test_a_network_of_others_is_added_once_it_is_trusted(qtbot: Any, tmp_path: Path, home: Path) -> None:
    card = examine(zoo_package(tmp_path / "given", ["nucleus"])).cards[0]
    arguments = {"in_channels": 1, "out_channels": 1}
    graph = card.model_copy(update={"architecture": Architecture(name="onnx_graph", arguments=arguments)})
    dialog = AddModelDialog(Candidate(tmp_path, (graph,), (0,), (), (), 10**6), frozenset())
    qtbot.addWidget(dialog)
    dialog.show()
    assert "as ONNX graph: a program that somebody else made" in dialog.advice.text()
    assert dialog.consent.isVisible()
    assert not dialog.add.isEnabled()
    assert not dialog.consents
    assert "Parameters" not in dialog.facts
    dialog.consent.click()
    assert dialog.add.isEnabled()
    assert dialog.consents

"""The box of models: what can be used comes first, what needs weights is folded up."""

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_unetseg.plugin.dock.model_box import ModelBox
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import BrokenPackage, ModelPackage, WeightsNeeded

FOLDED, UNFOLDED = "▸ Models without weights (2)", "▾ Models without weights (2)"


@pytest.fixture
def box(qtbot: Any, package: ModelPackage, tmp_path: Path) -> ModelBox:
    """A box on screen, of models in an order that is none."""
    needing = [WeightsNeeded(PUBLISHED[name], tmp_path / name) for name in sorted(PUBLISHED)[:2]]
    box = ModelBox([needing[0], BrokenPackage(tmp_path / "mine", "user", "mine: no card"), needing[1], package])
    qtbot.addWidget(box)
    box.resize(240, 24)
    box.show()
    qtbot.waitExposed(box)
    return box


def visible(box: ModelBox) -> list[str]:
    return [box.itemText(row) for row in range(box.count()) if not box.view().isRowHidden(row)]


def test_usable_models_come_first_and_those_without_weights_are_folded_up(box: ModelBox) -> None:
    assert visible(box) == ["Bright objects (path)", "mine (broken)", FOLDED, "", "Add model..."]
    assert box.currentIndex() == 0
    assert box.count() == 7


def test_a_click_unfolds_them_and_the_list_stays_open(box: ModelBox) -> None:
    box.showPopup()
    QApplication.processEvents()
    for unfolded in (True, False, True):
        place = box.view().visualRect(box.model().index(2, 0)).center()
        QTest.mouseClick(box.view().viewport(), Qt.MouseButton.LeftButton, pos=place)
        QApplication.processEvents()
        assert box.view().isVisible()
        assert box.unfolded == unfolded
        assert len(visible(box)) == (7 if unfolded else 5)
        assert box.itemText(2) == (UNFOLDED if unfolded else FOLDED)
        assert box.currentIndex() == 0
    box.hidePopup()


def test_the_keyboard_unfolds_them_and_still_reaches_the_command(box: ModelBox) -> None:
    asked: list[bool] = []
    box.add_requested.connect(lambda: asked.append(True))
    box.showPopup()
    QApplication.processEvents()
    QTest.keyClick(box.view(), Qt.Key.Key_Down)
    assert box.view().currentIndex().row() == 2
    QTest.keyClick(box.view(), Qt.Key.Key_Return)
    assert (box.unfolded, box.view().isVisible(), box.view().currentIndex().row()) == (True, True, 2)
    QApplication.processEvents()
    QTest.keyClick(box.view(), Qt.Key.Key_Down)
    assert box.itemText(box.view().currentIndex().row()) == "Add model..."
    QTest.keyClick(box.view(), Qt.Key.Key_Up)
    assert box.view().currentIndex().row() == 2
    QTest.keyClick(box.view(), Qt.Key.Key_Down)
    QTest.keyClick(box.view(), Qt.Key.Key_Return)
    QApplication.processEvents()
    assert asked == [True]
    assert box.currentIndex() == 0


def test_arrow_keys_on_the_closed_box_pass_neither_the_fold_nor_the_command(box: ModelBox) -> None:
    chosen: list[bool] = []
    box.chosen.connect(lambda: chosen.append(True))
    box.showPopup()
    box.hidePopup()
    for _ in range(6):
        QTest.keyClick(box, Qt.Key.Key_Down)
    assert box.currentIndex() == 0
    assert chosen == []


def test_without_such_models_there_is_no_fold(qtbot: Any, package: ModelPackage) -> None:
    box = ModelBox([package])
    assert visible(box) == ["Bright objects (path)", "", "Add model..."]
    assert not box.unfolded

"""The box of devices: those of this machine, servers, and a command that only the open list gives."""

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_unetseg.plugin.dock.device_box import DeviceBox

LAB, OTHER = "http://lab:8001", "https://other.example.org"
OWN = ["Automatic", "NVIDIA GPU (cuda)", "Apple GPU (mps)", "CPU"]


@pytest.fixture
def box(qtbot: Any) -> DeviceBox:
    box = DeviceBox()
    qtbot.addWidget(box)
    box.show()
    qtbot.waitExposed(box)
    return box


@pytest.fixture
def chosen(box: DeviceBox) -> list[str]:
    keys: list[str] = []
    box.chosen.connect(lambda: keys.append(box.key()))
    return keys


def rows(box: DeviceBox) -> list[str]:
    return [box.itemText(row) for row in range(box.count())]


def test_servers_stand_between_the_devices_and_the_command(box: DeviceBox, chosen: list[str]) -> None:
    for address in (LAB, OTHER, LAB):
        box.add_server(address)
    assert rows(box) == [*OWN, "Server lab:8001", "Server other.example.org", "", "Server..."]
    assert box.servers() == [LAB, OTHER]
    assert (box.key(), box.server(), chosen) == ("auto", None, [])


def test_a_server_is_chosen_by_its_address(box: DeviceBox, chosen: list[str]) -> None:
    box.add_server(LAB)
    box.choose(LAB)
    assert (box.key(), box.server(), chosen) == (LAB, LAB, [LAB])
    box.choose("https://never.seen")
    assert box.key() == LAB


def test_a_chosen_server_that_is_removed_leaves_the_first_device(box: DeviceBox, chosen: list[str]) -> None:
    box.add_server(LAB)
    box.add_server(OTHER)
    box.choose(LAB)
    box.remove_server(LAB)
    assert (box.key(), chosen, box.servers()) == ("auto", [LAB, "auto"], [OTHER])
    assert rows(box)[-1] == "Server..."


def test_another_server_that_is_removed_changes_no_choice(box: DeviceBox, chosen: list[str]) -> None:
    box.add_server(OTHER)
    box.add_server(LAB)
    box.choose(LAB)
    box.remove_server(OTHER)
    box.remove_server("https://never.seen")
    assert (box.key(), chosen) == (LAB, [LAB])


def test_the_command_leaves_the_device_as_it_was(box: DeviceBox, chosen: list[str]) -> None:
    asked: list[str] = []
    box.server_requested.connect(lambda: asked.append(box.key()))
    box.choose("cpu")
    box.showPopup()
    QApplication.processEvents()
    QTest.keyClick(box.view(), Qt.Key.Key_End)
    QTest.keyClick(box.view(), Qt.Key.Key_Return)
    assert asked == ["cpu"]
    assert chosen == ["cpu"]


def test_arrow_keys_stop_before_the_command(box: DeviceBox) -> None:
    asked: list[bool] = []
    box.server_requested.connect(lambda: asked.append(True))
    for _ in range(6):
        QTest.keyClick(box, Qt.Key.Key_Down)
    assert box.key() == "cpu"
    box.showPopup()
    box.hidePopup()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert (box.key(), asked) == ("cpu", [])

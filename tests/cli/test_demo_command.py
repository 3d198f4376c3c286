"""`napari-unetseg demo` with a model whose answer is known, with and without a window."""

import sys
from types import ModuleType

import pytest

from napari_unetseg.cli import demo_command
from napari_unetseg.io import read_image


@pytest.fixture(autouse=True)
def bright_by_default(bright_model, monkeypatch):
    monkeypatch.setenv("UNET_MODEL_NAME", str(bright_model))


@pytest.fixture
def windows(monkeypatch):
    """Stand in for the window and note what was asked of it."""
    asked = []
    module = ModuleType("napari_unetseg.plugin.demo_window")
    module.open_demo = asked.append
    monkeypatch.setitem(sys.modules, "napari_unetseg.plugin.demo_window", module)
    return asked


def test_without_a_display_it_only_says_so(call, windows, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_command, "has_display", lambda: False)
    run = call("demo", "--output", tmp_path / "demo")
    assert run.exit_code == 0, run.output
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == [
        "nuclei_labels.tif",
        "nuclei_overlay.png",
        "nuclei_table.csv",
    ]
    labels = read_image(tmp_path / "demo" / "nuclei_labels.tif")
    assert labels.array.max() > 0
    assert labels.scale == pytest.approx((0.32, 0.32))
    assert f"Wrote {tmp_path / 'demo' / 'nuclei_overlay.png'}" in run.stdout
    assert "no display" in run.stdout
    assert windows == []


def test_with_a_display_the_window_opens(call, windows, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_command, "has_display", lambda: True)
    assert call("demo", "-o", tmp_path).exit_code == 0
    assert windows == [None]


def test_screenshot(call, windows, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_command, "has_display", lambda: True)
    picture = tmp_path / "window.png"
    run = call("demo", "-o", tmp_path, "--screenshot", picture)
    assert run.exit_code == 0
    assert windows == [picture]
    assert f"Window: {picture}" in run.stdout


def test_a_screenshot_needs_a_display(call, windows, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_command, "has_display", lambda: False)
    run = call("demo", "-o", tmp_path, "--screenshot", tmp_path / "window.png")
    assert run.exit_code == 1
    assert "xvfb-run" in run.stderr
    assert windows == []


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_where_a_window_can_be_shown(monkeypatch, platform, variables, expected):
    monkeypatch.setattr(demo_command.sys, "platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert demo_command.has_display() is expected

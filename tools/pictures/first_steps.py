"""The pictures of the page "First steps", and of the window and parts of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from napari.utils.theme import get_theme
from PIL import Image
from qtpy.QtCore import QRect
from stage import Stage, save, there

from napari_unetseg import samples
from napari_unetseg.plugin.servers.server_dialog import ServerDialog
from napari_unetseg.plugin.workers.services import shared_servers

_SIZE = (1160, 700)
_PORT = 8001


def first_steps(folder: Path) -> None:
    """Do what the page says, step by step."""
    stage = Stage(_SIZE, panel=False)
    _open_sample(stage, folder)
    _open_panel(stage, folder)
    form = stage.form
    save(stage.picture(stage.area_of(form.inputs, form.runner, form.message, margin=2)), folder / "steps-form.png")
    _run(stage, folder)
    _adjust(stage, folder)
    _measure(stage, folder)
    stage.close()


def folder_window(folder: Path) -> None:
    """Segment a folder of four images, one of which is damaged."""
    stage = Stage(_SIZE)
    images = Path("experiment")
    images.mkdir()
    pixels = samples.nuclei().array
    for name, part in (("control_1", pixels), ("control_2", np.rot90(pixels)), ("treated_1", pixels[:300])):
        tifffile.imwrite(images / f"{name}.tif", part)
    (images / "treated_2.tif").write_bytes((images / "treated_1.tif").read_bytes()[:100_000])
    dialog = stage.form.folder.open()
    dialog.form.folder.setText(str(images))
    dialog.move(60, 40)
    dialog.resize(840, 520)
    stage.wait(dialog.run.isEnabled)
    dialog.run.click()
    stage.wait(lambda: not dialog.controller.running)
    stage.settle()
    save(stage.picture(QRect(dialog.geometry())), folder / "steps-folder.png")
    dialog.close()
    stage.close()


def window(folder: Path) -> None:
    """Show the whole window with a result and its table, in napari's dark theme."""
    stage = Stage((1280, 800), "dark")
    stage.warm_up()
    stage.viewer.open_sample("napari-unetseg", "nuclei")
    stage.run()
    stage.click(stage.form.adjust.table)
    stage.settle()
    stage.viewer.reset_view()
    stage.settle()
    save(stage.picture(), folder / "window.png")
    stage.close()


def health(folder: Path) -> None:
    """Show Model & Health after a few runs and a check."""
    stage = Stage((900, 1000))
    stage.warm_up()
    for name in ("nuclei", "tissue", "nuclei", "tissue", "nuclei"):
        stage.viewer.open_sample("napari-unetseg", name)
        stage.run()
    ended: list[str] = []
    panel = stage.form.health
    panel.controller.ended.connect(ended.append)
    panel.do("check")
    stage.wait(lambda: "check" in ended)
    stage.settle()
    save(stage.picture(stage.area_of(panel, margin=2)), folder / "health.png")
    stage.close()


def server(folder: Path) -> None:
    """Show the dialog of a server that runs on this computer, after a test."""
    serve = [sys.executable, "-m", "napari_unetseg", "serve", "--port", str(_PORT)]
    stage = Stage((900, 600))
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            next(iter(process.stdout or ()))  # "Listening on ..."
            dialog = ServerDialog(shared_servers, f"localhost:{_PORT}", parent=stage.window)
            dialog.use_theme(get_theme(stage.viewer.theme))
            dialog.move(100, 100)
            dialog.show()
            dialog.test.click()
            stage.wait(lambda: not dialog.busy)
            stage.settle(1)
            save(stage.picture(QRect(dialog.geometry())), folder / "server.png")
            dialog.close()
        finally:
            process.terminate()
    stage.close()


def _open_sample(stage: Stage, folder: Path) -> None:
    stage.menu("File", "Open Sample", "napari-unetseg", "Nuclei (fluorescence, grey)")
    save(stage.picture(QRect(0, 0, 920, 470)), folder / "steps-sample.png")
    stage.choose()
    stage.viewer.reset_view()


def _open_panel(stage: Stage, folder: Path) -> None:
    stage.menu("Plugins", "U-Net Segmentation (napari-unetseg)")
    save(stage.picture(QRect(0, 0, 920, 300)), folder / "steps-panel.png")
    stage.choose()
    stage.open_panel()
    stage.warm_up()
    stage.viewer.reset_view()
    stage.settle()


def _run(stage: Stage, folder: Path) -> None:
    form = stage.form
    form.runner.run.click()
    stage.wait(form.runner.cancel.isEnabled)
    stage.settle(0.1)
    save(stage.picture(stage.area_of(form.runner, form.message, margin=2)), folder / "steps-running.png")
    stage.wait_for_run()
    save(stage.picture(), folder / "steps-result.png")


def _adjust(stage: Stage, folder: Path) -> None:
    """Put the same place side by side, with the panel: touching objects together, and divided."""
    form = stage.form
    row: Any = form.adjust.controls["split"]
    stage.look_at(60, 25, 2.6 * stage.viewer.camera.zoom)
    pair = []
    for value in (0.0, 0.4):
        row.setValue(value)
        stage.wait_for_layers()
        pair.append((stage.picture(stage.area_of(stage.canvas, margin=0)), stage.picture(stage.area_of(form.adjust))))
    height = pair[0][1].height
    parts = []
    for canvas, rows in pair:
        left = canvas.width // 2 - height // 2
        parts.append([canvas.crop((left, 60, left + height, 60 + height)), rows])
    width = height + 8 + parts[0][1].width
    sheet = Image.new("RGB", (width, 2 * height + 12), "white")
    for index, (canvas, rows) in enumerate(parts):
        sheet.paste(canvas, (0, index * (height + 12)))
        sheet.paste(rows, (height + 8, index * (height + 12)))
    save(sheet, folder / "steps-slider.png")
    stage.viewer.reset_view()


def _measure(stage: Stage, folder: Path) -> None:
    form = stage.form
    form.adjust.table.click()
    stage.settle()
    stage.viewer.reset_view()
    table = form.table.table
    stage.click(there(table.view.viewport()), table.view.visualRect(table.model.index(2, 1)).center())
    stage.settle()
    save(stage.picture(), folder / "steps-table.png")
    area = stage.area_of(table, margin=2)
    stage.point_at(table.save)
    save(stage.picture(area), folder / "steps-csv.png", pointer=there(stage.pointer) - area.topLeft())
    stage.point_at(form.result_actions.save)
    area = stage.area_of(form.result_actions, margin=4)
    save(stage.picture(area), folder / "steps-save.png", pointer=there(stage.pointer) - area.topLeft())

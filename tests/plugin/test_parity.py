"""The same image gives the same labels through every face, with all that decides them pinned and recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from magicgui import magicgui
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from typer.testing import CliRunner

from napari_unetseg import SegmentationService
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.cli.main import app
from napari_unetseg.client import RemoteService
from napari_unetseg.io import read_image
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.functions import segment_layer
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.plugin.workers import services
from napari_unetseg.plugin.workers.services import shared_service

OPTIONS: dict[str, Any] = {"threshold": 0.45, "min_size": 3, "split": 0.8}
PINNED = {"device": "cpu", "precision": "float32", "backend": "torch", "largest_window": 48, "batch_size": 1}


@pytest.fixture(autouse=True)
def _pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a settings file would say, to every face alike."""
    monkeypatch.setattr(services._services, "_by_model", {})
    monkeypatch.setattr(services._services, "_by_device", {})
    monkeypatch.setenv("UNET_MODEL_DEVICE", "cpu")
    monkeypatch.setenv("UNET_MODEL_BACKEND", "torch")
    monkeypatch.setenv("UNET_INFERENCE_WINDOW", "48")
    monkeypatch.setenv("UNET_INFERENCE_BATCH_SIZE", "1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "images" / "cells.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, np.random.default_rng(8).integers(0, 900, (90, 70)).astype(np.uint16))
    return path


def check_record(reported: dict[str, Any]) -> None:
    assert {name: reported[name] for name in PINNED} == PINNED
    assert reported["tiles"] > 1
    assert {name: reported["parameters"][name] for name in OPTIONS} == OPTIONS


def test_every_face_gives_the_same_labels(
    path: Path,
    bright_model: Path,
    tmp_path: Path,
    make_widget: Callable[..., SegmentationWidget],
    press_run: Callable[[SegmentationWidget], None],
    qtbot: Any,
    start_server: Callable[..., Any],
) -> None:
    # In a notebook.
    with SegmentationService(bright_model) as service:
        expected = service.segment(read_image(path), **OPTIONS)
        check_record(expected.provenance.as_dict())
        assert expected.count > 10
        # A folder, as the window's batch and the command line both run it.
        segment_files(
            service, BatchJob((path,), tmp_path / "batch", segment_options=OPTIONS), report=lambda event, counts: None
        )
    faces: dict[str, NDArray[Any]] = {"batch": tifffile.imread(tmp_path / "batch" / "cells_labels.tif")}

    words = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    line = ["segment", str(path), "--model", str(bright_model), "-o", str(tmp_path / "line"), *words]
    assert CliRunner().invoke(app, line).exit_code == 0
    faces["command line"] = tifffile.imread(tmp_path / "line" / "cells_labels.tif")

    layer = ImageLayer(tifffile.imread(path), name="cells")
    widget = make_widget(layer, model_choice=shared_service(str(bright_model), "auto"))
    for name, value in OPTIONS.items():
        getattr(widget.adjust, name).setValue(value)
    press_run(widget)
    made = widget.viewer.layers["cells labels"]
    check_record(made.metadata[METADATA_KEY])
    faces["window"] = made.data

    form = magicgui(segment_layer)
    with qtbot.waitSignal(form(layer, model=str(bright_model), **OPTIONS).returned, timeout=60_000) as returned:
        pass
    labels = next(data for data in returned.args[0] if data[2] == "labels")
    check_record(labels[1]["metadata"][METADATA_KEY])
    faces["function"] = labels[0]

    server = start_server(UNET_MODEL_DEVICE="cpu")
    with RemoteService(server.url, "bright") as service:
        remote = service.segment(read_image(path), **OPTIONS)
    check_record(remote.provenance.as_dict())
    assert remote.probability.tobytes() == expected.probability.tobytes()
    faces["server"] = remote.labels

    for face, found in faces.items():
        np.testing.assert_array_equal(found, expected.labels, err_msg=face)

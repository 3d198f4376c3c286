"""A desk whose network runs on a server needs no torch: here it cannot even be imported."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

BLOCK = """
import importlib.metadata
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTorch())
version = importlib.metadata.version

def of_what_is_there(name):
    if name == "torch":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = of_what_is_there
"""
NOTEBOOK = """
import numpy as np
from napari_unetseg import Image
from napari_unetseg.client import RemoteService, check_server
from napari_unetseg.service.forecast import Workload

address, path = sys.argv[1:]
with RemoteService(address) as service:
    image = Image(np.load(path))
    service.initialize()
    assert service.health().service_healthy
    assert service.forecast(Workload(image.shape)).device == "cpu"
    result = service.segment(image, augment=True)
    few = result.relabel(min_size=500)
    print(result.count, few.count, sorted(few.measurements)[:1], len(few.contours), few.provenance.server["address"])
    stack = service.segment(Image(np.stack([image.array] * 3), "ZYX"), link=True)
    print(stack.count, [trial.count for trial in service.try_all(image, models=["bright"])])
assert "torch" not in sys.modules
"""
COMMAND = """
from napari_unetseg.cli.main import app
try:
    app(sys.argv[1:])
finally:
    assert "torch" not in sys.modules
"""


@pytest.fixture
def desk():
    def run(program, *words):
        environment = {**os.environ, "UNET_MODEL_PRECISION": "float32"}
        line = [sys.executable, "-c", BLOCK + program, *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, env=environment, check=False)

    return run


@pytest.fixture
def squares():
    image = np.zeros((90, 120), np.uint16)
    image[10:30, 10:30] = image[50:80, 60:100] = 900
    return image


def test_a_notebook_segments_relabels_and_measures(server, desk, squares, tmp_path):
    np.save(tmp_path / "cells.npy", squares)
    done = desk(NOTEBOOK, server.url, tmp_path / "cells.npy")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"2 1 ['agreement'] 1 {server.url}", "2 [2]"]


def test_the_command_line_segments_a_folder(server, desk, squares, tmp_path):
    images: Path = tmp_path / "images"
    images.mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(images / f"{name}.tif", squares)
    done = desk(COMMAND, "segment", images, "--server", server.url, "-o", tmp_path / "out", "--save", "all")
    assert done.returncode == 0, done.stderr
    assert tifffile.imread(tmp_path / "out" / "b_labels.tif").max() == 2
    assert "with model" not in done.stderr


@pytest.mark.parametrize("words", [["health"], ["models"], ["try", "cells.tif"]])
def test_the_other_commands_need_it_as_little(server, desk, squares, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", squares)
    done = desk(COMMAND, *words, "--server", server.url)
    assert done.returncode == 0, done.stderr
    assert "bright" in done.stdout.lower()


def test_a_run_on_this_machine_says_what_is_missing(desk, bright_model, squares, tmp_path):
    tifffile.imwrite(tmp_path / "cells.tif", squares)
    done = desk(COMMAND, "segment", tmp_path / "cells.tif", "--model", bright_model, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "PyTorch is not installed" in done.stderr
    assert "Traceback" not in done.stderr

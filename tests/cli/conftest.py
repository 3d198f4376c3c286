"""Running the command in this process and in its own."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result


@pytest.fixture
def call() -> Iterator[Callable[..., Result]]:
    """Run the command line within this process, and take its log handlers away again."""
    from napari_unetseg.cli.main import app

    def invoke(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    logger = logging.getLogger("napari_unetseg")
    handlers, level = list(logger.handlers), logger.level
    yield invoke
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def command() -> list[str]:
    """The words that start the command line as a process of its own."""
    return [sys.executable, "-m", "napari_unetseg"]


@pytest.fixture
def shell(command: list[str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a process of its own, in `tmp_path`, without a display."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        line = [*command, *(str(word) for word in words)]
        # The limit only ends what hangs: torch alone may take a minute to import on a busy machine.
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)

    return run


@pytest.fixture
def save_squares() -> Callable[[Path], np.ndarray]:
    """Write an image of three bright squares and return their truth."""

    def write(path: Path) -> np.ndarray:
        truth = np.zeros((40, 48), np.uint16)
        for label, (y, x) in enumerate([(4, 5), (6, 30), (25, 12)], start=1):
            truth[y : y + 9, x : x + 8] = label
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(
            path,
            np.where(truth, 900, 100).astype(np.uint16),
            imagej=True,
            resolution=(2.0, 2.0),
            metadata={"unit": "um"},
        )
        return truth

    return write

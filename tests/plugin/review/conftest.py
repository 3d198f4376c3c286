from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unetseg.batch.output_files import ALWAYS, ResultKind
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.plugin.review.review_session import ReviewSession
from napari_unetseg.plugin.review.reviewing import Reviewing
from napari_unetseg.service import SegmentationService


def scene(speck: int = 0) -> NDArray[np.uint16]:
    """Eight bright squares of 8 x 8 pixels on black, and one of `speck` pixels along each axis, which is doubtful."""
    image = np.zeros((48, 64), np.uint16)
    for top in (4, 20):
        for left in (4, 18, 32, 46):
            image[top : top + 8, left : left + 8] = 1000
    image[38 : 38 + speck, 30 : 30 + speck] = 1000
    return image


@pytest.fixture
def plate(tmp_path: Path, service: SegmentationService) -> Path:
    """A folder of three images with their results; 'b' is the most doubtful one, for its speck."""
    folder = tmp_path / "plate"
    folder.mkdir()
    for name, speck in (("a", 0), ("b", 2), ("c", 0)):
        tifffile.imwrite(folder / f"{name}.tif", scene(speck), imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    files = tuple(sorted(folder.glob("*.tif")))
    results = (*ALWAYS, ResultKind.CONTOURS)
    job = BatchJob(files, folder / "segmented", results, {"min_size": 2})
    segment_files(service, job, report=lambda event, counts: None)
    return folder


@pytest.fixture
def reviewing(make_napari_viewer_proxy: Any, plate: Path, tmp_path: Path, qtbot: Any) -> Iterator[Reviewing]:
    """The review of the folder in a viewer, with the most doubtful image on display."""
    viewer = make_napari_viewer_proxy(show=True)
    made = Reviewing(viewer, None, lambda parent, start: tmp_path / "chosen")
    made.open(plate)
    assert made.session is not None
    settle(made.session, qtbot)
    yield made
    session = made.session
    made.stop()
    if session is not None:
        qtbot.waitUntil(lambda: not session.busy, timeout=600_000)


@pytest.fixture
def session(reviewing: Reviewing) -> ReviewSession:
    assert reviewing.session is not None
    return reviewing.session


@pytest.fixture
def canvas(session: ReviewSession) -> Any:
    """What takes keys and mouse over the image."""
    return session._viewer.__wrapped__.window._qt_viewer.canvas.native  # type: ignore[attr-defined]


@pytest.fixture
def finish(session: ReviewSession, qtbot: Any) -> Callable[[], None]:
    """Wait until nothing is under way."""
    return lambda: settle(session, qtbot)


@pytest.fixture
def press(session: ReviewSession, canvas: Any, qtbot: Any) -> Callable[..., None]:
    """Press a key over the image, as a user does, and wait until everything is done and shown."""

    def press(key: Qt.Key) -> None:
        QTest.keyClick(canvas, key)
        settle(session, qtbot)

    return press


def settle(session: ReviewSession, qtbot: Any) -> None:
    """Wait until nothing is under way."""
    qtbot.waitUntil(lambda: not session.busy, timeout=600_000)

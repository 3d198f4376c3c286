"""Two workers for all tests of this folder, and a small job for them."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.blockwise.job import BlockJob, BlockSource, JobSpec
from napari_unetseg.blockwise.job_folder import JobFolder
from napari_unetseg.cluster.connection import Cluster, started
from napari_unetseg.cores import usable_cores
from napari_unetseg.postprocessing.blocks import Block
from napari_unetseg.service import SegmentationService
from napari_unetseg.service.provenance import card_fingerprint


@dataclass(frozen=True)
class NoTarget:
    """Labels that nobody keeps."""

    def write_block(self, plane: tuple[int, ...], block: Block, labels: NDArray[np.int32]) -> None:
        """Do nothing."""

    def read(self, plane: tuple[int, ...], region: Block) -> NDArray[np.int32]:
        """Return background."""
        return np.zeros([side.stop - side.start for side in region], np.int32)


@pytest.fixture(scope="package")
def workers() -> "Iterator[Cluster]":
    import cloudpickle
    import dask

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    # A task that kills its worker is given up at once, so that a test need not kill four.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), started(min(2, usable_cores())) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def bright_service(bright_model: Path) -> "Iterator[SegmentationService]":
    with SegmentationService(bright_model, "cpu", "torch") as service:
        yield service


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image file (96, 130) of bright squares, some of which touch its edges."""
    pixels = np.zeros((96, 130), np.uint8)
    for row in range(0, 96, 16):
        for column in range(0, 130, 13):
            pixels[row : row + 9, column : column + 8] = 200
    path = tmp_path_factory.mktemp("images") / "squares.npy"
    np.save(path, pixels)
    return path


@pytest.fixture
def small_job(bright_service: SegmentationService, squares: Path, tmp_path: Path) -> "Iterator[BlockJob]":
    """A job of `squares` that has not begun."""
    card = bright_service.package.card
    spec = JobSpec(
        source=BlockSource(path=str(squares)),
        image={"name": squares.name, "axes": "YX", "shape": [96, 130], "dtype": "uint8"},
        model=str(bright_service.package.source),
        sha256=card.weights.sha256,
        card_sha256=card_fingerprint(card),
        options={},
    )
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    with ExitStack() as stack:
        yield stack.enter_context(bright_service.opened_job(folder, spec, NoTarget(), lambda: folder.stop_requested))

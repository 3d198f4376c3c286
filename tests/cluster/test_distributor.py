"""Images of a batch are done by workers, with the results that one process has."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.events import BatchCounts, Event
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.cluster.connection import Cluster
from napari_unetseg.cluster.distributor import DaskDistributor
from napari_unetseg.service import SegmentationService


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, ...]:
    """Five images of one square more each, and one that cannot be read."""
    pixels = np.zeros((48, 64), np.uint8)
    files = []
    for number in range(5):
        pixels[4:12, 12 * number : 12 * number + 9] = 200
        files.append(tmp_path / f"image{number}.tif")
        tifffile.imwrite(files[-1], pixels)
    (tmp_path / "broken.tif").write_bytes(b"no image")
    return (*files, tmp_path / "broken.tif")


def test_results_are_those_of_one_process(
    workers: Cluster, bright_service: SegmentationService, images: tuple[Path, ...], tmp_path: Path
) -> None:
    here, there = BatchJob(images, tmp_path / "here"), BatchJob(images, tmp_path / "there")
    segment_files(bright_service, here, report=lambda *_: None)
    counts = segment_files(
        bright_service,
        there,
        report=lambda *_: None,
        distributor=DaskDistributor(bright_service, workers.client),
    )
    assert (counts.count("done"), counts.count("failed"), counts.objects) == (5, 1, 15)
    for name in [*(f"image{number}_labels.tif" for number in range(5)), "segmentation_objects.csv"]:
        assert (tmp_path / "there" / name).exists()
    for number in range(5):
        name = f"image{number}_labels.tif"
        np.testing.assert_array_equal(
            tifffile.imread(tmp_path / "there" / name), tifffile.imread(tmp_path / "here" / name)
        )
    objects = [(tmp_path / where / "segmentation_objects.csv").read_text() for where in ("here", "there")]
    assert sorted(objects[0].splitlines()) == sorted(objects[1].splitlines())


def test_a_cancelled_batch_leaves_its_images_waiting(
    workers: Cluster, bright_service: SegmentationService, images: tuple[Path, ...], tmp_path: Path
) -> None:
    events: list[Event] = []

    def note(event: Event, _: BatchCounts) -> None:
        events.append(event)

    counts = segment_files(
        bright_service,
        BatchJob(images, tmp_path / "out"),
        report=note,
        cancel=lambda: True,
        distributor=DaskDistributor(bright_service, workers.client),
    )
    assert counts.count("waiting") == len(images)
    assert not events

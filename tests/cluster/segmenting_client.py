"""A process that segments an image in small blocks by the workers of a scheduler; for `test_kills.py`.

It prints a line once a few units of the stage are done that it was told, and goes on once it reads one.
"""

import sys
from functools import partial
from pathlib import Path

from napari_unetseg.blockwise.job import BlockSource, JobSpec
from napari_unetseg.blockwise.run import BlockProgress
from napari_unetseg.cluster.connection import connected
from napari_unetseg.cluster.dask_executor import DaskExecutor
from napari_unetseg.config import Settings
from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.label_creation import create_label_store
from napari_unetseg.io.ome_zarr.labels import open_labels
from napari_unetseg.service import SegmentationService, block_segmentation

SIDE = 64
WINDOW = 96
FEW = 5


def segment(scheduler: str, image: Path, folder: Path, model: Path, stage: str) -> None:
    block_segmentation.JobSpec = partial(JobSpec, block_side=SIDE)
    settings = Settings.model_validate({"unet": {"inference": {"window": WINDOW}}})
    source = BlockSource(path=str(image))
    read = read_image(image)
    job = folder / "job"
    if job.exists():
        labels = open_labels(folder / "labels.ome.zarr" / "labels" / "bright", writable=True)
    else:
        labels = create_label_store(folder / "labels.ome.zarr", "bright", read, block_side=SIDE)
    count = 0

    def note(now: BlockProgress) -> None:
        nonlocal count
        count += now.stage == stage and now.finished is not None
        if count == FEW:
            count += 1
            sys.stdout.write(f"{stage}\n")
            sys.stdout.flush()
            sys.stdin.readline()

    with SegmentationService(model, "cpu", "torch", settings=settings) as service, connected(scheduler) as cluster:
        executor = DaskExecutor(service, cluster.client)
        service.segment_blocks(read, job, labels, source=source, executor=executor, progress=note)


if __name__ == "__main__":
    segment(sys.argv[1], *map(Path, sys.argv[2:5]), sys.argv[5])

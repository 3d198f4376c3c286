"""A dask array becomes an array of its labels by the workers that compute it."""

from pathlib import Path

import dask.array as da
import numpy as np

from napari_unetseg.cluster.connection import Cluster
from napari_unetseg.cluster.dask_executor import DaskExecutor
from napari_unetseg.service import SegmentationService


def test_workers_lead_one_another(
    workers: Cluster, bright_service: SegmentationService, squares: Path, tmp_path: Path
) -> None:
    pixels = np.load(squares)
    array = da.from_array(pixels, chunks=(50, 40))
    labels = bright_service.map_blocks(array, tmp_path, executor=DaskExecutor(bright_service))
    found = workers.client.compute(labels).result()
    np.testing.assert_array_equal(found, bright_service.segment(pixels).labels)

"""A folder of many images needs no more memory than one of few, with the real service and a tiny network."""

import tracemalloc

import numpy as np
import pytest

from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.config import Settings
from napari_unetseg.service import SegmentationService

SIDE = 192
MAPS = 2 * 4 * SIDE * SIDE
"""Bytes of the probability maps of one image."""


@pytest.mark.nightly
def test_memory_does_not_grow_with_the_number_of_images(bright_model, tmp_path):
    few, many = [], []
    rng = np.random.default_rng(0)
    for number in range(160):
        path = tmp_path / f"{number:03}.npy"
        image = rng.integers(0, 100, (SIDE, SIDE), np.uint16)
        image[20:60, 20:60] = 4000
        np.save(path, image)
        (few if number < 10 else many).append(path)
    with SegmentationService(bright_model, settings=Settings(unet={"model": {"device": "cpu"}})) as service:
        warm_up = segment_files(service, BatchJob(tuple(few), tmp_path / "warm"), report=lambda event, counts: None)
        peaks = {}
        for name, files in (("few", few), ("many", many)):
            tracemalloc.start()
            counts = segment_files(service, BatchJob(tuple(files), tmp_path / name), report=lambda event, counts: None)
            peaks[name] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert counts.count("done") == len(files)
    assert warm_up.count("done") == len(few)
    # Were each image's maps kept, this would be 140 of them; names, records and events are some hundred bytes a file.
    assert peaks["many"] < peaks["few"] + 4 * MAPS, peaks

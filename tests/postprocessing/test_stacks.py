import sys

import psutil
import pytest

from napari_unetseg import probability_maps
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.stacks import decode_stack


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell pages of files from others")
@pytest.mark.parametrize("split", [0, 0.5])
def test_planes_in_a_file_that_were_read_are_no_memory_of_this_process(monkeypatch, split):
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 100)
    probability, _ = probability_maps.allocate_map((1, 16, 1024, 1024), "stack")
    before = psutil.Process().memory_info().shared
    labels = decode_stack(probability, ("foreground",), DecodeParameters(split=split), axes="Z")
    assert psutil.Process().memory_info().shared - before < probability.nbytes / 4
    assert not labels.any()

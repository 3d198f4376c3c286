"""A process that is killed in the middle of a job loses what was under way, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.service import SegmentationService

# Forks before torch has any threads, so that it is imported once.
_RUNS = """
import os, signal, sys
from pathlib import Path
import numpy as np
import napari_unetseg.service.loaded_model
from napari_unetseg.config import Settings
from napari_unetseg.image import Image
from napari_unetseg.service import SegmentationService

folder = Path(sys.argv[1])
planes, labels = np.load(folder / "planes.npy"), np.lib.format.open_memmap(folder / "labels.npy")

class Target:
    def write_block(self, plane, block, found):
        if moment == ("half", "labels") and plane == (1,):
            labels[*plane, *block] = 7  # a part of a block
            os.kill(os.getpid(), signal.SIGKILL)
        labels[*plane, *block] = found

    def read(self, plane, region):
        return labels[*plane, *region].copy()

def run():
    done = []
    def progress(now):
        if now.finished is not None:
            done.append(f"{now.stage} {now.finished.plane} {now.finished.number}")
            if moment == (len([one for one in done if one.startswith(now.stage)]), now.stage):
                (folder / "done.txt").open("a").write("\\n".join(done) + "\\n")
                os.kill(os.getpid(), signal.SIGKILL)
    settings = Settings(unet={"model": {"device": "cpu"}, "inference": {"window": 64}})
    with SegmentationService(sys.argv[2], settings=settings) as service:
        service.segment_blocks(Image(planes, "ZYX"), folder / "job", Target(), progress=progress, link=True)
    (folder / "done.txt").open("a").write("\\n".join(done) + "\\n")

for moment in [(3, "network"), (2, "network"), (1, "objects"), ("half", "labels"), (1, "table")]:
    child = os.fork()
    if not child:
        run()
        os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (moment, status)
moment = None
run()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_job_that_was_killed_at_five_moments_gives_the_labels_of_one_that_was_not(
    bright_model: Path, tmp_path: Path
) -> None:
    planes = np.zeros((3, 90, 100), np.uint8)
    for number in range(60):
        z, y, x = number % 3, 3 + number // 10 * 14, 3 + number % 10 * 9
        planes[z, y : y + 9, x : x + 6] = 200
    np.save(tmp_path / "planes.npy", planes)
    np.save(tmp_path / "labels.npy", np.zeros(planes.shape, np.int32))
    subprocess.run([sys.executable, "-c", _RUNS, str(tmp_path), str(bright_model)], check=True)
    with SegmentationService(bright_model) as service:
        expected = service.segment(Image(planes, "ZYX"), link=True)
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), expected.labels)
    assert expected.count > 10
    done = (tmp_path / "done.txt").read_text().split("\n")
    # What was finished before a kill was not done again.
    assert len(set(done)) == len(done)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".unetseg")]

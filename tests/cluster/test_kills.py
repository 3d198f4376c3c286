"""Workers, scheduler and client are killed in the midst of a job: the labels are those of an undisturbed run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.blockwise.job import BlockSource, JobSpec
from napari_unetseg.blockwise.run import BlockProgress
from napari_unetseg.cluster.connection import Cluster
from napari_unetseg.cluster.dask_executor import DaskExecutor
from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.label_creation import create_label_store
from napari_unetseg.io.ome_zarr.labels import open_labels
from napari_unetseg.service import SegmentationService, block_segmentation

CLIENT = Path(__file__).with_name("segmenting_client.py")
SIDE = 64
MOMENTS = ("network", "objects", "labels")
SECONDS = 120


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image file (400, 420) of discs, crowded so that most blocks' edges go through some."""
    rows, columns = np.ogrid[:400, :420]
    pixels = np.zeros((400, 420), np.uint8)
    rng = np.random.default_rng(26)
    for row in range(5, 400, 17):
        for column in range(5, 420, 15):
            radius = rng.uniform(5, 9)
            pixels[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = 200
    path = tmp_path_factory.mktemp("scene") / "scene.npy"
    np.save(path, pixels)
    return path


@pytest.fixture(scope="module")
def expected(scene: Path, bright_service: SegmentationService) -> NDArray[np.int32]:
    """The labels of the undivided image."""
    return bright_service.segment(read_image(scene)).labels


def test_a_worker_that_is_killed_leaves_no_trace_in_the_labels(
    workers: Cluster,
    bright_service: SegmentationService,
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(block_segmentation, "JobSpec", partial(JobSpec, block_side=SIDE))
    image = read_image(squares)
    labels = create_label_store(tmp_path / "labels.ome.zarr", "bright", image, block_side=SIDE)
    victims = []

    def kill_once(now: BlockProgress) -> None:
        if now.stage == "basins" and now.finished is not None and not victims:
            pids = workers.client.run(os.getpid)
            victims.append(pids[min(pids)])
            os.kill(victims[0], signal.SIGKILL)

    executor = DaskExecutor(bright_service, workers.client)
    source = BlockSource(path=str(squares))
    bright_service.segment_blocks(image, tmp_path / "job", labels, source=source, executor=executor, progress=kill_once)
    assert len(victims) == 1
    found = labels.read((), (slice(0, 96), slice(0, 130)))
    np.testing.assert_array_equal(found, bright_service.segment(image).labels)
    assert found.max() > 20


class Processes:
    """A scheduler with two workers, as somebody starts them on the command line."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "scheduler.json"
        self._log = (folder / "log").open("w")
        where = ("--scheduler-file", str(self.file), "--no-dashboard")
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", *where)
        how = ("--nthreads", "1", "--no-nanny", "--death-timeout", "60", "--local-directory", str(folder))
        self.workers = [self._start("worker", *where, *how) for _ in range(2)]
        # It is written once the scheduler listens.
        waiting = [sys.executable, "-c", WAIT, str(self.file)]
        subprocess.run(waiting, check=True, timeout=SECONDS)

    def _start(self, kind: str, *words: str) -> "subprocess.Popen[bytes]":
        line = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words]
        return subprocess.Popen(line, stdout=self._log, stderr=self._log)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self._log.close()


WAIT = """
import sys, time
from distributed import Client
while True:
    try:
        with Client(scheduler_file=sys.argv[1], timeout=5) as client:
            client.wait_for_workers(2)
        break
    except (OSError, ValueError):
        time.sleep(0.1)
"""


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    started = Processes(folder)
    try:
        yield started
    finally:
        started.close()


def start_client(cluster: Processes, scene: Path, folder: Path, model: Path, stage: str) -> "subprocess.Popen[str]":
    line = [sys.executable, str(CLIENT), str(cluster.file), str(scene), str(folder), str(model), stage]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.nightly
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", ["worker", "scheduler", "client"])
def test_whatever_is_killed_the_labels_are_those_of_an_undisturbed_run(
    victim: str,
    moment: str,
    scene: Path,
    expected: NDArray[np.int32],
    bright_model: Path,
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(processes(tmp_path / "cluster"))
        client = start_client(cluster, scene, tmp_path, bright_model, moment)
        assert client.stdout is not None
        assert client.stdout.readline(), client.communicate(timeout=SECONDS)[1]
        died = {"worker": cluster.workers[0], "scheduler": cluster.scheduler, "client": client}[victim]
        died.kill()
        died.wait()
        _, said = client.communicate("\n" if victim != "client" else None, timeout=SECONDS)
        if victim == "worker":
            assert client.returncode == 0, said
        elif victim == "client":
            assert client.returncode == -signal.SIGKILL
        else:
            assert client.returncode == 1
            assert "The scheduler tcp://127.0.0.1" in said.splitlines()[-1]
            cluster = stack.enter_context(processes(tmp_path / "again"))
        if victim != "worker":
            again = start_client(cluster, scene, tmp_path, bright_model, "")
            _, said = again.communicate(timeout=SECONDS)
            assert again.returncode == 0, said
    labels = open_labels(tmp_path / "labels.ome.zarr" / "labels" / "bright", writable=True)
    np.testing.assert_array_equal(labels.read((), (slice(0, 400), slice(0, 420))), expected)

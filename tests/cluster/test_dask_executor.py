"""Units are done by workers, whatever happens to them."""

import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

import pytest

from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import load_json, save_json
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.cluster.connection import Cluster
from napari_unetseg.cluster.dask_executor import DaskExecutor
from napari_unetseg.cluster.worker_units import WorkOrder
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import Cancelled, ParameterError, UnetsegError
from napari_unetseg.service import SegmentationService

UNITS = [Unit(0, number) for number in range(12)]
BAD = Unit(0, 7)


@dataclass(frozen=True)
class Writing:
    """A stage that writes in which process a unit was done; something can happen in one of them."""

    happens: str = ""
    name: str = "writing"

    def units(self, job: BlockJob) -> Iterable[Unit]:
        return UNITS

    def is_done(self, job: BlockJob, unit: Unit) -> bool:
        return job.folder.unit_file(self.name, unit, ".json").exists()

    def do(self, job: BlockJob, unit: Unit) -> None:
        tried = job.folder.path / "tried"
        if unit == BAD and self.happens == "error":
            raise UnetsegError("This block is bad.")
        if unit == BAD and (self.happens == "kill" or (self.happens == "kill once" and not tried.exists())):
            tried.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.happens == "wait":
            (job.folder.path / "waiting").touch()
            while not job.is_cancelled():
                Event().wait(0.01)
            raise Cancelled("It was told to stop.")
        save_json(job.folder.unit_file(self.name, unit, ".json"), {"process": os.getpid()})

    def conclude(self, job: BlockJob) -> None:
        pass


@pytest.fixture
def executor(workers: Cluster, bright_service: SegmentationService) -> DaskExecutor:
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return DaskExecutor(bright_service, workers.client)


def run(executor: DaskExecutor, job: BlockJob, stage: Writing) -> list[Unit]:
    finished: list[Unit] = []
    executor.run(job, stage, UNITS, finished.append, lambda: False)
    return finished


def test_every_unit_is_done_once_in_other_processes(executor: DaskExecutor, small_job: BlockJob) -> None:
    assert sorted(run(executor, small_job, Writing())) == UNITS
    done_in = {load_json(small_job.folder.unit_file("writing", unit, ".json"))["process"] for unit in UNITS}
    assert os.getpid() not in done_in


@pytest.mark.nightly  # as in test_kills.py, which loses a worker in a whole run
def test_the_units_of_a_killed_worker_are_done_by_another_one(executor: DaskExecutor, small_job: BlockJob) -> None:
    assert sorted(run(executor, small_job, Writing("kill once"))) == UNITS
    assert (small_job.folder.path / "tried").exists()


def test_a_unit_that_kills_each_worker_is_named_and_the_others_are_done(
    executor: DaskExecutor, small_job: BlockJob
) -> None:
    with pytest.raises(UnetsegError, match=r"squares\.npy: block 7 of plane 0 ended each worker"):
        run(executor, small_job, Writing("kill"))
    done = [unit for unit in UNITS if Writing().is_done(small_job, unit)]
    assert set(done) >= {unit for unit in UNITS if unit < BAD}
    assert not small_job.folder.stop_requested


def test_what_a_unit_raises_reaches_the_caller_in_its_words(executor: DaskExecutor, small_job: BlockJob) -> None:
    with pytest.raises(UnetsegError, match=r"^This block is bad\.$"):
        run(executor, small_job, Writing("error"))
    assert not small_job.folder.stop_requested  # what failed may be tried in another way


def test_network_units_go_to_workers_with_a_gpu_where_there_are_some(
    executor: DaskExecutor, small_job: BlockJob, workers: Cluster
) -> None:
    workers.client.wait_for_workers(min(2, usable_cores()))  # those killed before are started again
    pids = workers.client.run(os.getpid)
    having = min(pids)

    async def say(gpus: int, dask_worker: Any) -> None:
        await dask_worker.set_resources(GPU=gpus)

    workers.client.run(say, 1, workers=[having])
    try:
        run(executor, small_job, Writing(name="network"))
        run(executor, small_job, Writing())
    finally:
        workers.client.run(say, 0, workers=[having])
    done_in = {
        name: {load_json(small_job.folder.unit_file(name, unit, ".json"))["process"] for unit in UNITS}
        for name in ("network", "writing")
    }
    assert done_in["network"] == {pids[having]}
    assert done_in["writing"] <= set(pids.values())


def test_that_nobody_is_left_with_a_gpu_is_told_once(workers: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_unetseg.cluster import submitted

    monkeypatch.setattr(submitted, "_LOOK", 0.0)
    told: list[str] = []
    looks = iter([False, False, False, True])
    with pytest.raises(Cancelled):
        submitted.do_tasks(
            workers.client,
            [submitted.Task("nothing", os.getpid, ())],
            lambda *_: None,
            lambda: next(looks),
            stop=lambda: None,
            tell=told.append,
            resources={"GPU": 1.0},
        )
    assert told == [f"No worker of the scheduler {workers.address} has a GPU any more; waiting for one."]


def test_a_worker_that_came_late_with_another_version_is_refused(
    executor: DaskExecutor, small_job: BlockJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unetseg.cluster import dask_executor

    monkeypatch.setattr(dask_executor, "WorkOrder", partial(WorkOrder, version="0.0.1"))
    with pytest.raises(UnetsegError, match=r"The worker tcp.* but here it is 0\.0\.1"):
        run(executor, small_job, Writing())


def test_another_model_on_a_worker_is_said_in_a_sentence(
    executor: DaskExecutor, small_job: BlockJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, (model, _, *rest) = executor._service.__reduce__()
    monkeypatch.setattr(SegmentationService, "__reduce__", lambda _: (make, (model, "0" * 64, *rest)))
    with pytest.raises(UnetsegError, match=r"has another model of this name"):
        run(executor, small_job, Writing())


def test_cancel_ends_units_under_way_before_it_returns(executor: DaskExecutor, small_job: BlockJob) -> None:
    waiting = small_job.folder.path / "waiting"
    with pytest.raises(Cancelled):
        executor.run(small_job, Writing("wait"), UNITS, lambda _: None, waiting.exists)
    assert small_job.folder.stop_requested
    client = executor._client
    assert client is not None
    assert not any(client.processing().values())


def test_an_image_in_memory_is_refused_before_anything_is_sent(executor: DaskExecutor, small_job: BlockJob) -> None:
    in_memory = replace(small_job, spec=small_job.spec.model_copy(update={"source": None}))
    with pytest.raises(ParameterError, match=r"squares\.npy: workers cannot open this image"):
        run(executor, in_memory, Writing())


def test_a_folder_that_workers_do_not_see_is_named(executor: DaskExecutor, small_job: BlockJob) -> None:
    small_job.folder.path.rmdir()
    with pytest.raises(UnetsegError, match=r"job: the worker tcp.* does not see this folder"):
        run(executor, small_job, Writing())

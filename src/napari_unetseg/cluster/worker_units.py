"""What a worker does: units of a stage, and parts of a batch, with the model that its process has loaded."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from napari_unetseg import __version__
from napari_unetseg.blockwise.job import NETWORK, PLAN, JobSpec, LabelTarget
from napari_unetseg.blockwise.job_folder import JobFolder
from napari_unetseg.blockwise.stages import Stage, Unit
from napari_unetseg.cluster.worker_check import THREADS_IN_WORKERS, check_version, cores_of_process, folder_not_seen
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import UnetsegError

if TYPE_CHECKING:
    from napari_unetseg.service import SegmentationService

_SECONDS = 0.5
_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class WorkOrder:
    """What every task of a job carries; a few kilobytes.

    Attributes
    ----------
    folder
        Of the job.
    spec
        What was asked for.
    target
        Where labels go.
    service
        Stands for the service of the process that leads.
    sharers
        How many workers share each set of cores, by what `cores_of_process` returns.
    version
        Of the process that leads; a worker that came late was not asked for its own.
    """

    folder: Path
    spec: JobSpec
    target: LabelTarget
    service: "SegmentationService"
    sharers: Mapping[str, int]
    version: str = __version__


def do_units(order: WorkOrder, stage: Stage, units: Sequence[Unit]) -> UnetsegError | None:
    """Do units of a stage that are not done yet, as a process does that works alone.

    Returns
    -------
    UnetsegError or None
        Why one cannot be done here, or that the job is to stop: raised, the worker would log it as a defect.
    """
    try:
        _do_units(order, stage, units)
    except UnetsegError as error:
        return error
    return None


def _do_units(order: WorkOrder, stage: Stage, units: Sequence[Unit]) -> None:
    from napari_unetseg.blockwise.local_executor import LocalExecutor

    check_version(this_worker(), __version__, order.version)
    if not order.folder.is_dir():
        raise folder_not_seen(this_worker(), order.folder)
    if stage.name in (PLAN, NETWORK):
        use_cores(order.sharers)
    folder = JobFolder(order.folder)
    stops = Seldom(lambda: folder.stop_requested)
    with order.service.opened_job(folder, order.spec, order.target, stops) as job:
        missing = [unit for unit in units if not stage.is_done(job, unit)]
        if missing:
            LocalExecutor().run(job, stage, missing, lambda _: None, stops)


@dataclass
class Seldom:
    """A question that is asked often and answered by what was found up to half a second before.

    Attributes
    ----------
    ask
        Asks a disk or a machine that may be far away.
    """

    ask: Callable[[], bool]
    _answer: bool = field(default=False, init=False)
    _next: float = field(default=0.0, init=False)

    def __call__(self) -> bool:
        """Return the answer; one that was True stays so."""
        if not self._answer and (now := monotonic()) >= self._next:
            self._answer, self._next = self.ask(), now + _SECONDS
        return self._answer


def this_worker() -> str:
    """Return the address of the worker that this is called in."""
    from distributed import get_worker

    return str(get_worker().address)


def use_cores(sharers: Mapping[str, int]) -> None:
    """Let PyTorch use this worker's share of the cores, unless whoever started it set ``OMP_NUM_THREADS``.

    A 1 counts only where it cannot be dask's, which gives it to every worker that is started by hand.
    """
    import dask

    asked = os.environ.get(_THREADS)
    if asked is None or (asked == "1" and dask.config.get(THREADS_IN_WORKERS, None) is not None):
        _use_threads(max(1, usable_cores() // sharers.get(cores_of_process(), 1)))


@cache
def _use_threads(number: int) -> None:
    import torch

    torch.set_num_threads(number)

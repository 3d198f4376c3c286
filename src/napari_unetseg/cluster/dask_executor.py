"""Units of a job, done by workers of dask.distributed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.blockwise.job import NETWORK, PLAN, BlockJob
from napari_unetseg.blockwise.stages import Stage, Unit
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.cluster.submitted import Task, do_tasks
from napari_unetseg.cluster.worker_check import GPU, Tell, check_workers, core_sharers, wait_for_workers
from napari_unetseg.cluster.worker_units import WorkOrder, do_units
from napari_unetseg.errors import Cancelled, ParameterError, UnetsegError
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from distributed import Client

    from napari_unetseg.service import SegmentationService

_GROUPS_EACH = 4
"""Groups that each thread of a worker should get in a stage, so that all end at about the same time."""
_MOST = {NETWORK: 16}
_MOST_ELSE = 8
"""Units of a group at most: so many take long enough that a scheduler's share of the time is small."""


class DaskExecutor:
    """Has units done by workers, of which any may be lost at any time; see `napari_unetseg.blockwise.run.Executor`.

    Workers open image, model and label image by themselves: all three, and the folder of the job, must lie where every
    machine sees them under the same path.

    Parameters
    ----------
    service
        The service with whose model and settings workers do the same as it would.
    client
        Connection to the scheduler. None: the one that is in use; in a task, that of its worker, so that an executor
        without one can be sent to workers itself.
    tell
        Told that there are no workers to wait for.
    """

    def __init__(
        self, service: "SegmentationService", client: "Client | None" = None, tell: Tell = lambda _: None
    ) -> None:
        self._service = service
        self._client = client
        self._tell = tell
        self._checked: tuple[Path, tuple[str, ...]] | None = None
        self._sharers: dict[str, int] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """Travel without the connection."""
        return DaskExecutor, (self._service,)

    def run(
        self,
        job: BlockJob,
        stage: Stage,
        units: Sequence[Unit],
        finished: Callable[[Unit], None],
        cancel: CancelFlag,
    ) -> None:
        """Do all these units; return when all are done.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        ComputerGone
            If the scheduler is lost; what is done stays.
        UnetsegError
            If a unit cannot be done, or workers cannot work on this job.
        """
        if job.spec.source is None:
            raise ParameterError(
                Sentence(
                    "{image}: workers cannot open this image, which is in the memory of one process. Save it where "
                    "all of them see it, and segment the file.",
                    image=job.image.name,
                )
            )
        with self._reached() as client:
            workers = wait_for_workers(client, self._tell, cancel)
            folder = job.folder.path.absolute()
            if self._checked != (folder, workers.addresses):
                check_workers(client, folder)
                self._sharers = core_sharers(client)
                self._checked = folder, workers.addresses
            order = WorkOrder(folder, job.spec, job.target, self._service, self._sharers)
            for_network = stage.name in (NETWORK, PLAN)
            resources = {GPU: 1.0} if for_network and workers.have_gpus else None
            groups = _groups(units, workers.threads, _MOST.get(stage.name, _MOST_ELSE))
            try:
                left = self._do(client, job, order, stage, groups, finished, cancel, resources)
                # Whose fault it was shows where each is alone.
                for unit in (unit for group in left for unit in group):
                    if stage.is_done(job, unit):
                        finished(unit)
                    elif self._do(client, job, order, stage, [[unit]], finished, cancel, resources):
                        raise _kills_workers(job, stage, unit)
            except Cancelled:
                raise
            except UnetsegError:
                job.folder.withdraw_stop()  # all have ended; what failed may be tried in another way
                raise

    def _do(
        self,
        client: "Client",
        job: BlockJob,
        order: WorkOrder,
        stage: Stage,
        groups: Sequence[Sequence[Unit]],
        finished: Callable[[Unit], None],
        cancel: CancelFlag,
        resources: Mapping[str, float] | None,
    ) -> list[Sequence[Unit]]:
        """Do groups of units; return those whose workers died each time."""

        def note(number: int, _: object) -> None:
            for unit in groups[number]:
                finished(unit)

        tasks = [Task(stage.name, do_units, (order, stage, group)) for group in groups]
        stop = job.folder.request_stop
        killed = do_tasks(client, tasks, note, cancel, stop=stop, tell=self._tell, resources=resources)
        return [groups[number] for number in killed]

    @contextmanager
    def _reached(self) -> "Iterator[Client]":
        if self._client is not None:
            yield self._client
            return
        from distributed import get_client, get_worker, worker_client

        try:
            get_worker()
        except ValueError:
            yield get_client()
        else:
            with worker_client() as client:  # so that this task takes no worker's place while it waits
                yield client


def _groups(units: Sequence[Unit], threads: int, most: int) -> list[list[Unit]]:
    size = max(1, min(most, len(units) // (_GROUPS_EACH * max(threads, 1))))
    return [list(units[start : start + size]) for start in range(0, len(units), size)]


def _kills_workers(job: BlockJob, stage: Stage, unit: Unit) -> UnetsegError:
    what = Sentence("tile") if stage.name in (NETWORK, PLAN) else Sentence("block")
    return UnetsegError(
        Sentence(
            "{image}: {what} {number} of plane {plane} ended each worker that tried it. Most likely memory ran out: "
            "give workers more, or make tiles smaller (--window). What is done stays, and the same run goes on.",
            image=job.image.name,
            what=what,
            number=unit.number,
            plane=unit.plane,
        )
    )

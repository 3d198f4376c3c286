"""Images of a batch, done by workers of dask.distributed through the ordinary engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_unetseg import __version__
from napari_unetseg.batch.events import Event
from napari_unetseg.batch.parts import BatchPart, PartOutcome
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.cluster.submitted import Task, do_tasks
from napari_unetseg.cluster.worker_check import GPU, check_version, check_workers, core_sharers, wait_for_workers
from napari_unetseg.cluster.worker_units import Seldom, this_worker, use_cores
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from distributed import Client

    from napari_unetseg.cluster.worker_check import Tell
    from napari_unetseg.service import SegmentationService

_GROUPS_EACH = 4
_STOP = ".unetseg-stop-"
_MOST = 8
"""Images of a group at most, in which a worker reads ahead and decodes beside the network."""


class DaskDistributor:
    """Has the images of a batch done by workers, each of which may be lost; see `napari_unetseg.batch.parts`.

    Parameters
    ----------
    service
        The service with whose model and settings workers do the same as it would.
    client
        Connection to the scheduler.
    tell
        Told that there are no workers to wait for.
    """

    def __init__(self, service: "SegmentationService", client: "Client", tell: "Tell" = lambda _: None) -> None:
        self._service = service
        self._client = client
        self._tell = tell

    def run_parts(
        self, parts: Sequence[BatchPart], finished: Callable[[PartOutcome], None], cancel: CancelFlag
    ) -> None:
        """Do all these parts; return when all are done, or `cancel` returned True.

        Raises
        ------
        ComputerGone
            If the scheduler is lost; what is done stays.
        UnetsegError
            If workers cannot do these images.
        """
        try:
            self._run(parts, finished, cancel)
        except Cancelled:
            return

    def _run(self, parts: Sequence[BatchPart], finished: Callable[[PartOutcome], None], cancel: CancelFlag) -> None:
        if not parts:
            return
        client = self._client
        workers = wait_for_workers(client, self._tell, cancel)
        for folder in {_folder_of(part) for part in parts}:
            folder.mkdir(parents=True, exist_ok=True)
            check_workers(client, folder)
        size = max(1, min(_MOST, len(parts) // (_GROUPS_EACH * workers.threads)))
        groups = [parts[start : start + size] for start in range(0, len(parts), size)]
        resources = {GPU: 1.0} if workers.have_gpus else None
        sharers = core_sharers(client)
        killed = self._do(groups, sharers, finished, cancel, resources)
        # Whose fault it was shows where each is alone.
        for part in (part for number in killed for part in groups[number]):
            if self._do([[part]], sharers, finished, cancel, resources):
                finished(PartOutcome(tuple(_killed(file) for file in part.job.files)))

    def _do(
        self,
        groups: Sequence[Sequence[BatchPart]],
        sharers: Mapping[str, int],
        finished: Callable[[PartOutcome], None],
        cancel: CancelFlag,
        resources: Mapping[str, float] | None,
    ) -> list[int]:
        # A file, not a flag of dask: to ask for one a worker needs a client, for which it ends only after seconds.
        stop = _folder_of(groups[0][0]) / f"{_STOP}{uuid4().hex}"
        tasks = [
            Task("images", do_part, (self._service, _joined(group), sharers, stop, __version__)) for group in groups
        ]
        try:
            return do_tasks(
                self._client,
                tasks,
                lambda _, outcome: finished(outcome),
                cancel,
                stop=stop.touch,
                tell=self._tell,
                resources=resources,
            )
        finally:
            stop.unlink(missing_ok=True)


def do_part(
    service: "SegmentationService", part: BatchPart, sharers: Mapping[str, int], stop: Path, version: str
) -> PartOutcome | UnetsegError:
    """Do images in a worker; return what became of them, or why none can be done.

    Parameters
    ----------
    sharers
        How many workers share each set of cores.
    stop
        File by which it is told to stop, once it is there.
    version
        Of the process that leads.
    """
    from napari_unetseg.batch.segment_files import segment_part

    try:
        check_version(this_worker(), __version__, version)
        use_cores(sharers)
        return segment_part(service, part, cancel=Seldom(stop.exists))
    except UnetsegError as error:
        return error


def _folder_of(part: BatchPart) -> Path:
    return next(iter(part.targets.values())).folder


def _joined(parts: Sequence[BatchPart]) -> BatchPart:
    """Make one part of several parts of one batch."""
    files = tuple(file for part in parts for file in part.job.files)
    places = {file: place for part in parts for file, place in part.job.places.items()}
    targets = {file: target for part in parts for file, target in part.targets.items()}
    return BatchPart(replace(parts[0].job, files=files, places=places), targets)


def _killed(file: Path) -> Event:
    said = Sentence(
        "It ended each worker that tried it. Most likely memory ran out: give workers more, or make tiles smaller "
        "(--window)."
    )
    return Event(file, "failed", message=said, error=UnetsegError(said))

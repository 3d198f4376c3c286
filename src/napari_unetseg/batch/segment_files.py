"""Segment the files of a batch; a bad one never stops the others, and what is finished stays."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from napari_unetseg.batch.background_writer import BackgroundWriter
from napari_unetseg.batch.contents import hash_image
from napari_unetseg.batch.events import FINISHED_STATUSES, BatchCounts, Event
from napari_unetseg.batch.fingerprint import result_fingerprint
from napari_unetseg.batch.output_files import ALWAYS, PARTS, FieldPlace, ResultKind, Target
from napari_unetseg.batch.parts import BatchPart, Distributor, PartOutcome
from napari_unetseg.batch.places import absolute, address, is_url
from napari_unetseg.batch.prefetch import Prefetched, prefetch
from napari_unetseg.batch.result_store import FileInProgress, ResultStore
from napari_unetseg.batch.saving import is_beyond_memory
from napari_unetseg.batch.zarr_results import ZarrLabels, job_folder
from napari_unetseg.blockwise.job import BlockSource
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled, ComputerGone, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.language import Sentence
from napari_unetseg.service import Failure, RunRecipe, Segmentation, Segmenter

if TYPE_CHECKING:
    from napari_unetseg.blockwise.run import Executor

_POLL = 0.2  # seconds between two looks at what other processes have finished
_MOST_GONE = 4  # images in a row without the server that computes them, after which the others wait for it


@dataclass(frozen=True)
class BatchJob:
    """Which files to segment, how, and where to.

    Attributes
    ----------
    files
        Images, in the order of work.
    output
        Folder of all results; None for a folder `DEFAULT_FOLDER` beside each image.
    results
        Kinds of results to keep besides those that are always kept.
    segment_options
        Keyword arguments of `SegmentationService.segment`, the same for every image.
    read_options
        Keyword arguments of `read_image`, the same for every file.
    redo
        Whether to segment also the files that are done already.
    fixing
        Recipe whose fixes are done to the result of every file; None: none are.
    places
        Where those of the files belong that are fields of a plate.
    conditions
        What was done to wells of these plates, by their names; the tables of results have it.
    beside
        Whether labels of OME-Zarr images go beside the other results rather than into the image.
    label_name
        Under which labels go into an image; None: that of the model.
    """

    files: tuple[Path, ...]
    output: Path | None = None
    results: tuple[ResultKind, ...] = ALWAYS
    segment_options: Mapping[str, Any] = field(default_factory=dict)
    read_options: Mapping[str, Any] = field(default_factory=dict)
    redo: bool = False
    fixing: RunRecipe | None = None
    places: Mapping[Path, FieldPlace] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    beside: bool = False
    label_name: str | None = None


def segment_files(
    service: Segmenter,
    job: BatchJob,
    *,
    report: Callable[[Event, BatchCounts], None],
    cancel: CancelFlag = lambda: False,
    read: Callable[..., Image] = read_image,
    executor: "Executor | None" = None,
    distributor: Distributor | None = None,
) -> BatchCounts:
    """Segment files and write their results, a journal and two summaries into the output folder.

    A file is skipped where the journal says that the same content was done with the same model and parameters, and
    the results wanted are there. Results of an earlier run with other parameters are replaced, all kinds of them, so
    that those of one image always agree. Probabilities are dropped with each file; a few files are read ahead
    of the network, and at most two results are written behind it, each in a thread.

    However the run ends, what is finished stays, no file is half written, and both summaries list what the folder
    holds; only a killed process leaves them to the next run. Several processes, also of several machines that share a
    disk, may work on one folder: each file is done by one of them, and each ends when all files are done.

    Labels of images that are OME-Zarr are written as such, into the image where it can be written. Those of an image
    beyond memory are written block by block, after the other files: what is done of it stays if the run is cancelled
    or killed, and a later run goes on from there.

    One image can bring down the server that computes it; where several in a row find none, the others are not tried.

    Parameters
    ----------
    service
        What segments, with its own model.
    job
        Which files, how, and where to.
    report
        Called with each event and the counts so far, in the calling thread. The counts go on counting; another thread
        may read them.
    cancel
        Polled from this thread and another one. Once it returns True, files that are not finished wait.
    read
        Reads an image file as `read_image` does; called in another thread.
    executor
        Does the blocks of images beyond memory; None: this process does.
    distributor
        Has the other images done by other processes; None: this process does.

    Returns
    -------
    BatchCounts
        How the files stand at the end.

    Raises
    ------
    UnetsegError
        If the model, the device, a parameter or the output folder cannot be used; a server can come to that midway.
    """
    batch = _Batch(service, job, report, cancel, read)
    with batch.store:
        batch.run(executor, distributor)
    return batch.counts


def segment_part(service: Segmenter, part: BatchPart, *, cancel: CancelFlag = lambda: False) -> PartOutcome:
    """Do a part of a batch as another process than the one that leads.

    Raises
    ------
    UnetsegError
        As `segment_files` does.
    """
    ended: dict[Path, Event] = {}

    def note(event: Event, _: BatchCounts) -> None:
        if event.status in FINISHED_STATUSES:
            ended[event.file] = replace(event, error=None)  # which not every process could read

    batch = _Batch(service, part.job, note, cancel, read_image, part.targets)
    with batch.store:
        batch.run_small()
    return PartOutcome(tuple(ended.values()), tuple(batch.large))


@dataclass(frozen=True)
class _Found:
    """A file's hash, and its image, why there is none, or that it is done already; None if another process has it."""

    sha256: str
    image: Image | Exception | Event | None
    is_large: bool = False


class _Batch:
    def __init__(
        self,
        service: Segmenter,
        job: BatchJob,
        report: Callable[[Event, BatchCounts], None],
        cancel: CancelFlag,
        read: Callable[..., Image],
        targets: Mapping[Path, Target] | None = None,
    ) -> None:
        self.counts = BatchCounts(job.files)
        decided = result_fingerprint(service.package.card, job.segment_options, job.read_options)
        if job.fixing is not None:
            decided["fixes"] = [fix.model_dump(mode="json") for fix in job.fixing.fixes]
        self.store = ResultStore(
            job.files,
            job.output,
            job.results,
            decided,
            places=job.places,
            conditions=job.conditions,
            zarr=ZarrLabels(
                job.label_name or service.package.card.name, job.beside, job.read_options.get("level") or 0
            ),
            targets=targets,
        )
        self.large: list[Path] = []
        self._service, self._job, self._report, self._read = service, job, report, read
        self._parts = {PARTS[kind] for kind in job.results if kind in PARTS}
        self._cancel: CancelFlag = lambda: cancel() or self._is_lost()
        self._gone: list[Exception] = []
        self._in_progress: deque[FileInProgress] = deque()
        self._elsewhere: list[Path] = []
        self._tiles = self._tiles_before = 0

    def run(self, executor: "Executor | None", distributor: Distributor | None) -> None:
        """Do all files, those beyond memory last."""
        if distributor is None:
            self.run_small()
        else:
            parts = [self._part(file) for file in self._job.files]
            distributor.run_parts(parts, self._take_outcome, self._cancel)
        while self.large and not self._cancel():
            self._segment_large(self.large.pop(0), executor)

    def _part(self, file: Path) -> BatchPart:
        places = {file: self._job.places[file]} if file in self._job.places else {}
        return BatchPart(replace(self._job, files=(file,), places=places), {file: self.store.targets[file]})

    def _take_outcome(self, outcome: PartOutcome) -> None:
        for event in outcome.events:
            if event.error is None:
                self._announce(event)
            else:  # nobody who could record it is left
                self._announce(self.store.record_failure(FileInProgress(event.file, "", monotonic()), event.error))
        self.large += outcome.large

    def run_small(self) -> None:
        """Do what no other process works on, and then what these have not finished when they end."""
        files = self._job.files
        while files and not self._cancel():
            self._elsewhere = []
            self._run(files)
            files = tuple(self._elsewhere)
            # Not while images are with the network: two processes would wait for each other's.
            while files and all(map(self.store.is_claimed, files)) and not self._cancel():
                sleep(_POLL)
        if self._is_lost():
            raise self._gone[-1]

    def _is_lost(self) -> bool:
        """Whether the server that computes them is gone."""
        return len(self._gone) >= _MOST_GONE

    def _run(self, files: Sequence[Path]) -> None:
        self._tiles = self._tiles_before = 0
        with (
            closing(prefetch(files, self._load, self._cancel)) as prefetched,
            BackgroundWriter(self._announce) as writer,
        ):
            images = self._images(prefetched, writer)
            first = next((image for image in images if image is not None), None)
            # Where all is done the model is not even loaded.
            if first is None:
                return
            fed = self._feed(chain([first], images))
            del first
            results = self._service.iter_batch(
                fed, progress=self._on_progress, cancel=self._cancel, also=self._parts, **self._job.segment_options
            )
            with closing(results):
                for result in results:
                    self._finish(self._in_progress.popleft(), result, writer)
                    del result  # its probabilities, before the next image needs room

    def _load(self, file: Path) -> _Found:
        """Hash a file and, unless it is done, read it; in the reader's thread."""
        try:
            sha256 = hash_image(file)
        except OSError:
            sha256 = ""  # reading it will say why
        try:
            done = self.store.finished_event(file, sha256, redo=self._job.redo)
            if done is not None:
                return _Found(sha256, done)
            if not self.store.claim(file):
                return _Found(sha256, None)
            # Another process may have finished it just before.
            done = self.store.finished_event(file, sha256, redo=self._job.redo)
            if done is not None:
                self.store.release(file)
                return _Found(sha256, done)
            self.store.check_overwrites_nothing(file)
            image = self._read(address(file) if is_url(file) else file, **self._job.read_options)
            is_large = ResultKind.OME_ZARR in self.store.kinds(file) and is_beyond_memory(image)
            self.store.check_savable(file, image, is_large=is_large)
            return _Found(sha256, image, is_large)
        except Exception as error:
            return _Found(sha256, error)

    def _images(
        self, prefetched: Iterator[Prefetched[_Found] | None], writer: BackgroundWriter[Event]
    ) -> Iterator[tuple[Path, str, Image] | None]:
        """Yield the images that have to be segmented, each with file and hash, and finish the other files."""
        for one in prefetched:
            if one is None:
                yield None
                continue
            file, outcome = one.file, one.outcome
            del one
            if isinstance(outcome, Exception):
                writer.submit(self.store.record_failure, FileInProgress(file, "", monotonic()), outcome)
            elif outcome.image is None:
                self._elsewhere.append(file)
            elif isinstance(outcome.image, Event):
                self._announce(outcome.image)
            elif isinstance(outcome.image, Exception):
                writer.submit(
                    self.store.record_failure, FileInProgress(file, outcome.sha256, monotonic()), outcome.image
                )
            elif outcome.is_large:
                self.store.release(file)  # another process may do it until its turn comes
                self.large.append(file)
            else:
                yield file, outcome.sha256, outcome.image
            del outcome  # no image is kept while the next one is waited for

    def _feed(self, images: Iterator[tuple[Path, str, Image] | None]) -> Iterator[Image | None]:
        """Yield images to the service as it takes them, which it does once the model is loaded."""
        for one in images:
            if one is None:
                yield None
                continue
            file, sha256, image = one
            del one
            self._in_progress.append(FileInProgress(file, sha256, monotonic()))
            self._announce(Event(file, "running"))
            yield image
            del image

    def _on_progress(self, done: int, total: int) -> None:
        self._tiles = done
        if self._in_progress and total > self._tiles_before:
            fraction = (done - self._tiles_before) / (total - self._tiles_before)
            self._announce(Event(self._in_progress[0].file, "running", fraction=max(0.0, min(fraction, 1.0))))

    def _finish(self, current: FileInProgress, result: Segmentation | Failure, writer: BackgroundWriter[Event]) -> None:
        self._tiles_before = self._tiles
        if isinstance(result, Segmentation):
            self._gone = []
            try:
                fixed = result if self._job.fixing is None else self._job.fixing.fixed(result)
            except UnetsegError as error:
                writer.submit(self.store.record_failure, current, error)
            else:
                writer.submit(self.store.save, current, fixed)
        elif isinstance(result.error, Cancelled):
            self._announce(Event(current.file, "waiting"))
        else:
            self._gone = [*self._gone, result.error] if isinstance(result.error, ComputerGone) else []
            writer.submit(self.store.record_failure, current, result.error)

    def _segment_large(self, file: Path, executor: "Executor | None") -> None:
        """Do a file block by block."""
        found = self._load(file)
        current = FileInProgress(file, found.sha256, monotonic())
        if isinstance(found.image, Event):
            self._announce(found.image)
        elif isinstance(found.image, Exception):
            self._announce(self.store.record_failure(current, found.image))
        elif found.image is None:
            # It waits for its turn again, after the others.
            self.large.append(file)
            sleep(_POLL)
        else:
            self._announce(Event(file, "running"))
            try:
                self._announce(self._segment_blocks(current, found.image, executor))
            except Cancelled:
                self.store.release(file)
                self._announce(Event(file, "waiting"))
            except Exception as error:
                self._announce(self.store.record_failure(current, error))

    def _segment_blocks(self, current: FileInProgress, image: Image, executor: "Executor | None") -> Event:
        file = current.file
        if self._job.fixing is not None:
            raise UnetsegError(
                Sentence(
                    "{image}: what was fixed by clicks cannot be fixed in an image that is done block by block.",
                    image=image.name,
                )
            )
        labels, kept = self.store.begin_blocks(file, image)
        ended: list[Event] = []
        self._service.segment_blocks(
            image,
            job_folder(self.store.targets[file]),
            labels,
            executor=executor,
            source=BlockSource(path=address(absolute(file)), **self._job.read_options),
            progress=lambda told: self._announce(Event(file, "running", fraction=told.done / max(told.total, 1))),
            cancel=self._cancel,
            # While what is done of it is still there, should a file not be written.
            conclude=lambda result: ended.append(self.store.finish_blocks(current, result, labels, kept)),
            **self._job.segment_options,
        )
        return ended[0]

    def _announce(self, event: Event) -> None:
        if event.error is not None:
            _drop_traceback(event.error)
        self.counts.add(event)
        self._report(event, self.counts)


def _drop_traceback(error: BaseException) -> None:
    """Drop an error's traceback, whose frames hold images and probabilities; the log has it already."""
    for one in (error, error.__cause__, error.__context__):
        if one is not None:
            one.__traceback__ = None

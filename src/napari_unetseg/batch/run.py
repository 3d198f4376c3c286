"""One file after another through the network; a bad one never stops the others, and what is done stays done."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from napari_unetseg.batch.deciding import decided_by
from napari_unetseg.batch.events import Event, Tally
from napari_unetseg.batch.journal import Journal, Record
from napari_unetseg.batch.reading import Looked, hash_file, look_ahead
from napari_unetseg.batch.saving import save_results
from napari_unetseg.batch.summary import write_summaries
from napari_unetseg.batch.targets import (
    ALWAYS,
    ENDINGS,
    Result,
    output_folder,
    plan_targets,
    with_always,
)
from napari_unetseg.errors import Cancelled, ImageError, one_line
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.service import Failure, Segmentation, SegmentationService


@dataclass(frozen=True)
class BatchJob:
    """What is to be done.

    Attributes
    ----------
    files
        Images, in the order of work.
    output
        Folder of all results; None for a folder `DEFAULT_FOLDER` beside each image.
    results
        Kinds of results to keep, beside those that are always kept.
    wishes
        Keyword arguments of `SegmentationService.segment`, the same for every image.
    reading
        Keyword arguments of `read_image`, the same for every file.
    again
        Whether to do also what is done already.
    """

    files: tuple[Path, ...]
    output: Path | None = None
    results: tuple[Result, ...] = ALWAYS
    wishes: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False


def segment_files(
    service: SegmentationService,
    job: BatchJob,
    *,
    tell: Callable[[Event], None],
    cancel: Callable[[], bool] = lambda: False,
    read: Callable[..., Image] = read_image,
) -> Tally:
    """Segment files and write their results, a journal and two summaries into the output folder.

    A file is skipped where the journal says that the same content was done with the same model and parameters, and
    the results wanted are there. Results of an earlier run with other parameters are replaced, all kinds of them, so
    that those of one image always agree. Probabilities are dropped with each file; at most two files are read ahead
    of the network.

    However the run ends, what is finished stays, no file is half written, and both summaries tell what the folder
    holds; only a killed process leaves them to the next run.

    Parameters
    ----------
    service
        What segments, with its own model.
    job
        What is to be done.
    tell
        Called with each event, in the calling thread.
    cancel
        Polled from this thread and another one. Once it returns True, files that are not finished wait.
    read
        Reads an image file as `read_image` does; called in another thread.

    Returns
    -------
    Tally
        How the files stand at the end.

    Raises
    ------
    UnetsegError
        If the model, the device, a parameter or the output folder cannot be used.
    """
    batch = _Batch(service, job, tell, cancel, read)
    try:
        batch.run()
    finally:
        batch.summarise()
    return batch.tally


@dataclass(frozen=True)
class _Found:
    """A file's hash, and its image, why there is none, or the record by which it is done already."""

    sha256: str
    image: Image | Exception | Record


@dataclass(frozen=True)
class _Place:
    """A file that is under way."""

    file: Path
    sha256: str
    began: float


class _Batch:
    def __init__(
        self,
        service: SegmentationService,
        job: BatchJob,
        tell: Callable[[Event], None],
        cancel: Callable[[], bool],
        read: Callable[..., Image],
    ) -> None:
        self.tally = Tally(job.files)
        self._service, self._job, self._tell, self._cancel, self._read = service, job, tell, cancel, read
        self._wanted = with_always(job.results)
        self._decided_by = decided_by(service.package.card, job.wishes, job.reading)
        self._journals = {folder: Journal(folder) for folder in {output_folder(f, job.output) for f in job.files}}
        kept = {path: target for journal in self._journals.values() for path, target in journal.targets().items()}
        self._targets = plan_targets(job.files, job.output, kept)
        self._inputs = {file.resolve() for file in job.files}
        self._under_way: deque[_Place] = deque()
        self._settled_at = monotonic()
        self._tiles = self._tiles_before = 0

    def run(self) -> None:
        with closing(look_ahead(self._job.files, self._look, self._cancel)) as looked:
            images = self._images(looked)
            first = next(images, None)
            # Where all is done the model is not even loaded.
            if first is None:
                return
            given = self._give(chain([first], images))
            del first
            results = self._service.iter_batch(
                given, progress=self._on_progress, cancel=self._cancel, **self._job.wishes
            )
            for result in results:
                self._settle(self._under_way.popleft(), result)
                del result  # its probabilities, before the next image needs room

    def summarise(self) -> None:
        for folder, journal in self._journals.items():
            if journal.records:
                own = [file for file, target in self._targets.items() if target.folder == folder]
                write_summaries(journal, own)

    def _look(self, file: Path) -> _Found:
        """Hash a file and, unless it is done, read it; in the reader's thread."""
        try:
            sha256 = hash_file(file)
        except OSError:
            sha256 = ""  # reading it will say why
        try:
            record = self._journal(file).record(file)
            if record is not None and self._is_done(file, sha256, record):
                return _Found(sha256, record)
            self._check_replaces_nothing(file)
            return _Found(sha256, self._read(file, **self._job.reading))
        except Exception as error:
            return _Found(sha256, error)

    def _is_done(self, file: Path, sha256: str, record: Record) -> bool:
        return (
            not self._job.again
            and (record.status, record.sha256, record.decided_by) == ("done", sha256, self._decided_by)
            and set(self._wanted) <= set(record.results)
            and all(self._targets[file].holds(result) for result in self._wanted)
        )

    def _check_replaces_nothing(self, file: Path) -> None:
        for result in self._kinds(file):
            path = self._targets[file].path(ENDINGS[result])
            if path.resolve() in self._inputs:
                raise ImageError(f"its result {path} would replace another input; choose another output folder.")

    def _images(self, looked: Iterator[Looked[_Found]]) -> Iterator[tuple[Path, str, Image]]:
        """Give the images that have to be segmented, each with file and hash, and settle the other files."""
        for file, outcome in ((one.file, one.outcome) for one in looked):
            if isinstance(outcome, Exception):
                self._fail(_Place(file, "", monotonic()), outcome)
            elif isinstance(outcome.image, Record):
                self._tell_of(file, "skipped", outcome.image)
            elif isinstance(outcome.image, Exception):
                self._fail(_Place(file, outcome.sha256, monotonic()), outcome.image)
            else:
                yield file, outcome.sha256, outcome.image
            del outcome  # no image is kept while the next one is waited for

    def _give(self, images: Iterator[tuple[Path, str, Image]]) -> Iterator[Image]:
        """Hand images to the service when it asks for them, which it does once the model is loaded."""
        for file, sha256, image in images:
            self._under_way.append(_Place(file, sha256, monotonic()))
            self._announce(Event(file, "running"))
            yield image
            del image

    def _on_progress(self, done: int, total: int) -> None:
        self._tiles = done
        if self._under_way and total > self._tiles_before:
            fraction = (done - self._tiles_before) / (total - self._tiles_before)
            self._announce(Event(self._under_way[0].file, "running", fraction=max(0.0, min(fraction, 1.0))))

    def _settle(self, place: _Place, result: Segmentation | Failure) -> None:
        self._tiles_before = self._tiles
        try:
            if isinstance(result, Failure):
                raise result.error
            self._keep(place, result)
        except Cancelled:
            self._announce(Event(place.file, "waiting"))
        except Exception as error:
            self._fail(place, error)

    def _keep(self, place: _Place, segmentation: Segmentation) -> None:
        kinds, message = self._kinds(place.file), " ".join(segmentation.warnings)
        save_results(segmentation, self._targets[place.file], kinds)
        record = self._write_down(place, "done", results=kinds, objects=segmentation.count, message=message)
        self._tell_of(place.file, "done", record)

    def _fail(self, place: _Place, error: Exception) -> None:
        message = one_line(error).removeprefix(f"{place.file}: ").removeprefix(f"{place.file.name}: ")
        earlier = self._journal(place.file).record(place.file)
        record = self._write_down(place, "failed", results=earlier.results if earlier else (), message=message)
        self._announce(Event(place.file, "failed", seconds=record.seconds, message=message, error=error))

    def _write_down(self, place: _Place, status: Literal["done", "failed"], **figures: Any) -> Record:
        now = monotonic()
        seconds, self._settled_at = now - max(place.began, self._settled_at), now
        journal = self._journal(place.file)
        record = Record(
            file=journal.key(place.file),
            sha256=place.sha256,
            status=status,
            stem=self._targets[place.file].stem,
            decided_by=self._decided_by,
            seconds=round(seconds, 3),
            **figures,
        )
        journal.add(record)
        return record

    def _tell_of(self, file: Path, status: Literal["done", "skipped"], record: Record) -> None:
        self._announce(
            Event(
                file,
                status,
                objects=record.objects,
                seconds=record.seconds,
                message=record.message,
                target=self._targets[file],
            )
        )

    def _announce(self, event: Event) -> None:
        self.tally.add(event)
        self._tell(event)

    def _kinds(self, file: Path) -> tuple[Result, ...]:
        """Return the kinds to write: those wanted, and those of an earlier run that would be out of date."""
        record, target = self._journal(file).record(file), self._targets[file]
        earlier = record.results if record else ()
        return with_always([*self._wanted, *(result for result in earlier if target.holds(result))])

    def _journal(self, file: Path) -> Journal:
        return self._journals[self._targets[file].folder]

"""The results of each file on disk: its files, its line in the journal, and whether both are there already."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from napari_unetseg.batch import summary_tables
from napari_unetseg.batch.events import Event
from napari_unetseg.batch.folder_journal import FolderJournal, Record
from napari_unetseg.batch.output_files import ENDINGS, ResultKind, output_folder, plan_targets, with_always
from napari_unetseg.batch.saving import check_savable, save_results
from napari_unetseg.errors import ImageError, one_line
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable
from napari_unetseg.service import Segmentation


@dataclass(frozen=True)
class FileInProgress:
    """A file that the network is working on, or that is being written.

    Attributes
    ----------
    sha256
        Of its content; empty if it could not be read.
    started
        When, by `time.monotonic`.
    """

    file: Path
    sha256: str
    started: float


class ResultStore:
    """Writes results; `save` and `record_failure` are called in one thread, the others in any.

    Parameters
    ----------
    files
        Images, in the order of work.
    output
        Folder of all results; None for one beside each image.
    wanted
        Kinds of results to keep besides those that are always kept.
    decided_by
        What decides the results; see `napari_unetseg.batch.fingerprint`.

    Raises
    ------
    UnetsegError
        If there is a journal that cannot be read.
    """

    def __init__(
        self,
        files: tuple[Path, ...],
        output: Path | None,
        wanted: tuple[ResultKind, ...],
        decided_by: Mapping[str, Any],
    ) -> None:
        self._wanted = with_always(wanted)
        self._decided_by = dict(decided_by)
        self._journals = {folder: FolderJournal(folder) for folder in {output_folder(file, output) for file in files}}
        kept = {path: target for journal in self._journals.values() for path, target in journal.targets().items()}
        self._targets = plan_targets(files, output, kept)
        self._inputs = {file.resolve() for file in files}
        self._settled_at = monotonic()

    def finished_event(self, file: Path, sha256: str) -> Event | None:
        """Return the event of a file that an earlier run finished in the same way; None if none did."""
        record = self._journal(file).record(file)
        if (
            record is not None
            and (record.status, record.sha256, record.decided_by) == ("done", sha256, self._decided_by)
            and set(self._wanted) <= set(record.results)
            and all(self._targets[file].holds(result) for result in self._wanted)
        ):
            return self._event(file, "skipped", record)
        return None

    def check_overwrites_no_input(self, file: Path) -> None:
        """Refuse a file whose results would take the place of another input.

        Raises
        ------
        ImageError
            The message names the result.
        """
        for result in self._kinds(file):
            path = self._targets[file].path(ENDINGS[result])
            if path.resolve() in self._inputs:
                raise ImageError(
                    Sentence("its result {path} would replace another input; choose another output folder.", path=path)
                )

    def check_savable(self, file: Path, image: Image) -> None:
        """Refuse an image of which not all results can be written, before the network runs in vain.

        Raises
        ------
        UnetsegError
            The message names the kind of result.
        """
        check_savable(image, self._kinds(file))

    def save(self, current: FileInProgress, segmentation: Segmentation) -> Event:
        """Write the results of a file, or record that they cannot be written, and return the event to report.

        Raises
        ------
        UnetsegError
            If the journal cannot be written.
        """
        kinds, message = self._kinds(current.file), " ".join(segmentation.warnings)
        try:
            save_results(segmentation, self._targets[current.file], kinds)
            objects = segmentation.count
        except Exception as error:
            return self.record_failure(current, error)
        record = self._record(current, "done", results=kinds, objects=objects, message=message)
        return self._event(current.file, "done", record)

    def record_failure(self, current: FileInProgress, error: Exception) -> Event:
        """Record that a file failed, and return the event to report.

        Raises
        ------
        UnetsegError
            If the journal cannot be written.
        """
        message = one_line(error)
        for named in (current.file, current.file.name):
            message = message.removeprefix(printable(f"{named}: "))
        earlier = self._journal(current.file).record(current.file)
        record = self._record(current, "failed", results=earlier.results if earlier else (), message=message)
        return Event(current.file, "failed", seconds=record.seconds, message=message, error=error)

    def write_summaries(self) -> None:
        """Write the summaries of all folders anew."""
        for folder, journal in self._journals.items():
            if journal.records:
                own = [file for file, target in self._targets.items() if target.folder == folder]
                summary_tables.write_summaries(journal, own)

    def _record(self, current: FileInProgress, status: Literal["done", "failed"], **figures: Any) -> Record:
        now = monotonic()
        seconds, self._settled_at = now - max(current.started, self._settled_at), now
        journal = self._journal(current.file)
        record = Record(
            file=journal.key(current.file),
            sha256=current.sha256,
            status=status,
            stem=self._targets[current.file].stem,
            decided_by=self._decided_by,
            seconds=round(seconds, 3),
            **figures,
        )
        journal.add(record)
        return record

    def _event(self, file: Path, status: Literal["done", "skipped"], record: Record) -> Event:
        return Event(
            file,
            status,
            objects=record.objects,
            seconds=record.seconds,
            message=record.message,
            target=self._targets[file],
        )

    def _kinds(self, file: Path) -> tuple[ResultKind, ...]:
        """Return the kinds to write: those wanted, and those of an earlier run that would be out of date."""
        record, target = self._journal(file).record(file), self._targets[file]
        earlier = record.results if record else ()
        return with_always([*self._wanted, *(result for result in earlier if target.holds(result))])

    def _journal(self, file: Path) -> FolderJournal:
        return self._journals[self._targets[file].folder]

"""The results of each file on disk: its files, its line in the journal, and whether both are there already."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, Self

from napari_unetseg.batch import summary_tables
from napari_unetseg.batch.conditions import keep_conditions
from napari_unetseg.batch.events import Event
from napari_unetseg.batch.folder_journal import FolderJournal, Record, WrittenFile
from napari_unetseg.batch.output_files import (
    FieldPlace,
    ResultKind,
    Target,
    output_folder,
    plan_targets,
    with_always,
)
from napari_unetseg.batch.places import absolute, address, is_zarr, short_name
from napari_unetseg.batch.result_check import FileState, check_result, set_aside_if_changed
from napari_unetseg.batch.saving import check_savable, save_block_results, save_results
from napari_unetseg.batch.zarr_results import ZarrLabels, check_replaceable, finish_blocks, job_folder
from napari_unetseg.errors import ImageError, UnetsegError, one_line
from napari_unetseg.image import Image
from napari_unetseg.io.atomic import sync
from napari_unetseg.io.claims import Claims, claim_path, is_claimed, sweep
from napari_unetseg.io.microscope.location import split_scene_path
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable
from napari_unetseg.service import Segmentation

if TYPE_CHECKING:
    from napari_unetseg.io.ome_zarr.labels import LabelPyramid
    from napari_unetseg.service.block_segmentation import BlockResult


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

    As a context manager it sweeps away what killed runs left in its folders, lets go at the end of the block what it
    claimed, and writes the summaries.

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
    places
        Of the fields of plates among the images.
    conditions
        Of wells, for the summaries.
    zarr
        How labels are written as OME-Zarr.
    targets
        Where results go, if these files are a part of a batch that another process leads: it sweeps, too, and writes
        the summaries.

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
        *,
        places: Mapping[Path, FieldPlace] | None = None,
        conditions: Mapping[str, str] | None = None,
        zarr: ZarrLabels,
        targets: Mapping[Path, Target] | None = None,
    ) -> None:
        self._wanted = with_always(wanted)
        self._decided_by = dict(decided_by)
        self._places = places or {}
        self._zarr = zarr
        self._conditions = conditions or {}
        self._is_part = targets is not None
        folders = {output_folder(file, output, self._places.get(file)) for file in files}
        self._journals = {folder: FolderJournal(folder) for folder in folders}
        kept = {path: target for journal in self._journals.values() for path, target in journal.targets().items()}
        planned = targets or plan_targets(files, output, kept, self._places)
        self._targets = {file: self._with_labels(file, planned[file]) for file in files}
        self._inputs = {absolute(file) for file in files}
        self._output = output
        self._claims = Claims()
        self._settled_at = monotonic()

    def __enter__(self) -> Self:
        for folder, journal in self._journals.items() if not self._is_part else ():
            sweep(folder)
            if self._conditions:
                keep_conditions(journal, self._conditions, self._places.values())
        return self

    def __exit__(self, *error: object) -> None:
        self._claims.__exit__(*error)
        if not self._is_part:
            self.write_summaries()

    @property
    def targets(self) -> Mapping[Path, Target]:
        """Where the results of each file go."""
        return self._targets

    def _with_labels(self, file: Path, target: Target) -> Target:
        return replace(target, labels=self._zarr.place(file))

    def claim(self, file: Path) -> bool:
        """Claim a file for this run; return whether it has it now, and no other process.

        Raises
        ------
        UnetsegError
            If the output folder cannot be used.
        """
        target, journal = self._targets[file], self._journal(file)
        if not self._claims.claim(_claim_path(target)):
            return False
        journal.refresh()
        if not journal.holds_another(file, target.stem):
            # A run with another folder of results may write into the same image.
            if target.labels is None or self._claims.claim(_claim_within(file, target.labels)):
                return True
            self._claims.release(_claim_path(target))
            return False
        # Another process, which was given other files, has meanwhile used this name for one of them.
        self._claims.release(_claim_path(target))
        others = {absolute(path): place for path, place in self._targets.items() if path != file}
        planned = plan_targets([file], self._output, others | dict(journal.targets()), self._places)
        self._targets[file] = self._with_labels(file, planned[file])
        return self.claim(file)

    def release(self, file: Path) -> None:
        """Let other processes have a file."""
        target = self._targets[file]
        if target.labels is not None:
            self._claims.release(_claim_within(file, target.labels))
        self._claims.release(_claim_path(target))

    def is_claimed(self, file: Path) -> bool:
        """Whether a process works on a file."""
        target = self._targets[file]
        return is_claimed(_claim_path(target)) or (
            target.labels is not None and is_claimed(_claim_within(file, target.labels))
        )

    def finished_event(self, file: Path, sha256: str, *, redo: bool = False) -> Event | None:
        """Return the event of a file that is finished in the same way; None if it is to be done.

        Parameters
        ----------
        redo
            Whether what was finished before this run began does not count.

        Raises
        ------
        UnetsegError
            If the journal cannot be read.
        """
        journal = self._journal(file)
        journal.refresh()
        record, in_this_run = journal.record(file), journal.was_added(file)
        if record is None or (redo and not in_this_run):
            return None
        if (record.sha256, record.decided_by) != (sha256, self._decided_by):
            return None
        if record.status == "failed":
            # Another process has just tried it; what failed before is tried again.
            return Event(file, "failed", seconds=record.seconds, message=record.message) if in_this_run else None
        target, wanted = self._targets[file], self._wanted_of(file)
        if not set(wanted) <= set(record.results) or journal.target(record).labels != _absolute(target.labels):
            return None
        states = {
            kind: check_result(target, kind, record.written.get(kind), journal.corrected(file, kind)) for kind in wanted
        }
        if FileState.DAMAGED in states.values():
            return None
        changed = [target.result(kind).name for kind, state in states.items() if state is FileState.CHANGED]
        decision = journal.decision(record)
        if decision is not None and decision.changes is not None:
            record = record.model_copy(update={"objects": decision.changes.after})
        return self._event(file, "skipped", record, changed)

    def check_overwrites_nothing(self, file: Path) -> None:
        """Refuse a file whose results would take the place of another input, or of labels that are not ours.

        Raises
        ------
        ImageError
            The message names the result.
        """
        for result in self.kinds(file):
            path = self._targets[file].result(result)
            if path.resolve() in self._inputs:
                raise ImageError(
                    Sentence("its result {path} would replace another input; choose another output folder.", path=path)
                )
        check_replaceable(self._targets[file], short_name(file))

    def check_savable(self, file: Path, image: Image, *, is_large: bool = False) -> None:
        """Refuse an image of which not all results can be written, before the network runs in vain.

        Raises
        ------
        UnetsegError
            The message names the kind of result.
        """
        kinds = self.kinds(file)
        check_savable(image, kinds, is_large=is_large)
        if ResultKind.OME_ZARR in kinds:
            self._zarr.check_fits(image, file, self._targets[file])

    def save(self, current: FileInProgress, segmentation: Segmentation) -> Event:
        """Write the results of a file, or record that they cannot be written, and return the event to report.

        Raises
        ------
        UnetsegError
            If the journal cannot be written.
        """
        kinds, target = self.kinds(current.file), self._targets[current.file]
        try:
            kept = self.set_aside(current.file, kinds)
            save_results(segmentation, target, kinds, lambda found: self._zarr.write(found, current.file, target))
            sync(target.folder)
            written = {kind: WrittenFile.of(target.result(kind)) for kind in kinds}
            objects = segmentation.count
        except Exception as error:
            return self.record_failure(current, error)
        message = " ".join([*segmentation.warnings, *kept])
        record = self._record(current, "done", results=kinds, written=written, objects=objects, message=message)
        return self._event(current.file, "done", record)

    def begin_blocks(self, file: Path, image: Image) -> tuple["LabelPyramid", list[Sentence]]:
        """Return where labels of an image go that are written block by block, and what was kept under another name.

        Raises
        ------
        UnetsegError
            If they cannot be written there.
        """
        kept = self.set_aside(file, self.kinds(file))
        target = self._targets[file]
        return self._zarr.open_begun(image, file, target), kept

    def finish_blocks(
        self, current: FileInProgress, result: "BlockResult", labels: "LabelPyramid", kept: Sequence[Sentence]
    ) -> Event:
        """Write what is missing of an image whose labels were written block by block; return the event to report.

        Raises
        ------
        UnetsegError
            If a file cannot be written; nothing is recorded then.
        """
        kinds, target = self.kinds(current.file), self._targets[current.file]
        save_block_results(result, target, kinds)
        finish_blocks(result, labels, target)
        sync(target.folder)
        written = {kind: WrittenFile.of(target.result(kind)) for kind in kinds}
        message = " ".join([*result.warnings, *kept])
        record = self._record(current, "done", results=kinds, written=written, objects=result.count, message=message)
        return self._event(current.file, "done", record)

    def drop_leftovers(self, file: Path) -> None:
        """Remove what a run that was killed at its very end kept of a file that is finished."""
        folder = job_folder(self._targets[file])
        if folder.is_dir():
            from napari_unetseg.service.block_segmentation import remove_job

            with suppress(UnetsegError):  # another run has begun to do it otherwise
                remove_job(folder)

    def set_aside(self, file: Path, kinds: tuple[ResultKind, ...]) -> list[Sentence]:
        """Keep files that somebody changed under another name; say so."""
        journal, target = self._journal(file), self._targets[file]
        record, kept = journal.record(file), []
        for kind in kinds:
            written = record.written.get(kind) if record else None
            if kind is ResultKind.OME_ZARR and record and journal.target(record).labels != _absolute(target.labels):
                written = None  # it went elsewhere
            aside = set_aside_if_changed(target, kind, written)
            if aside is not None:
                kept.append(
                    Sentence(
                        "{name} was changed since it was written; that file is now {aside}.",
                        name=target.result(kind).name,
                        aside=aside.name,
                    )
                )
        return kept

    def record_failure(self, current: FileInProgress, error: Exception) -> Event:
        """Record that a file failed, and return the event to report.

        Raises
        ------
        UnetsegError
            If the journal cannot be written.
        """
        message = one_line(error)
        for named in (address(current.file), short_name(current.file), split_scene_path(current.file)[0]):
            message = message.removeprefix(printable(f"{named}: "))
        earlier = self._journal(current.file).record(current.file)
        before: dict[str, Any] = earlier.model_dump(include={"results", "written", "labels"}) if earlier else {}
        record = self._record(current, "failed", **before, message=message)
        return Event(current.file, "failed", seconds=record.seconds, message=message, error=error)

    def write_summaries(self) -> None:
        """Write the summaries of all folders anew.

        What another process records meanwhile is in them, too: of several that end together the last one has all.
        """
        for folder, journal in self._journals.items():
            journal.refresh()
            own = [file for file, target in self._targets.items() if target.folder == folder]
            more = bool(journal.records)
            while more:
                summary_tables.write_summaries(journal, own)
                more = journal.refresh()

    def _record(self, current: FileInProgress, status: Literal["done", "failed"], **figures: Any) -> Record:
        now = monotonic()
        seconds, self._settled_at = now - max(current.started, self._settled_at), now
        journal, target, place = (
            self._journal(current.file),
            self._targets[current.file],
            self._places.get(current.file),
        )
        labels = None if target.labels is None or status == "failed" else journal.key(target.labels)
        of_plate = {"plate": journal.key(place.plate), "well": place.well, "field": place.field} if place else {}
        scene = printable(split_scene_path(current.file)[1])
        said: dict[str, Any] = {
            "file": journal.key(current.file),
            "scene": scene or None,
            "sha256": current.sha256,
            "stem": target.stem,
            "decided_by": self._decided_by,
            "seconds": round(seconds, 3),
            "labels": labels,
        }
        record = Record(status=status, **said | of_plate | figures)
        journal.add(record)
        self.release(current.file)
        return record

    def _event(
        self, file: Path, status: Literal["done", "skipped"], record: Record, changed: Collection[str] = ()
    ) -> Event:
        remark = (
            Sentence("Changed since it was written, and left as it is: {names}.", names=", ".join(changed))
            if changed
            else ""
        )
        return Event(
            file,
            status,
            objects=record.objects,
            seconds=record.seconds,
            message=" ".join(filter(None, (record.message, remark))),
            target=self._targets[file],
            changed=tuple(changed),
        )

    def kinds(self, file: Path) -> tuple[ResultKind, ...]:
        """Return the kinds to write: those wanted, and those of an earlier run that would be out of date."""
        record, target, wanted = self._journal(file).record(file), self._targets[file], self._wanted_of(file)
        earlier = record.results if record else ()
        return tuple(kind for kind in ResultKind if kind in wanted or (kind in earlier and target.holds(kind)))

    def _wanted_of(self, file: Path) -> tuple[ResultKind, ...]:
        """Return what is wanted of a file: labels in the kind that the image is of."""
        return with_always([*self._wanted, ResultKind.OME_ZARR]) if is_zarr(file) else self._wanted

    def _journal(self, file: Path) -> FolderJournal:
        return self._journals[self._targets[file].folder]


def _absolute(labels: Path | None) -> Path | None:
    return None if labels is None else absolute(labels)


def _claim_within(image: Path, labels: Path) -> Path:
    return claim_path(image, f"labels/{labels.name}")


def _claim_path(target: Target) -> Path:
    return claim_path(target.folder, target.stem)

"""The results of a folder under review: the most doubtful first, and what was decided about each."""

import getpass
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.batch.corrected_results import Correction, restore_results, write_correction
from napari_unetseg.batch.doubt import DoubtfulObject, ImageDoubt, Typical
from napari_unetseg.batch.folder_journal import (
    JOURNAL_FILE,
    Changes,
    Decision,
    FolderJournal,
    LeftOut,
    Record,
    Verdict,
    WrittenFile,
)
from napari_unetseg.batch.output_files import DEFAULT_FOLDER, ENDINGS, ResultKind, Target
from napari_unetseg.batch.result_doubt import ResultOnDisk, judge_result, look_at_file, look_at_result
from napari_unetseg.batch.review_report import REPORT_FILE, write_report
from napari_unetseg.batch.summary_tables import write_summaries
from napari_unetseg.batch.training_export import TrainingSet, export_items
from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.language import Sentence, error_sentence


def _no_progress(done: int, total: int) -> None:
    """Tell nobody."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class ReviewItem:
    """An image under review, with its result.

    Attributes
    ----------
    file
        The image.
    target
        Where its results lie.
    record
        What was made of it.
    labels
        What the label image held when it was looked at.
    doubt
        0 to 1: about the part of its objects that are wrong or missing, and more where the whole image is unusual.
    reasons
        Sentences, the weightiest first.
    objects
        Those that are worth a look, and places where one may be missing, the most doubtful first.
    count
        Objects that it has.
    decided
        What was decided about this very result; None if nothing was.
    voided
        What was decided about a result that has been replaced or changed since, and counts no more; None if nothing.
    """

    file: Path
    target: Target
    record: Record
    labels: WrittenFile
    doubt: float
    reasons: tuple[str, ...]
    objects: tuple[DoubtfulObject, ...]
    count: int
    decided: Decision | None = None
    voided: Decision | None = None

    @property
    def decision(self) -> Verdict | None:
        """What was decided, in a word; None if nothing was."""
        return None if self.decided is None else self.decided.decision

    @property
    def labels_path(self) -> Path:
        """The label image."""
        return self.target.path(ENDINGS[ResultKind.LABELS])


@dataclass(frozen=True)
class ReviewCounts:
    """How many images of a folder were decided about.

    Attributes
    ----------
    total
        All that are under review.
    accepted, fixed, rejected, waiting
        Those of each decision, and those without.
    voided
        Those among the waiting whose decision was about an earlier result.
    """

    total: int
    accepted: int
    fixed: int
    rejected: int
    waiting: int
    voided: int


class Review:
    """The results of a folder, and what was decided about them. `open_review` makes one.

    Each decision is on the disk before a method returns. Several people may review a folder at once: the last word
    about an image counts, and `refresh` tells what others decided. Any thread may call the methods, one at a time.

    Attributes
    ----------
    folder
        Of the results.
    items
        Images, the most doubtful first. They stay in this order.
    left_out
        Images that failed, or whose results cannot be read.
    """

    def __init__(self, journal: FolderJournal, items: Sequence[ReviewItem], left_out: Sequence[LeftOut]) -> None:
        self.folder = journal.folder
        self.items = tuple(items)
        self.left_out = tuple(left_out)
        self._journal = journal

    @property
    def counts(self) -> ReviewCounts:
        """How far the review has come."""
        by_decision = Counter(item.decision for item in self.items)
        return ReviewCounts(
            total=len(self.items),
            accepted=by_decision["accepted"],
            fixed=by_decision["fixed"],
            rejected=by_decision["rejected"],
            waiting=by_decision[None],
            voided=sum(item.voided is not None and item.decided is None for item in self.items),
        )

    def item(self, file: Path) -> ReviewItem:
        """Return what is known of an image now.

        Raises
        ------
        KeyError
            If it is not under review.
        """
        return self.items[self._place(file)]

    def decide(self, item: ReviewItem, decision: Verdict | None, *, changed: Changes | None = None) -> ReviewItem:
        """Write down what was decided about an image; None takes a decision back. Files stay as they are.

        Parameters
        ----------
        item
            The image, as it was shown.
        decision
            What was decided.
        changed
            What was changed by hand, if the label image was corrected in another program.

        Returns
        -------
        ReviewItem
            The image as it stands now, which is also in `items`.

        Raises
        ------
        UnetsegError
            If the result is no longer what `item` says, or the journal cannot be written.
        """
        labels = self._check_unchanged(item)
        if (earlier := self._journal.correction(item.record.file, labels)) is not None:
            return self._add(item, decision, labels, earlier.fixed, changed or earlier.changes)
        fixed = {ResultKind.LABELS: labels} if decision == "fixed" else {}
        return self._add(item, decision, labels, fixed, changed)

    def fix(self, item: ReviewItem, labels: NDArray[np.integer[Any]]) -> ReviewItem:
        """Replace an image's results by those of corrected labels, and write down that it was fixed.

        All kinds of results that the image has are written anew; what the batch had written is kept beside them, see
        `restore`. A later run of the batch leaves the corrected files as they are, or sets them aside before it
        writes others.

        Parameters
        ----------
        item
            The image, as it was shown.
        labels
            Corrected label image, of the shape of the one on the disk. Numbers stay as they are.

        Raises
        ------
        UnetsegError
            If the result is no longer what `item` says, another process works on it, or a file cannot be read or
            written.
        """
        self._check_unchanged(item)
        correction: Correction = write_correction(item.file, item.target, item.record, np.asarray(labels))
        return self._add(item, "fixed", correction.written[ResultKind.LABELS], correction.written, correction.changes)

    def restore(self, item: ReviewItem) -> ReviewItem:
        """Take a correction back: the results are again what the batch had written, and nothing is decided.

        Raises
        ------
        UnetsegError
            If the result is no longer what `item` says, or there is nothing to go back to.
        """
        self._check_unchanged(item)
        restore_results(item.target, item.record)
        before = item.count if item.record.objects is None else item.record.objects
        return self._add(replace(item, count=before), None, WrittenFile.of(item.labels_path), {}, None)

    def refresh(self) -> tuple[ReviewItem, ...]:
        """Read what others decided, or segmented again, since; return the images that stand otherwise than before.

        Doubts and their reasons stay those of the results that were there when the review was opened.

        Raises
        ------
        UnetsegError
            If the journal, or a label image that somebody corrected, cannot be read.
        """
        self._journal.refresh()
        changed = []
        for place, item in enumerate(self.items):
            decision = self._journal.decisions.get(item.record.file)
            record = self._journal.records[item.record.file]
            if record.status == "failed":
                record = item.record  # whose results are still there
            if record != item.record or decision != (item.decided or item.voided):
                # Who corrected it, took a correction back or segmented it again wrote the label image anew.
                count = item.count if record == item.record or record.objects is None else record.objects
                now = replace(item, record=record, labels=look_at_file(item.labels_path), count=count)
                now = _with_decision(now, decision)
                self._replace(place, now)
                changed.append(now)
        return tuple(changed)

    def report(
        self, path: Path | None = None, *, progress: Progress = _no_progress, cancel: CancelFlag = _never
    ) -> Path:
        """Write the review as an HTML file that needs nothing else, and the tables over all images anew.

        Parameters
        ----------
        path
            File to write; None: `REPORT_FILE` in the folder of the results.
        progress
            Called with the images that are in it and all of them.
        cancel
            Polled before each image.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UnetsegError
            If a file cannot be written.
        Cancelled
            If `cancel` returned True.
        """
        self.refresh()
        path = self.folder / REPORT_FILE if path is None else path
        write_report(self, path, progress=progress, cancel=cancel)
        self.write_summaries()
        return path

    def export(self, folder: Path, *, progress: Progress = _no_progress, cancel: CancelFlag = _never) -> TrainingSet:
        """Copy the images that are accepted or fixed, and their label images, into a folder to learn from.

        A further export into the same folder brings it up to date.

        Parameters
        ----------
        folder
            Made if needed; images lie in its folder ``images``, label images in ``masks``.
        progress
            Called with the images that are there and all of them.
        cancel
            Polled before each image.

        Raises
        ------
        UnetsegError
            If nothing is accepted or fixed, or the folder cannot be used.
        Cancelled
            If `cancel` returned True.
        """
        self.refresh()
        chosen = [item for item in self.items if item.decision in ("accepted", "fixed")]
        if not chosen:
            raise UnetsegError(
                Sentence("{folder}: no image is accepted or fixed yet. Review some first.", folder=self.folder)
            )
        return export_items(chosen, folder, progress=progress, cancel=cancel)

    def write_summaries(self) -> None:
        """Write the tables over all images anew, as decisions and corrections have changed them.

        Raises
        ------
        UnetsegError
            If one cannot be written.
        """
        self._journal.refresh()
        write_summaries(self._journal)

    def _check_unchanged(self, item: ReviewItem) -> WrittenFile:
        """Return what the label image holds, which is what the item was shown with."""
        labels = look_at_file(item.labels_path)
        if labels != item.labels:
            raise UnetsegError(
                Sentence(
                    "{path}: was changed meanwhile, so what you saw is not what is there now. Open the review again.",
                    path=item.labels_path,
                )
            )
        return labels

    def _add(
        self,
        item: ReviewItem,
        decision: Verdict | None,
        labels: WrittenFile,
        fixed: dict[ResultKind, WrittenFile],
        changes: Changes | None,
    ) -> ReviewItem:
        file = item.record.file
        made = Decision(file=file, decision=decision, labels=labels, fixed=fixed, changes=changes, by=_account())
        self._journal.add(made)
        now = _with_decision(replace(item, labels=labels), self._journal.decisions.get(file))
        self._replace(self._place(item.file), now)
        return now

    def _place(self, file: Path) -> int:
        for place, item in enumerate(self.items):
            if item.file == file:
                return place
        raise KeyError(file)

    def _replace(self, place: int, item: ReviewItem) -> None:
        self.items = (*self.items[:place], item, *self.items[place + 1 :])


def open_review(
    folder: Path,
    *,
    progress: Progress = _no_progress,
    cancel: CancelFlag = _never,
) -> Review:
    """Look through the results of a folder, and order its images by doubt. No network is needed.

    Parameters
    ----------
    folder
        Of results, or of images whose results lie in their folder `DEFAULT_FOLDER`.
    progress
        Called with the steps done and all of them, two for each image.
    cancel
        Polled before each of them.

    Raises
    ------
    UnetsegError
        If there are no results, or the journal cannot be read.
    Cancelled
        If `cancel` returned True.
    """
    journal = FolderJournal(_results_folder(folder))
    if not journal.records:
        raise UnetsegError(
            Sentence("{folder}: there are no results to review. Segment the folder first.", folder=folder)
        )
    seen: list[ResultOnDisk] = []
    left_out = []
    steps = 2 * len(journal.records)
    for done, record in enumerate(journal.records.values()):
        if cancel():
            raise Cancelled(Sentence("The review was not opened."))
        progress(done, steps)
        file, target = journal.image(record), journal.target(record)
        if record.status == "failed":
            left_out.append(LeftOut(file, record.message))
            continue
        if ResultKind.OME_ZARR in record.results and ResultKind.LABELS not in record.results:
            left_out.append(
                LeftOut(file, Sentence("Its labels are OME-Zarr, which is not reviewed; open it in napari."))
            )
            continue
        try:
            seen.append(look_at_result(file, target, record))
        except UnetsegError as error:
            left_out.append(LeftOut(file, error_sentence(error)))
    typical = Typical.of([one.table for one in seen])
    items = []
    for done, one in enumerate(seen):
        if cancel():
            raise Cancelled(Sentence("The review was not opened."))
        progress(steps // 2 + len(left_out) + done, steps)
        items.append(_as_item(one, judge_result(one, typical), journal.decisions.get(one.record.file)))
    progress(steps, steps)
    return Review(journal, sorted(items, key=lambda item: (-item.doubt, item.file)), left_out)


def _results_folder(folder: Path) -> Path:
    for place in (folder, folder / DEFAULT_FOLDER):
        if (place / JOURNAL_FILE).is_file():
            return place
    if not folder.is_dir():
        raise UnetsegError(Sentence("{folder}: there is no such folder. Choose one that holds results.", folder=folder))
    return folder


def _as_item(seen: ResultOnDisk, judged: ImageDoubt, decision: Decision | None) -> ReviewItem:
    reasons = judged.reasons
    if decision is None and seen.labels != seen.record.written.get(ResultKind.LABELS, seen.labels):
        reasons = (Sentence("Its label image was changed by hand since it was written."), *reasons)
    item = ReviewItem(
        file=seen.file,
        target=seen.target,
        record=seen.record,
        labels=seen.labels,
        doubt=judged.doubt,
        reasons=reasons,
        objects=judged.objects,
        count=len(seen.table),
    )
    return _with_decision(item, decision)


def _with_decision(item: ReviewItem, decision: Decision | None) -> ReviewItem:
    """Let a decision count if it is about this very label image."""
    if decision is None or decision.labels != item.labels:
        return replace(item, decided=None, voided=decision)
    count = item.count if decision.changes is None else decision.changes.after
    return replace(item, decided=decision, voided=None, count=count)


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        return ""

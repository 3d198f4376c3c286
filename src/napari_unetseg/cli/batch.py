"""Segment files and print a line for each."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

from tqdm import tqdm

from napari_unetseg.batch.events import FINISHED_STATUSES, BatchCounts, Event
from napari_unetseg.batch.output_files import output_folder
from napari_unetseg.batch.places import address, short_name
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.batch.summary_tables import OBJECTS
from napari_unetseg.cli.cluster_options import Hands
from napari_unetseg.service import Segmenter


class BatchPrinter:
    """A run over files, shown on the terminal: results on stdout, what went wrong and the bar on stderr.

    Parameters
    ----------
    service
        What segments.
    job
        What is to be done.
    hands
        Who does it.

    Attributes
    ----------
    counts
        How far it has come: those of `segment_files`, once it reports.
    """

    def __init__(self, service: Segmenter, job: BatchJob, hands: Hands | None = None) -> None:
        self._service, self._job, self._hands = service, job, hands or Hands()
        self._warned: Counter[str] = Counter()
        self.counts = BatchCounts(job.files)

    def run(self) -> None:
        """Segment every file; print a line for each.

        Raises
        ------
        UnetsegError
            If the model, the device, a parameter or the output folder cannot be used.
        """
        with self._bar() as bar:
            segment_files(
                self._service,
                self._job,
                report=partial(self._show, bar),
                executor=self._hands.executor,
                distributor=self._hands.distributor,
            )
        for text, count in self._warned.items():
            if count > 1:
                _print(f"warning for {count} images: {text}", sys.stderr)

    def summary(self) -> str:
        """Say what was done, in one line."""
        counts = self.counts
        done, skipped, failed = (counts.count(status) for status in ("done", "skipped", "failed"))
        parts = [f"{done} of {_count(counts.total, 'image')} segmented"]
        parts += [f"{skipped} done before"] if skipped else []
        parts += [f"{failed} failed"] if failed else []
        line = f"{', '.join(parts)}: {_count(counts.objects, 'object')} in {counts.seconds:.1f} s."
        return f"{line} Results in {self._folders()}; {OBJECTS} has all objects." if done or skipped else line

    def _folders(self) -> str:
        job = self._job
        folders = sorted({str(output_folder(file, job.output, job.places.get(file))) for file in job.files})
        return ", ".join(folders[:3]) + (f" and {len(folders) - 3} more" if len(folders) > 3 else "")

    @contextmanager
    def _bar(self) -> Iterator["tqdm[NoReturn]"]:
        layout = "{percentage:3.0f} %|{bar}| {postfix}"
        with tqdm(total=self.counts.total, bar_format=layout, disable=None, dynamic_ncols=True, leave=False) as bar:
            yield bar

    def _show(self, bar: "tqdm[NoReturn]", event: Event, counts: BatchCounts) -> None:
        self.counts = counts
        if event.status == "failed":
            _print(f"{address(event.file)}: failed: {event.message}", sys.stderr)
        elif event.status in FINISHED_STATUSES:
            _print(_line(event), sys.stdout)
        if event.status == "done":
            self._show_warning(address(event.file), event.message)
        left = counts.seconds_left
        bar.n = round(counts.progress, 2)
        place = self._job.places.get(event.file)
        name = short_name(event.file) if place is None else f"{place.well}/{place.field}"
        bar.set_postfix_str(name + ("" if left is None else f", {left:.0f} s left"))

    def _show_warning(self, path: str, text: str) -> None:
        """Print warnings with the first image they concern; further ones are counted."""
        if text:
            self._warned[text] += 1
            if self._warned[text] == 1:
                _print(f"{path}: warning: {text}", sys.stderr)


def _line(event: Event) -> str:
    found = _count(event.objects or 0, "object")
    if event.status == "skipped":
        changed = f" ({', '.join(event.changed)} changed since, left as it is)" if event.changed else ""
        return f"{address(event.file)}: done before, {found}{changed}"
    return f"{address(event.file)}: {found}, {event.seconds or 0:.1f} s"


def _print(line: str, file: object) -> None:
    tqdm.write(line, file=file)  # type: ignore[arg-type]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""Segment one file after another; a bad one never sinks the others."""

import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from napari_unetseg.cli.reporting import one_line
from napari_unetseg.cli.saving import save_results
from napari_unetseg.cli.targets import ENDINGS, Result, Target
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.service import Failure, Segmentation, SegmentationService


class Batch:
    """A run over many files: what is to be done, and how far it has come.

    Parameters
    ----------
    service
        What segments.
    targets
        Where the results of each image go, in the order of work.
    results
        Which results to write.
    settings
        Keyword arguments of `SegmentationService.segment`, the same for every image.

    Attributes
    ----------
    finished, failed, objects
        Counts of images whose results are written, images that failed, and objects found.
    """

    def __init__(
        self,
        service: SegmentationService,
        targets: Mapping[Path, Target],
        results: Collection[Result],
        settings: Mapping[str, Any],
    ) -> None:
        self._service = service
        self._targets = targets
        self._results = results
        self._settings = settings
        self._inputs = {path.resolve() for path in targets}
        self._warned: Counter[str] = Counter()
        self._started = time.monotonic()
        self.finished = 0
        self.failed = 0
        self.objects = 0

    def run(self) -> None:
        """Segment every image; print a line on stderr for each failure and each warning."""
        with tqdm(total=len(self._targets), unit="image", disable=None, dynamic_ncols=True) as bar:
            results = self._service.iter_batch(
                [partial(self._read, path) for path in self._targets],
                progress=partial(self._show, bar),
                **self._settings,
            )
            for path, result in zip(self._targets, results, strict=True):
                bar.set_postfix_str(path.name)
                try:
                    self._keep(path, result)
                except Exception as error:
                    self.failed += 1
                    _print(f"{path}: failed: {_without_path(error, path)}")
                bar.update()
        for text, count in self._warned.items():
            if count > 1:
                _print(f"warning for {count} images: {text}")

    def summary(self) -> str:
        """Say what was done, in one line."""
        failures = f", {self.failed} failed" if self.failed else ""
        line = (
            f"{self.finished} of {_count(len(self._targets), 'image')} segmented{failures}: "
            f"{_count(self.objects, 'object')} in {time.monotonic() - self._started:.1f} s."
        )
        return f"{line} Results in {self._folders()}." if self.finished else line

    def _folders(self) -> str:
        folders = sorted({str(target.folder) for target in self._targets.values()})
        return ", ".join(folders[:3]) + (f" and {len(folders) - 3} more" if len(folders) > 3 else "")

    def _show(self, bar: "tqdm[NoReturn]", done: int, total: int) -> None:
        """Show the tiles of a single image; those of many are shared by batches and say little."""
        if total > 1 and len(self._targets) == 1:
            bar.set_postfix_str(f"{next(iter(self._targets)).name}, tile {done} of {total}")

    def _read(self, path: Path) -> Image:
        target = self._targets[path]
        for result in self._results:
            if target.path(ENDINGS[result]).resolve() in self._inputs:
                raise ImageError(
                    f"{path}: its result {target.path(ENDINGS[result])} would replace another input; "
                    "choose another --output."
                )
        return read_image(path)

    def _keep(self, path: Path, result: Segmentation | Failure) -> None:
        if isinstance(result, Failure):
            raise result.error
        save_results(result, self._targets[path], self._results)
        self.finished += 1
        self.objects += result.count
        self._tell_warnings(path, result)

    def _tell_warnings(self, path: Path, segmentation: Segmentation) -> None:
        """Print a sentence with the first image it concerns; further ones are counted."""
        for text in segmentation.warnings:
            self._warned[text] += 1
            if self._warned[text] == 1:
                _print(f"{path}: warning: {text}")


def _print(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def _without_path(error: Exception, path: Path) -> str:
    """Leave out the file's name where the error begins with it, since the line does too."""
    return one_line(error).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""Write the results of one image."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io import write_confidence, write_overlay, write_rois, write_table
from napari_unetseg.language import Sentence
from napari_unetseg.service.result_files import (
    contour_positions,
    write_contour_file,
    write_label_file,
    write_ome_file,
)

if TYPE_CHECKING:
    from napari_unetseg.service import Segmentation


_OF_ONE_PLANE = (ResultKind.CONFIDENCE, ResultKind.OVERLAY)


def check_savable(image: Image, results: Collection[ResultKind]) -> None:
    """Refuse kinds of results that a stack does not have.

    Raises
    ------
    UnetsegError
        The message names the kind.
    """
    for result in _OF_ONE_PLANE:
        if image.stack_axes and result in results:
            raise UnetsegError(
                Sentence(
                    "{image}: {result} files are of one plane; leave {result} out for stacks.",
                    image=image.name,
                    result=result,
                )
            )


def save_results(segmentation: "Segmentation", target: Target, results: Collection[ResultKind]) -> list[Path]:
    """Write the wanted results of one image and return their files.

    The label image goes last, so that where it is the others are too.

    Raises
    ------
    UnetsegError
        If a file cannot be written, or a stack has no such result; then none is written.
    """
    check_savable(segmentation.image, results)
    writers: dict[ResultKind, Callable[[Path, Segmentation], None]] = {
        ResultKind.CONTOURS: write_contour_file,
        ResultKind.ROIS: _write_rois,
        ResultKind.OME_TIFF: write_ome_file,
        ResultKind.CONFIDENCE: _write_confidence,
        ResultKind.TABLE: _write_table,
        ResultKind.OVERLAY: _write_overlay,
        ResultKind.LABELS: write_label_file,
    }
    paths = []
    for result, write in writers.items():
        if result in results:
            path = target.path(ENDINGS[result])
            write(path, segmentation)
            paths.append(path)
    return paths


def _write_confidence(path: Path, segmentation: "Segmentation") -> None:
    image = segmentation.image
    write_confidence(path, segmentation.foreground, scale=image.scale, unit=image.unit)


def _write_rois(path: Path, segmentation: "Segmentation") -> None:
    write_rois(path, segmentation.contours, positions=contour_positions(segmentation))


def _write_table(path: Path, segmentation: "Segmentation") -> None:
    write_table(path, segmentation.measurements)


def _write_overlay(path: Path, segmentation: "Segmentation") -> None:
    write_overlay(path, segmentation.image, segmentation.labels)

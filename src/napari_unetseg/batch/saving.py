"""Write the results of one image."""

import shutil
from collections.abc import Callable, Collection
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.batch.output_files import OTHER_PROGRAMS, OUT_OF_CORE, ResultKind, Target
from napari_unetseg.batch.zarr_results import read_numbers, write_block_maps, write_maps
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io import write_confidence, write_overlay, write_rois, write_table
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.exchange.cellpose_seg import write_seg
from napari_unetseg.io.exchange.coco import write_coco
from napari_unetseg.io.exchange.label_files import image_name
from napari_unetseg.io.exchange.labelled_image import OBJECT, LabelledImage
from napari_unetseg.io.exchange.yolo import write_yolo
from napari_unetseg.language import Sentence
from napari_unetseg.service.result_files import (
    contour_positions,
    write_contour_file,
    write_label_file,
    write_ome_file,
)

if TYPE_CHECKING:
    from napari_unetseg.service import Segmentation
    from napari_unetseg.service.block_segmentation import BlockResult


_OF_ONE_PLANE = (ResultKind.CONFIDENCE, ResultKind.OVERLAY, *OTHER_PROGRAMS)
_LARGEST_PLANE = 4096**2
_LARGEST_STACK = 4 * _LARGEST_PLANE


def is_beyond_memory(image: Image) -> bool:
    """Whether an image whose labels go into OME-Zarr is done block by block: the labels are equal either way."""
    plane = prod(image.shape)
    return plane > _LARGEST_PLANE or plane * prod(image.stack_shape) > _LARGEST_STACK


def check_savable(image: Image, results: Collection[ResultKind], *, is_large: bool = False) -> None:
    """Refuse kinds of results that a stack, or an image that is done block by block, does not have.

    Raises
    ------
    UnetsegError
        The message names the kind.
    """
    for result in set(results) - set(OUT_OF_CORE) if is_large else ():
        raise UnetsegError(
            Sentence(
                "{image}: {result} files are not made of an image this large; leave {result} out.",
                image=image.name,
                result=result,
            )
        )
    for result in _OF_ONE_PLANE:
        if image.stack_axes and result in results:
            raise UnetsegError(
                Sentence(
                    "{image}: {result} files are of one plane; leave {result} out for stacks.",
                    image=image.name,
                    result=result,
                )
            )


def save_results(
    segmentation: "Segmentation",
    target: Target,
    results: Collection[ResultKind],
    write_zarr: "Callable[[Segmentation], None] | None" = None,
) -> list[Path]:
    """Write the wanted results of one image and return their files.

    The label image goes last, so that where it is the others are too.

    Parameters
    ----------
    segmentation
        What was found.
    target
        Where it goes.
    results
        Kinds of results.
    write_zarr
        Writes labels as OME-Zarr, if they are among these.

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
        ResultKind.PARQUET: _write_table,
        ResultKind.MAPS: write_maps,
        ResultKind.OVERLAY: _write_overlay,
        ResultKind.COCO: _write_coco,
        ResultKind.YOLO: _write_yolo,
        ResultKind.CELLPOSE: _write_cellpose,
        ResultKind.LABELS: write_label_file,
    }
    if write_zarr is not None:
        writers[ResultKind.OME_ZARR] = lambda _, segmentation: write_zarr(segmentation)
    paths = []
    for result, write in writers.items():
        if result in results:
            path = target.result(result)
            write(path, segmentation)
            paths.append(path)
    return paths


def save_block_results(result: "BlockResult", target: Target, results: Collection[ResultKind]) -> None:
    """Write what is wanted of an image that was done block by block, besides its labels.

    Raises
    ------
    UnetsegError
        If a file cannot be written.
    """
    table = target.result(ResultKind.TABLE)
    if result.table is not None:
        with whole_file(table) as temporary:
            shutil.copyfile(result.table, temporary)
    if ResultKind.PARQUET in results:
        write_table(target.result(ResultKind.PARQUET), read_numbers(table))
    if ResultKind.MAPS in results:
        write_block_maps(target.result(ResultKind.MAPS), result)


def _write_confidence(path: Path, segmentation: "Segmentation") -> None:
    image = segmentation.image
    write_confidence(path, segmentation.foreground, scale=image.scale, unit=image.unit)


def _write_rois(path: Path, segmentation: "Segmentation") -> None:
    write_rois(path, segmentation.contours, positions=contour_positions(segmentation))


def _write_table(path: Path, segmentation: "Segmentation") -> None:
    write_table(path, segmentation.measurements)


def _write_overlay(path: Path, segmentation: "Segmentation") -> None:
    write_overlay(path, segmentation.image, segmentation.labels)


def _write_coco(path: Path, segmentation: "Segmentation") -> None:
    table = segmentation.measurements
    labels = table["label"].tolist()
    sure = zip(labels, table["confidence"].tolist(), strict=True) if "confidence" in table else ()
    name = segmentation.image.name
    image = LabelledImage(
        # A scene of a microscope's file has no file of its own.
        name if "/" not in name else f"{image_name(path)}.tif",
        segmentation.labels,
        dict.fromkeys(labels, segmentation.provenance.model or OBJECT),
        {label: confidence for label, confidence in sure if isfinite(confidence)},
    )
    write_coco(path, [image])


def _write_yolo(path: Path, segmentation: "Segmentation") -> None:
    write_yolo(path, LabelledImage(segmentation.image.name, segmentation.labels), [OBJECT])


def _write_cellpose(path: Path, segmentation: "Segmentation") -> None:
    write_seg(path, segmentation.labels, segmentation.image.path or segmentation.image.name)

"""A segmentation as files of labels and contours, on the disk or in memory."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from napari_unetseg.io import Position, write_geojson, write_labels, write_ome_labels

if TYPE_CHECKING:
    from napari_unetseg.service.segmentation import Segmentation


def write_label_file(path: str | Path | BinaryIO, segmentation: "Segmentation") -> None:
    """Write the label image as TIFF: of one plane as `write_labels` does, of a stack as OME-TIFF.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    image = segmentation.image
    if image.stack_axes:
        write_ome_file(path, segmentation)
    else:
        provenance = segmentation.provenance.as_dict()
        write_labels(path, segmentation.labels, scale=image.scale, unit=image.unit, provenance=provenance)


def write_ome_file(path: str | Path | BinaryIO, segmentation: "Segmentation") -> None:
    """Write the label image as OME-TIFF.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    image, provenance = segmentation.image, segmentation.provenance.as_dict()
    axes = f"{image.stack_axes}YX"
    scale, units = image.steps_along(axes)
    write_ome_labels(path, segmentation.labels, axes=axes, scale=scale, units=units, provenance=provenance)


def write_contour_file(path: str | Path | BinaryIO, segmentation: "Segmentation") -> None:
    """Write the contours of all objects with their measurements as GeoJSON.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    image = segmentation.image
    write_geojson(
        path,
        segmentation.contours,
        positions=contour_positions(segmentation),
        measurements=segmentation.measurements,
        classification=segmentation.provenance.model,
        scale=image.scale,
        unit=image.unit,
    )


def contour_positions(segmentation: "Segmentation") -> list[Position]:
    """Name the plane of each contour."""
    axes = segmentation.image.stack_axes.lower()
    return [
        Position(**dict(zip(axes, index, strict=True)))
        for index, contours in segmentation.plane_contours.items()
        for _ in contours
    ]

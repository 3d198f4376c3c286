"""A table of measurements, one row an object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.postprocessing.confidence import mean_of_objects
from napari_unetseg.postprocessing.hulls import convex_areas
from napari_unetseg.postprocessing.object_groups import ObjectGroup, object_groups
from napari_unetseg.postprocessing.shape import Moments, Regions, ellipse_perimeters, perimeters
from napari_unetseg.postprocessing.side_by_side import side_by_side

Table = dict[str, NDArray[Any]]

UNIT_SUFFIXES = {
    "micrometer": "um",
    "micrometre": "um",
    "micron": "um",
    "microns": "um",
    "µm": "um",  # micro sign
    "μm": "um",  # Greek mu
    "nanometer": "nm",
    "nanometre": "nm",
    "millimeter": "mm",
    "millimetre": "mm",
    "centimeter": "cm",
    "centimetre": "cm",
    "meter": "m",
    "metre": "m",
}


def measure(
    labels: NDArray[np.integer],
    *,
    foreground: NDArray[np.floating] | None,
    agreement: NDArray[np.floating] | None = None,
    intensity: NDArray[Any],
    scale: tuple[float, float] | None,
    unit: str | None,
    origin: tuple[int, int] = (0, 0),
    confidence: NDArray[np.float32] | None = None,
) -> Table:
    """Measure every object.

    Definitions are those of scikit-image's ``regionprops``: the bounding box excludes its maximum;
    eccentricity is that of the ellipse with the same second moments; solidity is area over the
    number of pixels in the convex hull of the pixels' edge midpoints; the perimeter is
    Benkrid and Crookes' estimate over 4-connected border pixels.

    Parameters
    ----------
    labels
        (Y, X), 0 is background. Labels may have gaps and an object may have several parts.
    foreground
        (Y, X), foreground probability 0..1. None: without a column of confidence.
    agreement
        (Y, X), how far several answers of a network agree, 0..1. None: without a column of agreement.
    intensity
        (C, Y, X) of any bool, integer or float dtype. Pixels that are not finite are left out of
        the means; an object without a finite pixel has NaN.
    scale
        Size of a pixel along (Y, X) in `unit`, or None.
    unit
        Name of the physical unit, such as ``"micrometer"``, or None.
    origin
        Row and column of the first pixel in the image that this is a part of; positions count from that image's.
    confidence
        (N,), in the order of rising label: the column of confidence, where it is known without `foreground`.

    Returns
    -------
    Table
        Columns of equal length in the order of rising label: ``label``, ``area_px``,
        ``centroid_y_px``, ``centroid_x_px``, ``bbox_min_y_px``, ``bbox_min_x_px``,
        ``bbox_max_y_px``, ``bbox_max_x_px``, ``equivalent_diameter_px``, ``eccentricity``,
        ``solidity``, ``perimeter_px``, ``mean_intensity`` (``mean_intensity_<c>`` for several
        channels), ``confidence``, ``agreement``. Where scale and unit are both known also ``area_<u>2``,
        ``centroid_y_<u>``, ``centroid_x_<u>``, ``equivalent_diameter_<u>``, ``perimeter_<u>``,
        with ``um`` for micrometer and so on. Centroids count from the centre of pixel (0, 0).
        On pixels that are not square, the perimeter in pixels is stretched as the perimeter of
        the ellipse with the same second moments is; eccentricity and solidity stay those of the
        pixel grid.
    """
    suffix = unit_suffix(scale, unit)
    tables, physical = zip(
        *side_by_side(lambda group: _measure_group(group, intensity, scale, suffix, origin), object_groups(labels)),
        strict=True,
    )
    order = np.argsort(np.concatenate([table["label"] for table in tables]))
    # Averaged over the whole image as the decoder does it, which acts on exactly these numbers.
    means = {"confidence": foreground, "agreement": agreement}
    return (
        _joined(tables, order)
        | ({} if confidence is None else {"confidence": confidence})
        | {name: mean_of_objects(labels, plane)[1] for name, plane in means.items() if plane is not None}
        | _joined(physical, order)
    )


def unit_suffix(scale: tuple[float, float] | None, unit: str | None) -> str | None:
    """Return what columns in physical units end in; None: there are none."""
    return None if scale is None or unit is None else UNIT_SUFFIXES.get(unit, unit)


def _measure_group(
    group: ObjectGroup,
    intensity: NDArray[Any],
    scale: tuple[float, float] | None,
    suffix: str | None,
    origin: tuple[int, int],
) -> tuple[Table, Table]:
    """Return the columns in pixels, and those in physical units, of the objects of a group."""
    regions = Regions.of(group.labels)
    top, left = (int(first) + start for first, start in zip(group.origin, origin, strict=True))
    moments, area, perimeter = Moments.of(regions, (top, left)), regions.area, perimeters(regions)
    channels = group.crop(intensity)
    return object_columns(
        ObjectFigures(
            label=regions.labels,
            area=area,
            moments=moments,
            box=regions.bounding_boxes + np.array([top, left, top, left]),
            hull=convex_areas(regions),
            perimeter=perimeter,
            intensity=[_finite_means(regions, channel) for channel in channels],
        ),
        scale,
        suffix,
    )


@dataclass(frozen=True)
class ObjectFigures:
    """What is known of some objects, in pixels.

    Attributes
    ----------
    label, area, hull
        (N,), the area and that of the convex hull.
    moments
        In the image.
    box
        (N, 4): first row, first column, last row + 1, last column + 1.
    perimeter
        float64 (N,).
    intensity
        float64 (N,) for each channel, the mean.
    """

    label: NDArray[np.intp]
    area: NDArray[np.intp]
    moments: Moments
    box: NDArray[np.intp]
    hull: NDArray[np.intp]
    perimeter: NDArray[np.float64]
    intensity: Sequence[NDArray[np.float64]]


def object_columns(
    figures: ObjectFigures, scale: tuple[float, float] | None, suffix: str | None
) -> tuple[Table, Table]:
    """Return the columns in pixels, and those in physical units; see `measure`."""
    area, moments, box = figures.area, figures.moments, figures.box
    table: Table = {
        "label": figures.label,
        "area_px": area,
        "centroid_y_px": moments.y,
        "centroid_x_px": moments.x,
        "bbox_min_y_px": box[:, 0],
        "bbox_min_x_px": box[:, 1],
        "bbox_max_y_px": box[:, 2],
        "bbox_max_x_px": box[:, 3],
        "equivalent_diameter_px": np.sqrt(4 * area / np.pi),
        "eccentricity": moments.eccentricity,
        "solidity": area / figures.hull,
        "perimeter_px": figures.perimeter,
    }
    channels = figures.intensity
    names = ["mean_intensity"] if len(channels) == 1 else [f"mean_intensity_{c}" for c in range(len(channels))]
    table |= dict(zip(names, channels, strict=True))
    physical = {} if scale is None or suffix is None else _physical(moments, area, figures.perimeter, scale, suffix)
    return table, physical


def _joined(tables: Sequence[Table], order: NDArray[np.intp]) -> Table:
    """Put tables with the same columns below each other, and their rows in order."""
    return {name: np.concatenate([table[name] for table in tables])[order] for name in tables[0]}


def _physical(
    moments: Moments, area: NDArray[np.intp], perimeter: NDArray[np.float64], scale: tuple[float, float], unit: str
) -> Table:
    """Return the columns in physical units."""
    physical_area = area * (scale[0] * scale[1])
    stretch = ellipse_perimeters(moments.scaled(scale)) / ellipse_perimeters(moments)
    return {
        f"area_{unit}2": physical_area,
        f"centroid_y_{unit}": moments.y * scale[0],
        f"centroid_x_{unit}": moments.x * scale[1],
        f"equivalent_diameter_{unit}": np.sqrt(4 * physical_area / np.pi),
        f"perimeter_{unit}": perimeter * stretch,
    }


def _finite_means(regions: Regions, channel: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of the finite pixels of each region; NaN where there is none."""
    values, owner, counts = channel.ravel()[regions.pixels].astype(np.float64), regions.owner, regions.area
    finite = np.isfinite(values)
    if not finite.all():
        values, owner = values[finite], owner[finite]
        counts = np.bincount(owner, minlength=len(counts))
    sums = np.bincount(owner, weights=values, minlength=len(counts))
    means: NDArray[np.float64] = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return means

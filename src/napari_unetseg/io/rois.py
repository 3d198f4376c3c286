"""Contours as ImageJ ROIs, which its ROI Manager opens."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiwrite

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.contour_file import (
    ContourFile,
    Position,
    counts_of_kinds,
    ellipse,
    join_rings,
    number_unlabelled,
    whole_number,
    with_positions,
    without_closing_vertex,
)
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import Contour, Ring, signed_area

MAX_BYTES = 2**30

_LABEL = re.compile(r"^label: *(\S+) *$", re.MULTILINE)
_MOVE, _LINE, _CLOSE = 0, 1, 4  # of a path, as java.awt.geom.PathIterator numbers them
_OUTLINED = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
_BOXED = (ROI_TYPE.RECT, ROI_TYPE.OVAL)


def write_rois(path: str | Path, contours: Sequence[Contour], *, positions: Sequence[Position] | None = None) -> None:
    """Write a zip archive of one ROI a contour, in pixels as (x, y) with sub-pixel resolution.

    ImageJ puts (0, 0) at the top left corner of the first pixel, contours put it at that pixel's centre, so
    half a pixel is added. A contour without holes is a polygon, one with holes a composite, which ImageJ
    fills except for its holes. ROIs are named after their label, ``0001``; further pieces of the same object
    ``0001-2`` and so on. The label is a property of the ROI too, so it survives renaming.

    Parameters
    ----------
    path
        File to write, ending in ``.zip``; one that exists is replaced.
    contours
        Outlines in pixel coordinates (y, x). None give an empty archive.
    positions
        Plane of each contour; None where the image is a single plane. With a single axis the position is
        that of the image in the stack, with several it is the position in the hyperstack, counted from 1
        as ImageJ does.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    digits = len(str(max((contour.label for contour in contours), default=0)))
    seen: Counter[int] = Counter()
    rois = []
    for contour, position in zip(contours, positions or [Position()] * len(contours), strict=True):
        seen[contour.label] += 1
        piece = f"-{seen[contour.label]}" if seen[contour.label] > 1 else ""
        roi = _composite(contour) if contour.holes else _polygon(contour.exterior)
        roi.name = f"{contour.label:0{max(digits, 4)}d}{piece}"
        roi.props = f"label: {contour.label}\n"
        _place(roi, position)
        rois.append(roi)
    with whole_file(Path(path)) as temporary:
        roiwrite(temporary, rois, mode="w")


def read_rois(path: str | Path) -> ContourFile:
    """Read the areas of a zip archive of ROIs, or of a single ``.roi`` file.

    Ovals become polygons of 64 vertices; curves fitted to vertices (spline) are read as their vertices. ROIs
    that this package did not write are numbered, after the highest label there is. Lines, points, texts and
    the like are counted in `ContourFile.left_out`. The position within a plain stack is read as z.

    Raises
    ------
    UnetsegError
        If the file cannot be read.
    """
    path = Path(path)
    try:
        rois = [ImagejRoi.frombytes(content) for content in _contents(path)]
        areas = [_areas(roi) for roi in rois]
    except Exception as error:  # damaged ROIs make roifile raise many kinds
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read as ImageJ ROIs ({reason}). Save them again, with More > Save... in "
                "ImageJ's ROI Manager.",
                path=path,
                reason=error,
            )
        ) from error
    labels = number_unlabelled([_label(roi) if rings else 0 for roi, rings in zip(rois, areas, strict=True)])
    contours, positions = with_positions(
        (_position(roi), _parts(label, rings)) for roi, label, rings in zip(rois, labels, areas, strict=True)
    )
    others = Counter(_kind(roi) for roi, rings in zip(rois, areas, strict=True) if not rings)
    return ContourFile(contours, positions, left_out=counts_of_kinds(others))


def holds_rois(path: str | Path) -> bool:
    """Tell whether a file is an archive with ROIs in it; an archive of anything else is not."""
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(_is_roi(name) for name in archive.namelist())


def _is_roi(name: str) -> bool:
    # Archives made on macOS hold a shadow of each file.
    return (
        name.lower().endswith(".roi")
        and not name.startswith("__MACOSX")
        and not PurePosixPath(name).name.startswith("._")
    )


def _contents(path: Path) -> list[bytes]:
    if path.suffix.lower() != ".zip":
        return [path.read_bytes()]
    with ZipFile(path) as archive:
        # Not by name: several may have the same one, and a name is looked up as the last of them.
        entries = [entry for entry in archive.infolist() if _is_roi(entry.filename)]
        if sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES // 2**20} MB once unpacked")
        return [archive.read(entry) for entry in entries]


def _corners(ring: Ring) -> NDArray[np.float32]:
    """Turn (y, x) about pixel centres into (x, y) from the corner of the first pixel."""
    corners: NDArray[np.float32] = (ring[:, ::-1] + 0.5).astype(np.float32)
    return corners


def _polygon(ring: Ring) -> ImagejRoi:
    roi = ImagejRoi.frompoints(_corners(ring), name="")
    roi.roitype = ROI_TYPE.POLYGON
    return roi


def _composite(contour: Contour) -> ImagejRoi:
    box = _corners(contour.exterior)
    left, top = np.floor(box.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(box.max(axis=0)).astype(int).tolist()
    path = [_path(ring) for ring in (contour.exterior, *contour.holes)]
    steps = np.concatenate(path)
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        shape_roi_size=len(steps),
        multi_coordinates=steps,
    )


def _path(ring: Ring) -> NDArray[np.float32]:
    steps = np.column_stack([np.full(len(ring), _LINE, np.float32), _corners(ring)])
    steps[0, 0] = _MOVE
    return np.append(steps.ravel(), np.float32(_CLOSE))


def _place(roi: ImagejRoi, position: Position) -> None:
    indices = {axis: index for axis, index in vars(position).items() if index is not None}
    if len(indices) == 1:
        roi.position = next(iter(indices.values())) + 1
    for axis, index in indices.items() if len(indices) > 1 else ():
        setattr(roi, f"{axis}_position", index + 1)


def _position(roi: ImagejRoi) -> Position:
    z, t, c = (index - 1 if index > 0 else None for index in (roi.z_position, roi.t_position, roi.c_position))
    if (z, t, c) == (None, None, None) and roi.position > 0:
        return Position(z=roi.position - 1)
    return Position(z, t, c)


def _label(roi: ImagejRoi) -> int | None:
    found = _LABEL.search(roi.props)
    return whole_number(found[1]) if found else None


def _kind(roi: ImagejRoi) -> str:
    names = {ROI_SUBTYPE.TEXT: "text", ROI_SUBTYPE.IMAGE: "image", ROI_SUBTYPE.ARROW: "arrow"}
    return names.get(roi.subtype, "empty area" if roi.roitype in _OUTLINED else roi.roitype.name.lower())


def _areas(roi: ImagejRoi) -> list[Ring]:
    """Return the rings of an area, (y, x) about pixel centres; none of a ROI that is no area."""
    if roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE, ROI_SUBTYPE.ARROW):
        return []
    if roi.composite or roi.roitype in _OUTLINED:
        corners = roi.coordinates(multi=True)
    elif roi.roitype in _BOXED:
        box = _box(roi)
        corners = [ellipse(box) if roi.roitype == ROI_TYPE.OVAL else box]
    else:
        return []
    rings = [without_closing_vertex(np.asarray(ring)[:, ::-1] - 0.5) for ring in corners]
    return [ring for ring in rings if ring is not None]


def _box(roi: ImagejRoi) -> NDArray[np.float64]:
    if roi.subpixelrect:
        left, top, right, bottom = roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    else:
        left, top, right, bottom = roi.left, roi.top, roi.right, roi.bottom
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def _parts(label: int, rings: list[Ring]) -> list[Contour]:
    """Tell exteriors from holes, which turn the other way; the largest ring cannot be a hole."""
    areas = [signed_area(ring) for ring in rings]
    sign = max(areas, key=abs, default=0.0)
    exteriors = [ring for ring, area in zip(rings, areas, strict=True) if area * sign > 0]
    holes = [ring for ring, area in zip(rings, areas, strict=True) if area * sign < 0]
    return join_rings(label, exteriors, holes)

"""Label files of any format, ours or another program's: which one it is, reading it, and writing it as another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.contour_file import ContourFile
from napari_unetseg.io.exchange import cellpose_seg, coco, yolo
from napari_unetseg.io.exchange.labelled_image import OBJECT, LabelledImage, covered, paint
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES, TIFF_SUFFIXES
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import trace_contours
from napari_unetseg.printable import printable

FindImage = Callable[[str], Path | None]
"""Finds the image that a label file is of, by its name with or without suffix."""


class LabelFormat(StrEnum):
    """Formats that label files are read from and written as."""

    TIFF = "tiff"
    COCO = "coco"
    YOLO = "yolo"
    CELLPOSE = "cellpose"
    QUPATH = "geojson"
    ROIS = "rois"


COCO_FILE = "annotations.json"
"""Name of the one file of COCO in a folder."""

_OURS = {
    LabelFormat.TIFF: ("_labels.tif", "_labels.ome.tif"),
    LabelFormat.COCO: ("_coco.json",),
    LabelFormat.CELLPOSE: (cellpose_seg.ENDING,),
    LabelFormat.QUPATH: ("_contours.geojson",),
    LabelFormat.ROIS: ("_rois.zip",),
}
"""What the names of our results end in after the name of their image."""

_LARGEST_LABEL = np.iinfo(np.uint32).max
_PICTURES = (".png", ".npy")
_NOT_LABELS = (yolo.CLASSES_FILE, "train.txt", "val.txt", "test.txt")


def format_of(path: Path) -> LabelFormat | None:
    """Return the format of a label file by its name, and of JSON and archives by how they begin; None: none of them."""
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.endswith(cellpose_seg.ENDING):
        return LabelFormat.CELLPOSE
    if suffix in TIFF_SUFFIXES or suffix in _PICTURES:
        return LabelFormat.TIFF
    if suffix == ".geojson":
        return LabelFormat.QUPATH
    if suffix == ".json":
        return LabelFormat.COCO if coco.is_coco(path) else LabelFormat.QUPATH
    if suffix == ".txt":
        return LabelFormat.YOLO if name not in _NOT_LABELS else None
    if suffix in (".zip", ".roi"):
        return LabelFormat.ROIS
    return None


def read_labels(path: str | Path, find_image: FindImage = lambda name: None) -> Iterator[LabelledImage]:
    """Read the objects of each image that a label file is of; only COCO's may be of several.

    Parameters
    ----------
    path
        A label file.
    find_image
        Of YOLO, GeoJSON and ROIs, which do not say how large their image is, it finds this. Without an image, areas of
        the last two get one that just holds them.

    Raises
    ------
    UnetsegError
        If the file is of no known format, cannot be read, or is YOLO's and there is no image.
    """
    path = Path(path)
    kind = format_of(path)
    if kind is None:
        raise UnetsegError(
            Sentence(
                "{path}: is no label file. Those that are read end in .tif, .png, .npy, .json, .geojson, .txt (YOLO), "
                ".zip or .roi.",
                path=path,
            )
        )
    if kind is LabelFormat.COCO:
        yield from coco.read_coco(path)
    elif kind is LabelFormat.CELLPOSE:
        yield cellpose_seg.read_seg(path)
    elif kind is LabelFormat.YOLO:
        yield _of_yolo(path, find_image)
    elif kind is LabelFormat.TIFF:
        yield _of_label_image(path, find_image)
    else:
        yield _of_contours(path, kind, find_image)


def write_labels_as(kind: LabelFormat, images: Iterable[LabelledImage], folder: str | Path) -> list[Path]:
    """Write the objects of images in one format, with names that our own results would have.

    COCO is one file of them all, ``annotations.json``; YOLO is a folder ``labels`` with two files that name its
    classes; all others are a file for each image.

    Parameters
    ----------
    kind
        The format.
    images
        Any number of them; those of YOLO are held in memory until the last one, since all classes have to be known.
    folder
        Where files go; made if needed.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UnetsegError
        If a file cannot be written, or two images have the same name.
    """
    folder = Path(folder)
    if kind is LabelFormat.COCO:
        coco.write_coco(folder / COCO_FILE, _with_own_names(images))
        return [folder / COCO_FILE]
    if kind is LabelFormat.YOLO:
        return _write_yolo(folder, list(_with_own_names(images)))
    written = []
    for image in _with_own_names(images):
        path = folder / f"{Path(image.name).stem}{_OURS[kind][0]}"
        _write_one(kind, image, path)
        written.append(path)
    return written


def with_class(image: LabelledImage, name: str) -> LabelledImage:
    """Return the same objects, those of which nothing is known called by a name."""
    found = np.unique(image.labels).tolist()
    given = {label: image.classes.get(label, OBJECT) for label in found if label}
    return replace(image, classes={label: name if own == OBJECT else own for label, own in given.items()})


def image_name(path: Path) -> str:
    """Return what the image of a label file is called, as far as that tells: ``a`` of ``a_labels.tif``."""
    for endings in _OURS.values():
        for ending in endings:
            if path.name.lower().endswith(ending):
                return path.name[: -len(ending)]
    return path.stem.removesuffix(".ome")


def _with_own_names(images: Iterable[LabelledImage]) -> Iterator[LabelledImage]:
    seen: set[str] = set()
    for image in images:
        stem = Path(image.name).stem.casefold()
        if stem in seen:
            raise UnetsegError(
                Sentence(
                    "{image}: two images are called so. Convert them into two folders, or rename one.", image=image.name
                )
            )
        seen.add(stem)
        yield image


def _of_label_image(path: Path, find_image: FindImage) -> LabelledImage:
    from napari_unetseg.io.label_record import read_record
    from napari_unetseg.io.read import read_label_image

    found = read_label_image(path)
    array = _whole(np.asarray(found.array))
    if array.ndim != 2 or array.dtype.kind not in "biu":
        raise UnetsegError(
            Sentence(
                "{path}: is no label image of one plane ({axes}, {dtype}). Each object needs a whole number of its "
                "own.",
                path=path,
                axes=found.axes,
                dtype=array.dtype,
            )
        )
    if array.size and array.min() < 0:
        raise UnetsegError(
            Sentence("{path}: has negative numbers, which no object can have. Set them to 0 or above.", path=path)
        )
    if array.size and array.max() > _LARGEST_LABEL:
        raise UnetsegError(
            Sentence(
                "{path}: has numbers above {largest}, which no label image can hold. Count the objects anew from 1.",
                path=path,
                largest=_LARGEST_LABEL,
            )
        )
    name = image_name(path)
    image = find_image(name)
    record = read_record(path) if path.suffix.lower() in TIFF_SUFFIXES else {}
    recorded = str(record.get("image") or "/")
    # A scene of a microscope's file, whose name has a slash, is called as its results are.
    known = image.name if image else f"{name}.tif" if "/" in recorded else recorded
    model = {label: str(record["model"]) for label in np.unique(array).tolist()} if record.get("model") else {}
    return LabelledImage(known, array.astype(np.uint8) if array.dtype.kind == "b" else array, model)


def _whole(array: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers that are stored as fractions as what they are, and others as they are."""
    if array.dtype.kind != "f" or not array.size or not (np.abs(array) <= _LARGEST_LABEL).all():
        return array
    whole = array.astype(np.int64)
    return whole if np.array_equal(whole, array) else array


def _of_yolo(path: Path, find_image: FindImage) -> LabelledImage:
    image = find_image(path.stem) or _image_beside(path)
    if image is None:
        raise UnetsegError(
            Sentence(
                "{path}: YOLO does not say how large its image is, and the image is not there. Name the folder of "
                "images.",
                path=path,
            )
        )
    return yolo.read_yolo(path, _size_of(image), image.name)


def _image_beside(path: Path) -> Path | None:
    """Find the image of a label file of YOLO where its conventions put it: in ``images`` in place of ``labels``."""
    parts = list(path.parent.parts)
    if yolo.LABELS_FOLDER in parts:
        last = len(parts) - 1 - parts[::-1].index(yolo.LABELS_FOLDER)
        parts[last] = yolo.IMAGES_FOLDER
    return image_called(path.stem, Path(*parts))


def image_called(name: str, folder: Path) -> Path | None:
    """Return the image of a folder of this name, with or without suffix; other files are passed over."""
    found = [*folder.glob(escape(name)), *sorted(folder.glob(f"{escape(name)}.*"))]
    return next((path for path in found if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES), None)


def _size_of(image: Path) -> tuple[int, int]:
    from napari_unetseg.io.read import read_image

    height, width = read_image(image).shape
    return height, width


def _of_contours(path: Path, kind: LabelFormat, find_image: FindImage) -> LabelledImage:
    from napari_unetseg.io.geojson import read_geojson
    from napari_unetseg.io.geojson_features import NUCLEUS
    from napari_unetseg.io.rois import read_rois

    found = read_geojson(path) if kind is LabelFormat.QUPATH else read_rois(path)
    if len(set(found.positions)) > 1:
        raise UnetsegError(
            Sentence(
                "{path}: has objects of several planes, and only those of one plane are converted. Export each plane "
                "as a file of its own.",
                path=path,
            )
        )
    name = image_name(path)
    image = find_image(name)
    shape = _extent(found) if image is None else _size_of(image)
    objects = [(contour.label, covered(contour, shape)) for contour in found.contours]
    called = f"{name}.tif" if image is None else image.name
    labels, remarks = paint(shape, objects, called)
    if found.left_out:
        areas = Sentence("{path}: {others} are no areas and left out.", path=path, others=", ".join(found.left_out))
        remarks = (*remarks, areas)
    if image is None:
        unknown = Sentence(
            "{path}: does not say how large its image is; the label image is as large as its objects need. Name the "
            "folder of images.",
            path=path,
        )
        remarks = (*remarks, unknown)
    if nuclei := sum(NUCLEUS in (own.rest or "") for own in found.properties):
        inner = Sentence(
            "{path}: the outlines of {count} nuclei are left out: each cell is one object.", path=path, count=nuclei
        )
        remarks = (*remarks, inner)
    known = zip(found.contours, found.properties, strict=True) if found.properties else ()
    classes = {contour.label: own.classification for contour, own in known if own.classification}
    return LabelledImage(called, labels, classes, remarks=remarks)


def _extent(found: ContourFile) -> tuple[int, int]:
    corners = [contour.exterior.max(axis=0) + 0.5 for contour in found.contours]
    height, width = np.ceil(np.max(corners, axis=0)).astype(int) if corners else (1, 1)
    return max(int(height), 1), max(int(width), 1)


def _write_one(kind: LabelFormat, image: LabelledImage, path: Path) -> None:
    from napari_unetseg.io.geojson import write_geojson
    from napari_unetseg.io.object_properties import ObjectProperties
    from napari_unetseg.io.rois import write_rois
    from napari_unetseg.io.tiff import write_labels

    if kind is LabelFormat.TIFF:
        write_labels(path, image.labels)
    elif kind is LabelFormat.CELLPOSE:
        cellpose_seg.write_seg(path, image.labels, image.name)
    elif kind is LabelFormat.ROIS:
        write_rois(path, trace_contours(image.labels))
    else:
        contours = trace_contours(image.labels)
        known = [ObjectProperties(classification=image.class_of(contour.label)) for contour in contours]
        write_geojson(path, contours, properties=known)


def _write_yolo(folder: Path, images: Sequence[LabelledImage]) -> list[Path]:
    found = (image.class_of(label) for image in images for label in np.unique(image.labels).tolist() if label)
    classes = list(dict.fromkeys(found)) or [OBJECT]
    written = []
    for image in images:
        path = folder / yolo.LABELS_FOLDER / f"{printable(Path(image.name).stem)}.txt"
        yolo.write_yolo(path, image, classes)
        written.append(path)
    yolo.write_yolo_classes(folder, classes)
    return [*written, folder / yolo.DATA_FILE, folder / yolo.CLASSES_FILE]

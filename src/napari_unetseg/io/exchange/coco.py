"""COCO: one JSON file that says of any number of images where their objects are."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.contour_file import whole_number, without_closing_vertex
from napari_unetseg.io.exchange.labelled_image import (
    OBJECT,
    LabelledImage,
    Pixels,
    covered,
    inside,
    labels_or_numbers,
    paint,
)
from napari_unetseg.io.exchange.run_lengths import decode, encode
from napari_unetseg.io.json_text import json_text
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import Contour, signed_area, trace_contours
from napari_unetseg.printable import printable

MAX_BYTES = 2**31
MAX_PIXELS = 2**31
"""Of an image: a file that asks for more is wrong rather than large."""

_START = 2**16


def write_coco(path: str | Path, images: Iterable[LabelledImage]) -> None:
    """Write the objects of images as COCO.

    An object without holes is a list of polygons along its pixels' edges, one for each of its pieces, in pixels as
    (x, y) from the corner of the first pixel. One with holes, which polygons cannot say, is written as run lengths
    down the columns. Boxes, areas and classes are as COCO has them, ``iscrowd`` is 0 throughout, and each object
    keeps its number as ``label``. What pycocotools decodes equals the label image pixel by pixel.

    Parameters
    ----------
    path
        File to write; one that exists is replaced.
    images
        Any number of them; classes are numbered in the order in which they come.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    with _written(path) as document:
        for image in images:
            height, width = image.labels.shape
            number = document.add_image({"file_name": printable(image.name), "height": height, "width": width})
            for annotation in _annotations(image):
                document.add_annotation(number, annotation, image.class_of(annotation["label"]))


def merge_coco(path: str | Path, files: Iterable[Path]) -> None:
    """Write what several COCO files say as one; images and objects are numbered anew, classes go by their names.

    Only one of the files is in memory at a time.

    Raises
    ------
    UnetsegError
        If a file cannot be read or written.
    """
    with _written(path) as merged:
        for file in files:
            document = _load(file)
            names = _category_names(document)
            numbers = {image["id"]: merged.add_image(image) for image in document["images"]}
            for annotation in document["annotations"]:
                name = names.get(annotation.get("category_id"), OBJECT)
                image = annotation.get("image_id")
                if image not in numbers:
                    raise _not_coco(file, ValueError(f"no image has the id {image}"))
                merged.add_annotation(numbers[image], annotation, name)


def read_coco(path: str | Path) -> Iterator[LabelledImage]:
    """Read the objects of each image of a COCO file: polygons and run lengths, compressed or not.

    Objects keep the number that `write_coco` wrote, else they are numbered in the order of the file. What marks a
    crowd (``iscrowd`` 1) is no object and is left out; a remark counts it, and objects without an outline.

    Raises
    ------
    UnetsegError
        If the file cannot be read, is no COCO, or says something that cannot be.
    """
    path = Path(path)
    document = _load(path)
    names = _category_names(document)
    of_image: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in document["annotations"]:
        of_image.setdefault(annotation.get("image_id"), []).append(annotation)
    for image in document["images"]:
        try:
            found = _labelled(image, of_image.get(image["id"], []), names)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise _not_coco(path, error) from error
        yield found


def is_coco(path: str | Path) -> bool:
    """Whether a JSON file begins as COCO files do: it says early on that it lists images, objects or classes."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(_START)
    except OSError:
        return False
    keys = (b'"images"', b'"annotations"', b'"categories"')
    return start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(key in start for key in keys)


class _Document:
    """A document that is written annotation by annotation, since there can be millions."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._images: list[dict[str, Any]] = []
        self._categories: dict[str, int] = {}
        self._count = 0
        file.write('{"info":{"description":"napari-unetseg"},"licenses":[],"annotations":[')

    def add_image(self, image: Mapping[str, Any]) -> int:
        """Add an image and return its number."""
        number = len(self._images) + 1
        self._images.append({**image, "id": number})
        return number

    def add_annotation(self, image: int, annotation: Mapping[str, Any], name: str) -> None:
        """Add an object of an image, and what it is."""
        category = self._categories.setdefault(name, len(self._categories) + 1)
        self._file.write(",\n" if self._count else "\n")
        self._count += 1
        numbers = {"id": self._count, "image_id": image, "category_id": category}
        self._file.write(json_text({**annotation, **numbers}))

    def end(self) -> None:
        """Write images and classes."""
        names = self._categories or {OBJECT: 1}
        classes = [{"id": number, "name": printable(name), "supercategory": OBJECT} for name, number in names.items()]
        self._file.write(f'],\n"images":{json_text(self._images)},\n"categories":{json_text(classes)}}}\n')


@contextmanager
def _written(path: str | Path) -> Iterator[_Document]:
    with whole_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        document = _Document(file)
        yield document
        document.end()


def _annotations(image: LabelledImage) -> Iterator[dict[str, Any]]:
    pieces: dict[int, list[Contour]] = {}
    for contour in trace_contours(image.labels):
        pieces.setdefault(int(contour.label), []).append(contour)
    shape = (image.labels.shape[0], image.labels.shape[1])
    for label, contours in pieces.items():
        corners = np.concatenate([contour.exterior for contour in contours]) + 0.5
        (top, left), (bottom, right) = corners.min(axis=0), corners.max(axis=0)
        segmentation: Any
        if any(contour.holes for contour in contours):
            pixels = np.concatenate([covered(contour, shape) for contour in contours])
            segmentation = {"size": list(shape), "counts": encode(pixels, shape)}
        else:
            segmentation = [(contour.exterior[:, ::-1] + 0.5).ravel().tolist() for contour in contours]
        score = {"score": round(image.scores[label], 6)} if label in image.scores else {}
        yield {
            "segmentation": segmentation,
            "area": round(sum(contour.area for contour in contours)),
            "bbox": [float(left), float(top), float(right - left), float(bottom - top)],
            "iscrowd": 0,
            "label": label,
            **score,
        }


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES // 2**20} MB")
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in _LISTS):
            raise ValueError("it has no lists of images and annotations")
        if not all(isinstance(one, dict) for key in _LISTS for one in document[key]):
            raise ValueError("an image or annotation is no mapping")
        if any(isinstance(one.get(key), dict | list) for one in document["annotations"] for key in _REFERENCES):
            raise ValueError("an annotation names its image or class by something that is no id")
        identifiers = [one.get("id") for one in document["images"]]
        if len(set(identifiers)) < len(identifiers):
            raise ValueError("two images have the same id")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _not_coco(path, error) from error
    return document


_LISTS = ("images", "annotations")
_REFERENCES = ("image_id", "category_id")


def _category_names(document: Mapping[str, Any]) -> dict[Any, str]:
    listed = document.get("categories")
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {one.get("id"): str(one.get("name") or OBJECT) for one in known if isinstance(one.get("id"), int | str)}


def _labelled(
    image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], names: Mapping[Any, str]
) -> LabelledImage:
    name = Path(str(image["file_name"]).replace("\\", "/")).name
    height, width = int(image["height"]), int(image["width"])
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"{name} is {height} x {width} pixels large")
    shape = (height, width)
    single = [one for one in annotations if not one.get("iscrowd")]
    outlined = [one for one in single if one.get("segmentation")]
    pixels = [_pixels(one["segmentation"], shape) for one in outlined]
    numbers = labels_or_numbers([whole_number(one.get("label")) for one in outlined])
    labels, remarks = paint(shape, list(zip(numbers, pixels, strict=True)), name)
    scores = {
        number: float(one["score"])
        for number, one in zip(numbers, outlined, strict=True)
        if isinstance(one.get("score"), int | float)
    }
    classes = {number: names.get(one.get("category_id"), OBJECT) for number, one in zip(numbers, outlined, strict=True)}
    said = [*remarks, *_left_out(name, len(annotations) - len(single), len(single) - len(outlined))]
    return LabelledImage(name, labels, classes, scores, tuple(said))


def _left_out(name: str, crowds: int, empty: int) -> Iterator[Sentence]:
    if crowds:
        yield Sentence("{image}: {count} areas that mark a crowd are left out.", image=name, count=crowds)
    if empty:
        yield Sentence("{image}: {count} objects that have no outline are left out.", image=name, count=empty)


def _pixels(segmentation: Any, shape: tuple[int, int]) -> Pixels:
    if isinstance(segmentation, dict):
        if tuple(segmentation["size"]) != shape:
            raise ValueError("run lengths are of another size than their image")
        return decode(segmentation["counts"], shape)
    rings = []
    for polygon in segmentation:
        points = np.asarray(polygon, np.float64)
        if points.ndim != 1 or len(points) % 2 or not np.isfinite(points).all():
            raise ValueError("a polygon is no list of x, y, x, y...")
        ring = without_closing_vertex(points.reshape(-1, 2)[:, ::-1] - 0.5)
        if ring is not None and signed_area(ring):
            rings.append(ring)
    return inside(rings, shape)


def _not_coco(path: Path, error: Exception) -> UnetsegError:
    return UnetsegError(
        Sentence(
            "{path}: cannot be read as COCO ({reason}). Export the annotations again, as COCO with polygons or masks.",
            path=path,
            reason=error,
        )
    )

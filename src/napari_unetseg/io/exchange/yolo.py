"""YOLO's outlines: a text file an image, a line an object, coordinates as parts of the image's width and height."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.contour_file import without_closing_vertex
from napari_unetseg.io.exchange.labelled_image import OBJECT, LabelledImage, Pixels, inside, paint
from napari_unetseg.io.exchange.one_ring import one_ring
from napari_unetseg.io.json_text import json_text
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.contours import Contour, trace_contours
from napari_unetseg.printable import printable

DATA_FILE = "data.yaml"
"""Which names the classes, and the folder of images."""

CLASSES_FILE = "classes.txt"
"""Which names the classes, one a line, as programs for annotating know them."""

LABELS_FOLDER = "labels"
IMAGES_FOLDER = "images"

_BOX_NUMBERS = 4


def write_yolo(path: str | Path, image: LabelledImage, classes: Sequence[str]) -> None:
    """Write the objects of an image as outlines, in the order of their numbers.

    YOLO knows neither holes nor pieces: these are joined to one ring by `one_ring`. Numbers of objects are not kept,
    but that the first line is the first of them.

    Parameters
    ----------
    path
        File to write, named as the image but ending in ``.txt``; one that exists is replaced.
    image
        Its objects.
    classes
        All of the data set; a line begins with the place of the object's class among them.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    pieces: dict[int, list[Contour]] = {}
    for contour in trace_contours(image.labels):
        pieces.setdefault(int(contour.label), []).append(contour)
    size = np.array(image.labels.shape)[::-1]
    lines = []
    for label, contours in pieces.items():
        places = (one_ring(contours)[:, ::-1] + 0.5) / size
        lines.append(" ".join([str(classes.index(image.class_of(label))), *(f"{at:.8g}" for at in places.ravel())]))
    with whole_file(Path(path)) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_yolo_classes(folder: str | Path, classes: Sequence[str]) -> None:
    """Write what a data set of YOLO says of itself: ``data.yaml`` and ``classes.txt``.

    Parameters
    ----------
    folder
        Of the data set: label files are in its folder ``labels``, images belong in ``images`` beside that.
    classes
        Their names.

    Raises
    ------
    UnetsegError
        If a file cannot be written.
    """
    names = "".join(f"  {number}: {json_text(printable(name))}\n" for number, name in enumerate(classes))
    data = f"train: {IMAGES_FOLDER}\nval: {IMAGES_FOLDER}\nnames:\n{names}"
    listed = "".join(f"{' '.join(printable(name).split())}\n" for name in classes)
    for name, text in ((DATA_FILE, data), (CLASSES_FILE, listed)):
        with whole_file(Path(folder) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def read_yolo(path: str | Path, shape: tuple[int, int], name: str | None = None) -> LabelledImage:
    """Read the outlines of an image, numbered from 1 in their order; a line of a box alone is a rectangle.

    Classes are called as ``data.yaml`` or ``classes.txt`` says that lies in the folder, or above the folder ``labels``.

    Parameters
    ----------
    path
        A label file.
    shape
        Of its image, (Y, X).
    name
        Of its image; None: that of the label file.

    Raises
    ------
    UnetsegError
        If the file cannot be read as YOLO's.
    """
    path = Path(path)
    objects: list[tuple[int, Pixels]] = []
    classes: dict[int, str] = {}
    try:
        names = _class_names(path.parent)
        for line in path.read_text(encoding="utf-8-sig").splitlines():
            if words := line.split():
                number = len(objects) + 1
                objects.append((number, _pixels(words[1:], shape)))
                at = int(float(words[0]))
                classes[number] = names.get(at) or (f"class {at}" if names or at else OBJECT)
    except (OSError, ValueError, OverflowError) as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read as outlines of YOLO ({reason}). Each line is a class and the corners of an "
                "object, as parts of the image's width and height.",
                path=path,
                reason=error,
            )
        ) from error
    labels, remarks = paint(shape, objects, name or path.name)
    return LabelledImage(name or path.name, labels, classes, remarks=remarks)


def _pixels(words: Sequence[str], shape: tuple[int, int]) -> Pixels:
    numbers = np.array([float(word) for word in words])
    if not np.isfinite(numbers).all() or (np.abs(numbers) > 2).any():
        raise ValueError("a coordinate is not between 0 and 1")
    if len(numbers) == _BOX_NUMBERS:
        (x, y), (width, height) = numbers[:2], numbers[2:] / 2
        numbers = np.array([x - width, y - height, x + width, y - height, x + width, y + height, x - width, y + height])
    if len(numbers) % 2 or len(numbers) < 2 * 3:
        raise ValueError("a line has no outline of three corners")
    corners = numbers.reshape(-1, 2)[:, ::-1] * shape
    # Corners of pixels, which are written with eight digits, lie exactly there.
    near = np.rint(corners)
    corners = np.where(np.abs(corners - near) < 1e-3, near, corners)
    ring = without_closing_vertex(corners - 0.5)
    return np.zeros(0, np.int64) if ring is None else inside([ring], shape)


def _class_names(folder: Path) -> dict[int, str]:
    places = [folder, *(above for above in (folder.parent, folder.parent.parent) if LABELS_FOLDER in folder.parts)]
    for place in places:
        if (place / DATA_FILE).is_file():
            return _names_in_data(place / DATA_FILE)
        if (place / CLASSES_FILE).is_file():
            lines = (place / CLASSES_FILE).read_text(encoding="utf-8-sig", errors="replace").splitlines()
            return {number: line.strip() for number, line in enumerate(lines)}
    return {}


def _names_in_data(path: Path) -> dict[int, str]:
    import yaml

    try:
        document = yaml.safe_load(path.read_bytes())
        names = document["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UnetsegError(
            Sentence(
                "{path}: names no classes ({reason}). Write a line 'names:' with a line for each class below it.",
                path=path,
                reason=error,
            )
        ) from error

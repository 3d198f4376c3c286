"""Open a microscope's file with the library that reads it, and read a scene of it as an `Image`."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from napari_unetseg.errors import ImageError, MissingPackage
from napari_unetseg.image import Image
from napari_unetseg.io.axis_order import in_image_order, named_letters
from napari_unetseg.io.levels import Level, level_number
from napari_unetseg.io.microscope.location import find_scene, scene_path, scene_words, split_scene_path
from napari_unetseg.io.microscope.scene import MicroscopeFile, Scene
from napari_unetseg.io.readable import check_file, unreadable_says
from napari_unetseg.io.suffixes import (
    BIOIO_SUFFIXES,
    CZI_SUFFIXES,
    DICOM_SUFFIXES,
    LEICA_SUFFIXES,
    MRC_SUFFIXES,
    ND2_SUFFIXES,
    OLYMPUS_SUFFIXES,
)
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable


@dataclass(frozen=True)
class _Reader:
    """What opens a kind of file.

    Attributes
    ----------
    kind
        What the files are called.
    module, function
        Of this room; the function takes a path.
    library
        Which one of both imports.
    install
        What `pip install` takes, so that the library is there.
    """

    kind: str
    module: str
    function: str
    library: str
    install: str


_READERS: dict[str, _Reader] = {
    **dict.fromkeys(CZI_SUFFIXES, _Reader("CZI", "czi", "open_czi", "pylibCZIrw", '"napari-unetseg[czi]"')),
    **dict.fromkeys(ND2_SUFFIXES, _Reader("ND2", "nd2_files", "open_nd2", "nd2", '"napari-unetseg[nd2]"')),
    **dict.fromkeys(LEICA_SUFFIXES, _Reader("Leica", "lif", "open_lif", "liffile", '"napari-unetseg[lif]"')),
    **dict.fromkeys(
        OLYMPUS_SUFFIXES, _Reader("OIF and OIB", "olympus", "open_olympus", "oiffile", '"napari-unetseg[olympus]"')
    ),
    **dict.fromkeys(MRC_SUFFIXES, _Reader("MRC", "mrc", "open_mrc", "mrcfile", '"napari-unetseg[mrc]"')),
    **dict.fromkeys(DICOM_SUFFIXES, _Reader("DICOM", "dicom", "open_dicom", "pydicom", '"napari-unetseg[dicom]"')),
    **{
        suffix: _Reader(suffix[1:].upper(), "bioio_files", "open_with_bioio", "bioio", '"napari-unetseg[bioformats]"')
        for suffix in BIOIO_SUFFIXES
    },
}


def open_microscope(path: str | Path) -> MicroscopeFile:
    """Open a microscope's file, by the library for its suffix; no pixel is read.

    Parameters
    ----------
    path
        The file itself.

    Raises
    ------
    MissingPackage
        If the library is not installed; the message says what to install.
    ImageError
        If the file is missing, empty or damaged, or if it is none of a microscope.
    """
    path = Path(path)
    check_file(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ImageError(Sentence("{path}: is no file of a microscope that is known by its suffix.", path=path))
    with unreadable_says(path):
        try:
            module = import_module(f"napari_unetseg.io.microscope.{reader.module}")
            return cast(MicroscopeFile, getattr(module, reader.function)(path))
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != reader.library:
                raise
            raise MissingPackage(
                Sentence(
                    "{path}: {kind} files need one more package. Install it: {command}.",
                    path=path,
                    kind=reader.kind,
                    command=f"pip install {reader.install}",
                )
            ) from error


def read_scene(path: str | Path, axes: str | None = None, level: int | str = 0) -> Image:
    """Read a scene as an `Image`, as `read_image` reads other files: no pixel before it is needed.

    Parameters
    ----------
    path
        The file, or a path that leads to a scene in it; see `split_scene_path`.
    axes, level
        As `read_image` takes them.

    Raises
    ------
    ImageError
        As `open_microscope` and `scene_image` do, or if several scenes could be meant.
    """
    file_path, word = split_scene_path(path)
    with open_microscope(file_path) as file:
        return scene_image(file, find_scene(file.scene_names, word, file_path), file_path, axes, level)


def scene_image(
    file: MicroscopeFile, number: int, path: str | Path, axes: str | None = None, level: int | str = 0
) -> Image:
    """Return a scene of an open file as an `Image`; its pixels keep the file open as long as they are in use.

    Axes of length one are left out. What is stated of axes is right; where another number of letters is named, or
    others, they replace what is stated. The image is called after the file, and after its scene where there are others.

    Parameters
    ----------
    file
        Open.
    number
        Place of the scene among `MicroscopeFile.scene_names`.
    path
        Of the file.
    axes, level
        As `read_image` takes them.

    Raises
    ------
    ImageError
        If the file is damaged or has no pixels along an axis, if there is no such level, if other axes are named, or if
        its pixels are no numbers.
    """
    path = Path(path)
    words = scene_words(file.scene_names)
    place = scene_path(path, words[number]) if len(words) > 1 else path
    label = f"{path.name}/{words[number]}" if len(words) > 1 else path.name
    with unreadable_says(place):
        scene = file.scene(number)
    if not all(length > 0 for length in scene.array.shape):
        raise ImageError(
            Sentence(
                "{path}: holds no pixels, as it is {shape}. Copy or export it again.",
                path=place,
                shape=" x ".join(map(str, scene.array.shape)),
            )
        )
    pyramid = _pyramid(scene)
    chosen = level_number(level, pyramid, str(place))
    array, scale, unit = scene.levels[chosen], pyramid[chosen].scale, pyramid[chosen].unit
    letters = named_letters(scene.axes, scene.array.shape, axes, label)
    kept = [at for at, letter in enumerate(letters) if scene.array.shape[at] > 1 or letter in "YX"]
    array = array[tuple(slice(None) if at in kept else 0 for at in range(len(letters)))]
    array, found = in_image_order(array, "".join(letters[at] for at in kept))
    return Image(
        cast("NDArray[Any]", array),
        found,
        scene.rgb and "C" in found,
        scale,
        unit,
        name=printable(label),
        path=str(place.absolute()),
        steps={axis: step for axis, step in scene.steps.items() if axis in found},
        remarks=scene.remarks,
        channels=scene.channels,
    )


def _pyramid(scene: Scene) -> list[Level]:
    rows, columns = (scene.axes.index(axis) for axis in "YX")
    height, width = (scene.array.shape[at] for at in (rows, columns))
    found = []
    for array in scene.levels:
        factor = height / array.shape[rows], width / array.shape[columns]
        scale = None if scene.scale is None else (scene.scale[0] * factor[0], scene.scale[1] * factor[1])
        found.append(Level((array.shape[rows], array.shape[columns]), scale, scene.unit))
    return found

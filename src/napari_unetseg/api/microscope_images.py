"""Microscopes' files of requests. Their libraries read from a disk, so each lies in a folder of its own meanwhile.

Such a file is read if the library for its kind is installed, which whoever runs a server decides by that. What a scene
declares is compared with the limits before a pixel is read, and all its pixels are in memory when the file is removed.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from napari_unetseg.errors import ImageError, MissingPackage
from napari_unetseg.image import Image
from napari_unetseg.io.microscope.location import find_scene, scene_words
from napari_unetseg.language import Sentence

_MOST_NAMED = 12


def decode_microscope(
    data: bytes,
    suffix: str,
    check_size: Callable[[int], None],
    *,
    name: str,
    axes: str | None = None,
    scene: str | int | None = None,
) -> Image:
    """Read a scene of a microscope's file from memory.

    Parameters
    ----------
    data
        Content of the file.
    suffix
        Of its kind, such as ``".czi"``.
    check_size
        Called with the number of values of the scene before any is read; raises an `ImageError` if they are too many.
    name
        What the sender calls it.
    axes
        As `napari_unetseg.io.read_image` takes them.
    scene
        Name or number of the scene; None: the only one.

    Raises
    ------
    MissingPackage
        If the library for this kind of file is not installed.
    ImageError
        If it cannot be read, or holds no such scene. The message is a sentence without paths.
    """
    # What opens files takes a while to load.
    from napari_unetseg.io.microscope.opening import open_microscope, scene_image
    from napari_unetseg.io.readable import unreadable_says

    with TemporaryDirectory(prefix="napari-unetseg-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, f"image{suffix}")
        path.write_bytes(data)

        def named(said: Any) -> Any:
            return _named(said, path, name)

        try:
            with unreadable_says(path), open_microscope(path) as file:
                number = _scene_number(file.scene_names, scene, name)
                image = scene_image(file, number, path, axes)
                check_size(int(image.array.size))
                image = replace(image, array=np.array(image.array))  # of its own, even where a file is mapped
        except MissingPackage as error:
            raise MissingPackage(
                Sentence(
                    "{image}: is a {kind} file, and the package that reads those is not installed here. Send the image "
                    "as TIFF, or ask whoever runs this server for {extra}.",
                    image=name,
                    kind=suffix[1:].upper(),
                    extra="napari-unetseg[formats]",
                )
            ) from error
        except ImageError as error:
            raise ImageError(named(error.args[0])) from error
        return replace(image, remarks=tuple(map(named, image.remarks)))


def _scene_number(names: tuple[str, ...], scene: str | int | None, name: str) -> int:
    if scene is None and len(names) > 1:
        words = scene_words(names)
        shown = ", ".join(f"{number}: {word}" for number, word in enumerate(words[:_MOST_NAMED]))
        raise ImageError(
            Sentence(
                "{image}: holds {n} scenes; say which one is meant in the field {field}, by its name or its number. "
                "There are {scenes}.",
                image=name,
                n=len(names),
                field="scene",
                scenes=shown if len(words) <= _MOST_NAMED else f"{shown}, …",
            )
        )
    return find_scene(names, "" if scene is None else str(scene), name)


def _named(said: Any, path: Path, name: str) -> Any:
    """Call a file by its sender's name in what is said of it, however deep it is named."""
    if isinstance(said, Sentence):
        return said.with_places(**{key: _named(value, path, name) for key, value in said.places.items()})
    if isinstance(said, str | Path):
        return str(said).replace(str(path), name).replace(str(path.parent), "").replace(path.name, name)
    return said

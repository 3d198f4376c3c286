"""What the readers of microscopes' files share: scenes by their number, and files that end too early."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.scene import Scene
from napari_unetseg.language import Sentence


class KeptScenes:
    """A `MicroscopeFile` whose library was asked once for all that can be told without a pixel.

    Parameters
    ----------
    names
        Of the scenes, as the file has them; of equal ones all but the first get a number.
    read
        Gives a scene by its place and its name. What is open is held by it and by the arrays of the scenes.
    """

    def __init__(self, names: Sequence[str], read: Callable[[int, str], Scene]) -> None:
        self._names = _each_once(names)
        self._read: Callable[[int, str], Scene] | None = read

    @property
    def scene_names(self) -> tuple[str, ...]:
        """Names of the scenes, each once."""
        return self._names

    def scene(self, number: int) -> Scene:
        """Return a scene by its place among `scene_names`."""
        if self._read is None:
            raise ValueError("the file was closed")
        return self._read(number, self._names[number])

    def close(self) -> None:
        """Let go of the file: it is closed as soon as no array of it is in use any more."""
        self._read = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def refuse_cut_file(path: Path, needed: int) -> None:
    """Refuse a file that ends before its pixels do.

    Parameters
    ----------
    path
        The file.
    needed
        Bytes from its start to the end of the pixels.

    Raises
    ------
    ImageError
        If it has fewer.
    """
    there = path.stat().st_size
    if there < needed:
        raise ImageError(
            Sentence(
                "{path}: is cut short: {there} bytes are there, and its pixels end at {needed}. Copy the file again.",
                path=path,
                there=there,
                needed=needed,
            )
        )


def _each_once(names: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        form, number = name, 1
        while form in found:
            number += 1
            form = f"{name} ({number})"
        found.append(form)
    return tuple(found)

"""Scenes of microscopes' files as images of a batch: which there are, and which of them are meant."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.location import find_scene, scene_path, scene_words, split_scene_path
from napari_unetseg.io.readable import unreadable_says
from napari_unetseg.language import Sentence


def scenes_within(path: Path, chosen: str | None = None) -> list[Path]:
    """Return the images that a microscope's file holds, as paths that `read_image` takes: the file, where it is one.

    A file that cannot be opened counts as one image: reading it will say why.

    Parameters
    ----------
    path
        The file, or a path that leads to a scene in it. What stands for the scene may be a pattern, too, such as
        ``a.lif/Series*``.
    chosen
        Which scenes of a file are meant, by names, numbers and patterns, such as ``"1,Series*"``; see `choose_scenes`.
        None: all. It says nothing of a path that leads to a scene.

    Raises
    ------
    ImageError
        If the file holds no such scene.
    """
    file, word = split_scene_path(path)
    status = file.stat() if file.is_file() else None
    try:
        names = _scene_names(file, *((status.st_size, status.st_mtime_ns) if status else (0, 0)))
    except ImageError:
        return [path]
    if word:
        numbers = _fitting(names, word) or [find_scene(names, word, file)]
    else:
        numbers = list(range(len(names))) if chosen is None else choose_scenes(names, chosen, file)
    if len(names) == 1:
        return [file]
    words = scene_words(names)
    return [scene_path(file, words[number]) for number in numbers]


def choose_scenes(names: Sequence[str], chosen: str, file: Path) -> list[int]:
    """Return the numbers of the scenes that are meant, in the order of the file.

    Parameters
    ----------
    names
        Of all scenes.
    chosen
        Words divided by commas or semicolons. Each is the name of a scene, else its number, counted from 0, else a
        pattern of names such as ``Series*``; in names and patterns case does not count.
    file
        For messages.

    Raises
    ------
    ImageError
        If a word is no scene of the file. The message names those there are.
    """
    numbers = {number for word in _words(chosen) for number in _fitting(names, word) or [find_scene(names, word, file)]}
    if not numbers:
        raise ImageError(Sentence("{path}: no scene is named. Name some, or leave the option out.", path=file))
    return sorted(numbers)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.replace(";", ",").split(",") if word.strip()]


def _fitting(names: Sequence[str], word: str) -> list[int]:
    """Return the scenes whose name is a word, else those whose name fits it; none where it may be a number.

    A series in a folder of its file may be called without the folder, where no scene has such a name: ``Series 3``.
    """
    known = list(zip(names, scene_words(names), strict=True))
    inner = [] if word.isdecimal() else [(name.rpartition("/")[2],) for name in names]
    for forms_of in (known, inner):
        for fits in (
            lambda name: name == word,
            lambda name: name.casefold() == word.casefold(),
            lambda name: not word.isdecimal() and fnmatchcase(name.casefold(), word.casefold()),
        ):
            if found := [number for number, forms in enumerate(forms_of) if any(map(fits, forms))]:
                return found
    return []


@lru_cache(maxsize=4096)
def _scene_names(file: Path, size: int, changed: int) -> tuple[str, ...]:  # which tell a changed file from the same one
    from napari_unetseg.io.microscope.opening import open_microscope

    with unreadable_says(file), open_microscope(file) as opened:
        return opened.scene_names

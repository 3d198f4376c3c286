"""Which images the words on the command line mean."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.batch.find_images import ALL, find_images, images_among
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES


@dataclass(frozen=True)
class InputFiles:
    """Image files in the order of the arguments, each once, and a sentence for each argument that named none."""

    paths: tuple[Path, ...]
    problems: tuple[str, ...]


def expand_inputs(words: Sequence[str], pattern: str = ALL, *, recursive: bool = False) -> InputFiles:
    """Find the image files that `words` name: files, folders and patterns such as ``*.tif``.

    Folders and patterns leave out what an earlier run made of another of their images, such as ``a_labels.tif``
    beside ``a.tif``. A file named outright is taken as it is, even if it does not exist or is no image: reading it
    will say so.

    Parameters
    ----------
    words
        As they were typed.
    pattern, recursive
        Which files of folders to take, as `find_images` has it.
    """
    paths: dict[Path, Path] = {}
    problems: list[str] = []
    for word in words:
        found = _files_of(word, pattern, recursive)
        if not found:
            what = "the folder holds no image" if Path(word).is_dir() else "no image fits this pattern"
            fitting = f" that fits {pattern}" if Path(word).is_dir() and pattern != ALL else ""
            problems.append(f"{word}: {what}{fitting} ({', '.join(IMAGE_SUFFIXES)}).")
        for path in found:
            paths.setdefault(path.resolve(), path)
    return InputFiles(tuple(paths.values()), tuple(problems))


def _files_of(word: str, pattern: str, recursive: bool) -> list[Path]:
    path = Path(word).expanduser()
    if path.is_dir():
        return find_images(path, pattern, recursive=recursive)
    if not path.exists() and glob.has_magic(word):
        return images_among(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns)
    return [path]

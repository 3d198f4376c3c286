"""Which images the words on the command line mean."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unetseg.cli.targets import ENDINGS, result_stem
from napari_unetseg.io.read import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Inputs:
    """Image files in the order they were asked for, each once, and one sentence for each word that named none."""

    paths: tuple[Path, ...]
    problems: tuple[str, ...]


def expand_inputs(words: Sequence[str]) -> Inputs:
    """Find the image files that `words` name: files, folders (not their subfolders) and patterns such as ``*.tif``.

    Folders and patterns leave out what an earlier run made of another of their images, such as ``a_labels.tif``
    beside ``a.tif``. A file named outright is taken as it is, even if it does not exist or is no image: reading it
    will say so.
    """
    paths: dict[Path, Path] = {}
    problems: list[str] = []
    for word in words:
        found = list(_files_of(word))
        if not found:
            what = "the folder holds no image" if Path(word).is_dir() else "no image fits this pattern"
            problems.append(f"{word}: {what} ({', '.join(IMAGE_SUFFIXES)}).")
        for path in found:
            paths.setdefault(path.resolve(), path)
    return Inputs(tuple(paths.values()), tuple(problems))


def _files_of(word: str) -> Iterator[Path]:
    path = Path(word).expanduser()
    if path.is_dir():
        yield from _images(path.iterdir())
    elif not path.exists() and glob.has_magic(word):
        yield from _images(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns)
    else:
        yield path


def _images(paths: Iterable[Path]) -> list[Path]:
    """Keep the image files, without the results that an earlier run left beside their image."""
    found = sorted(
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    results = {path.with_name(f"{result_stem(path)}_{ending}") for path in found for ending in ENDINGS.values()}
    return [path for path in found if path not in results]

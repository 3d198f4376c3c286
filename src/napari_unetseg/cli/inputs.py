"""Which images the words on the command line mean."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_unetseg.batch.find_images import ALL, find_images, images_among
from napari_unetseg.batch.output_files import FieldPlace
from napari_unetseg.batch.places import absolute, address, as_path, is_zarr
from napari_unetseg.batch.plates import images_within
from napari_unetseg.errors import UnetsegError, one_line
from napari_unetseg.io.microscope.location import is_microscope_path, split_scene_path
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES


@dataclass(frozen=True)
class InputFiles:
    """Images that the words on a command line name.

    Attributes
    ----------
    paths
        In the order of the arguments, each once.
    problems
        A sentence for each argument that named none.
    places
        Of those that are fields of a plate.
    remarks
        Sentences on what was asked for in vain.
    """

    paths: tuple[Path, ...]
    problems: tuple[str, ...]
    places: Mapping[Path, FieldPlace] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def expand_inputs(
    words: Sequence[str],
    pattern: str = ALL,
    *,
    recursive: bool = False,
    wells: str | None = None,
    fields: str | None = None,
    scenes: str | None = None,
) -> InputFiles:
    """Find the images that `words` name: files, folders, OME-Zarr, URLs and patterns such as ``*.tif``.

    Of a plate its fields are meant, of an OME-Zarr that holds several images each of them, and of a microscope's file
    its scenes, unless a word leads to one of them, as ``a.lif/Series 3`` does.

    Folders and patterns leave out what an earlier run made of another of their images, such as ``a_labels.tif``
    beside ``a.tif``. A file named outright is taken as it is, even if it does not exist or is no image: reading it
    will say so.

    Parameters
    ----------
    words
        As they were typed.
    pattern, recursive
        Which files of folders to take, as `find_images` has it.
    wells, fields
        Which ones of plates to take, as `plate_fields` has it.
    scenes
        Which ones of microscopes' files to take, as `scenes_within` has it.
    """
    paths: dict[Path, Path] = {}
    places: dict[Path, FieldPlace] = {}
    problems: list[str] = []
    for word in words:
        found = _files_of(word, pattern, recursive)
        if not found:
            what = "the folder holds no image" if Path(word).is_dir() else "no image fits this pattern"
            fitting = f" that fits {pattern}" if Path(word).is_dir() and pattern != ALL else ""
            problems.append(f"{word}: {what}{fitting} ({', '.join(IMAGE_SUFFIXES)}).")
        for path in found:
            try:
                within = images_within(path, wells, fields, scenes)
            except UnetsegError as error:
                problems.append(one_line(error))
                continue
            new = {image: place for image, place in within.items() if paths.setdefault(absolute(image), image) is image}
            places |= {image: place for image, place in new.items() if place is not None}
    images = tuple(paths.values())
    return InputFiles(images, tuple(problems), places, tuple(_remarks(images, places, wells, fields, scenes)))


def _remarks(
    found: Sequence[Path],
    places: Mapping[Path, FieldPlace],
    wells: str | None,
    fields: str | None,
    scenes: str | None,
) -> Iterator[str]:
    """Say of which images an option says nothing."""
    named = [name for name, value in (("--wells", wells), ("--fields", fields)) if value is not None]
    if named and (others := [path for path in found if path not in places]):
        yield f"{' and '.join(named)}: {_segmented(others)} no part of a plate, and segmented all the same."
    if scenes is not None and (others := [path for path in found if not is_microscope_path(path)]):
        yield f"--scenes: {_segmented(others)} not of a file with scenes, and segmented all the same."


def _segmented(images: Sequence[Path]) -> str:
    first = address(images[0])
    return f"{first} is" if len(images) == 1 else f"{len(images)} images, such as {first}, are"


def _files_of(word: str, pattern: str, recursive: bool) -> list[Path]:
    path = as_path(word)
    if is_zarr(path) or split_scene_path(path)[1]:
        return [path]
    if path.is_dir():
        return find_images(path, pattern, recursive=recursive)
    if not path.exists() and glob.has_magic(word):
        return images_among(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns)
    return [path]

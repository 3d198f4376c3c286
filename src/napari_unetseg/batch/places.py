"""Images that are no file: folders of OME-Zarr, scenes of microscopes' files, and what lies behind a URL, as paths.

A URL is a path whose first part is its scheme, such as ``https:/lab/a.zarr``; `address` gives it back as it was.
"""

import os
import re
from pathlib import Path

from napari_unetseg.io.microscope.location import is_microscope_file
from napari_unetseg.io.ome_zarr.location import is_ome_zarr

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # of more than one letter, which are drives


def as_path(word: str) -> Path:
    """Return the path that stands for a file or a URL, as somebody typed it."""
    return Path(word.removeprefix("file://")).expanduser()


def is_url(file: Path) -> bool:
    """Whether a path stands for a URL."""
    return bool(file.parts) and _SCHEME.fullmatch(file.parts[0]) is not None


def address(file: Path) -> str:
    """Return what a person calls an image, and `read_image` takes: its path, or its URL."""
    return f"{file.parts[0]}//{'/'.join(file.parts[1:])}" if is_url(file) else str(file)


def absolute(file: Path) -> Path:
    """Return a path that does not depend on the folder that one is in."""
    return file if is_url(file) else file.resolve()


def is_zarr(file: Path) -> bool:
    """Whether an image is read as OME-Zarr; of a folder or an archive only names of files are looked at."""
    return is_url(file) or is_ome_zarr(file)


def short_name(file: Path) -> str:
    """Return what people call an image in a list: the name of its file, and of its scene; the disk is not looked at."""
    return f"{file.parent.name}/{file.name}" if is_microscope_file(file.parent) else file.name


def labels_within(image: Path, name: str) -> Path | None:
    """Return where a label image of OME-Zarr goes within its image; None where the image cannot be written."""
    if not image.is_dir() or not is_ome_zarr(image):
        return None
    folder = image / "labels"
    return folder / name if os.access(folder if folder.exists() else image, os.W_OK) else None

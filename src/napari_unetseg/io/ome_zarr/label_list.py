"""The list of an image's label images, and what says in one place what is in a store."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.claims import Claims, claim_path
from napari_unetseg.language import Sentence

LABELS = "labels"
"""Name of the group of an image that holds its label images."""

_WAIT = 0.05
_LONGEST_WAIT = 60.0
_FILES = {2: (".zgroup", ".zarray", ".zattrs"), 3: ("zarr.json",)}


def add_to_list(image: Path, name: str) -> None:
    """Let the labels of an image be found by readers; those that another process adds meanwhile are not lost.

    Parameters
    ----------
    image
        Folder of the image's group.
    name
        Of the label image, a group within the group ``labels``.

    Raises
    ------
    UnetsegError
        If the operating system refuses, or another process keeps the list to itself.
    """
    import zarr

    with _alone(image / LABELS):
        group = zarr.open_group(image, path=LABELS, mode="r+", use_consolidated=False)
        attributes: dict[str, Any] = dict(group.attrs.asdict())
        said = attributes.setdefault("ome", {}) if group.metadata.zarr_format == 3 else attributes
        listed = [one for one in said.get(LABELS, []) if one != name]
        said[LABELS] = [*listed, name]
        if group.metadata.zarr_format == 3:
            said.setdefault("version", "0.5")
        group.attrs.put(attributes)
    for store in (image, *image.parents):
        _state_in_one_place(store, image / LABELS, name)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other process into the block for the same folder."""
    ends = time.monotonic() + _LONGEST_WAIT
    path = claim_path(folder, "")
    with Claims() as claims:
        while not claims.claim(path):
            if time.monotonic() > ends:
                raise UnetsegError(
                    Sentence(
                        "{path}: another process has been writing here for a minute. If there is none, remove {claim}.",
                        path=folder,
                        claim=path.name,
                    )
                )
            time.sleep(_WAIT)
        yield


def _state_in_one_place(store: Path, labels: Path, name: str) -> None:
    """Add label images to the consolidated metadata of a store, where it has any: readers believe nothing else."""
    two, three = store / ".zmetadata", store / "zarr.json"
    if two.is_file():
        with _alone(store):
            stated = json.loads(two.read_text(encoding="utf-8"))
            stated["metadata"] |= _metadata_files(store, labels, name, 2)
            _write(two, stated)
    elif three.is_file():
        with _alone(store):
            stated = json.loads(three.read_text(encoding="utf-8"))
            if consolidated := stated.get("consolidated_metadata"):
                found = _metadata_files(store, labels, name, 3)
                consolidated["metadata"] |= {path.rpartition("/")[0]: one for path, one in found.items()}
                _write(three, stated)


def _metadata_files(store: Path, labels: Path, name: str, version: int) -> dict[str, Any]:
    """Read the metadata of a label image and of the list, by their path in the store."""
    folders = [labels, labels / name, *sorted(one for one in (labels / name).rglob("*") if _is_node(one))]
    files = (folder / file for folder in folders for file in _FILES[version])
    return {
        file.relative_to(store).as_posix(): json.loads(file.read_text(encoding="utf-8"))
        for file in files
        if file.is_file()
    }


def _is_node(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (".zgroup", ".zarray", "zarr.json"))


def _write(path: Path, value: Any) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2), encoding="utf-8")

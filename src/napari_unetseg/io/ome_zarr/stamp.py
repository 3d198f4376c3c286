"""The stamp of what was written, by which labels that somebody changed are told from those that nobody did."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_unetseg.io.hashing import hash_file
from napari_unetseg.io.ome_zarr.label_metadata import OWN_KEY, own_attributes

METADATA = (".zgroup", ".zattrs", ".zarray", "zarr.json")
"""Names of the files in which zarr says what is in a folder."""

STAMP_KEY = "stamp"
"""Under which a group has its stamp, among what is ours."""

_OURS = ".unetseg"  # how what a run keeps for itself begins


def stamped(folder: Path, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that a group is about to get, with the stamp of what is written.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    return {**attributes, OWN_KEY: {**attributes[OWN_KEY], STAMP_KEY: _stamp(folder, attributes)}}


def is_as_written(folder: Path) -> bool | None:
    """Whether a group of labels, or a store of them, is what it was when it was finished; None if nothing tells.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    import zarr

    try:
        group = zarr.open_group(folder, mode="r", use_consolidated=False)
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        return None  # nor can readers open it
    stamp = own_attributes(group).get(STAMP_KEY)
    return None if stamp is None else stamp == _stamp(folder, group.attrs.asdict())


def walk_files(folder: Path, left_out: str | None = None) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield files in an order of their own, without what a run keeps for itself and copies of metadata."""

    def refuse(error: OSError) -> None:
        raise error

    for current, folders, names in os.walk(folder, onerror=refuse):
        here = Path(current)
        folders[:] = sorted(
            name for name in folders if not name.startswith(_OURS) and (here != folder or name != left_out)
        )
        for name in sorted(names):
            if not name.startswith(_OURS) and name != ".zmetadata":
                yield here / name, (here / name).stat()


def _stamp(folder: Path, attributes: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all files, and of what the format says in the file that has the stamp itself."""
    said = {name: value for name, value in attributes.items() if name != OWN_KEY}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for path, _ in walk_files(folder):
        if path.parent != folder or path.name not in METADATA:
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\0{hash_file(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()

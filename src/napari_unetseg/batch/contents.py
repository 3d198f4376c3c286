"""By what an image, or a result, is recognised as the same: files by their content, folders by what they list."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from napari_unetseg.batch.places import address, is_url, is_zarr
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.io.ome_zarr.stamp import METADATA, walk_files

_CONSOLIDATED = "consolidated_metadata"  # a copy of what the other files say, labels among it


def hash_image(file: Path) -> str:
    """Return what changes where an image changes.

    Of a file it is the SHA-256 of its content; of a scene of a microscope's file that of the file, and which scene it
    is; where a microscope keeps the pixels in a folder beside the file, also of the names, sizes and times of what is
    in there. Of an OME-Zarr folder, whose content may be of terabytes, it is that of
    its metadata and of the names, sizes and times of its chunks; label images in it do not count. Of a URL it is that
    of the metadata alone.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if is_url(file):
        return _hash_url(address(file))
    if file.is_dir() and is_zarr(file):
        return _hash_folder(file)
    packed = None if file.exists() else next((above for above in file.parents if above.is_file()), None)
    if packed is None:
        return _hash_whole(file)
    part = file.relative_to(packed).as_posix()
    return hashlib.sha256(f"{_hash_packed(packed)}\0{part}".encode("utf-8", "surrogateescape")).hexdigest()


def pixel_folders(file: Path) -> list[Path]:
    """Return the folders in which a microscope's file may have its pixels, whether they are there or not."""
    if file.suffix.lower() == ".oif":
        return [file.with_name(f"{file.name}.files")]
    return [file.with_name(f"_{file.stem}_")] if file.suffix.lower() == ".vsi" else []


def list_result(folder: Path) -> tuple[int, str]:
    """Return the bytes in a folder of results, and the SHA-256 of its metadata and of the names and sizes of its files.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    digest, total = hashlib.sha256(), 0
    for path, status in walk_files(folder):
        total += status.st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{status.st_size}\n".encode("utf-8", "surrogateescape"))
        if path.name in METADATA:
            digest.update(path.read_bytes())
    return total, digest.hexdigest()


def _hash_folder(image: Path) -> str:
    digest = hashlib.sha256()
    for path, status in walk_files(image, left_out="labels"):
        digest.update(f"{path.relative_to(image).as_posix()}\0".encode("utf-8", "surrogateescape"))
        if path.name in METADATA:
            digest.update(_said(path.read_bytes()))
        else:
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _said(metadata: bytes) -> bytes:
    """Return metadata without the copy of others' in them."""
    try:
        values = json.loads(metadata)
    except ValueError:
        return metadata  # reading the image will say so
    if isinstance(values, dict):
        values.pop(_CONSOLIDATED, None)
    return json.dumps(values, sort_keys=True).encode()


def _hash_packed(packed: Path) -> str:
    """Hash what holds several images once for all of them."""
    status = packed.stat()
    is_whole = not any(folder.is_dir() for folder in pixel_folders(packed))
    return _hash_once(packed, status.st_size, status.st_mtime_ns) if is_whole else _hash_whole(packed)


@lru_cache(maxsize=16)
def _hash_once(packed: Path, size: int, changed: int) -> str:  # which tell a changed file from the same one
    return hash_file(packed)


def _hash_whole(file: Path) -> str:
    folder = next((folder for folder in pixel_folders(file) if folder.is_dir()), None)
    if folder is None:
        return hash_file(file)
    digest = hashlib.sha256(hash_file(file).encode())
    for path, status in walk_files(folder):
        digest.update(path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape"))
        digest.update(f"\0{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _hash_url(url: str) -> str:
    from napari_unetseg.io.ome_zarr.location import Location
    from napari_unetseg.io.ome_zarr.opening import open_group

    try:
        group = open_group(Location.of(url))
        datasets = [one["path"] for multiscale in group.ome["multiscales"] for one in multiscale["datasets"]]
        said = [dict(group.ome), *(group.array(path).metadata.to_dict() for path in datasets)]
    except (UnetsegError, KeyError, TypeError) as error:
        raise OSError(f"{url}: {error}") from error
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()

"""Where an OME-Zarr lies: in a folder, in a zip archive, or behind a URL, and where within it."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

ZIP_SUFFIXES = (".ozx", ".zip")
"""Suffixes of archives that may hold an OME-Zarr."""

_GROUP_FILES = ("zarr.json", ".zgroup", ".zattrs")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SUFFIX = re.compile(r"(\.ome)?(\.zarr)?(\.zip|\.ozx|\.zarr|\.ome)$", re.IGNORECASE)


@dataclass(frozen=True)
class Location:
    """A group of an OME-Zarr.

    Attributes
    ----------
    store
        The folder, the archive or the URL.
    inner
        Path of the group within an archive, its parts divided by ``/``; empty for its root, and always for folders and
        URLs.
    """

    store: str
    inner: str = ""

    @classmethod
    def of(cls, path: str | Path) -> "Location":
        """Find the archive in a path that leads into it, such as ``plate.zarr.zip/B/3/0``."""
        text = str(path)
        if is_url(text):
            return cls(text.rstrip("/"))
        whole = Path(text)
        for part in (whole, *whole.parents):
            if part.suffix.lower() in ZIP_SUFFIXES and part.is_file():
                return cls(str(part), whole.relative_to(part).as_posix().strip("./"))
        return cls(str(whole))

    @property
    def is_zip(self) -> bool:
        """Whether it is an archive."""
        return not is_url(self.store) and self.store.lower().endswith(ZIP_SUFFIXES) and Path(self.store).is_file()

    @property
    def address(self) -> str:
        """What `Location.of` reads again."""
        return f"{self.store}/{self.inner}" if self.inner else self.store

    @property
    def name(self) -> str:
        """What people call it: the last part of its address."""
        return self.address.replace("\\", "/").rstrip("/").rpartition("/")[2]

    def at(self, path: str) -> "Location":
        """Return what lies within it."""
        path = path.strip("/")
        if not path:
            return self
        if self.is_zip:
            return Location(self.store, f"{self.inner}/{path}" if self.inner else path)
        return Location(f"{self.store}/{path}" if is_url(self.store) else str(Path(self.store, path)))


def is_url(path: str | Path) -> bool:
    """Whether it is an address such as ``https://...`` or ``s3://...`` rather than a file of this machine."""
    return _URL.match(str(path)) is not None


def is_ome_zarr(path: str | Path) -> bool:
    """Whether something is read as OME-Zarr: a folder or an archive that holds a group of zarr, or any URL.

    It is looked for by names of files alone, so that it takes no time, however large the image is.
    """
    location = Location.of(path)
    if is_url(location.store):
        return True
    if location.is_zip:
        return archive_root(location.store) is not None
    folder = Path(location.store)
    return folder.is_dir() and (
        folder.suffix.lower() == ".zarr" or any((folder / name).is_file() for name in (*_GROUP_FILES, ".zarray"))
    )


def archive_root(path: str) -> str | None:
    """Return where in an archive its outermost group lies, ``""`` at its root; None if it holds none.

    Many archives are those of a folder, and hold it rather than what is in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return None
    folders = [name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in _GROUP_FILES]
    return min(folders, key=lambda folder: (folder.count("/") + bool(folder), folder), default=None)


def plain_stem(path: str | Path) -> str:
    """Return the name of an OME-Zarr without its suffixes: ``cells`` of ``cells.ome.zarr`` and ``cells.zarr.zip``."""
    name = Location.of(path).name
    return _SUFFIX.sub("", name) or name

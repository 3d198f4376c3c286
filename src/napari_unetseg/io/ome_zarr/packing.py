"""A finished store as one file."""

from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from napari_unetseg.io.atomic import whole_file

_METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata")


def pack(folder: str | Path, file: str | Path | None = None) -> Path:
    """Put a store that nobody writes any more into one file, which can be opened but not changed.

    Parameters
    ----------
    folder
        Of the store; it stays.
    file
        Where to; one that exists is replaced. None: ``.zip`` is added to the name of the folder.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    store = Path(folder)
    archive = Path(file) if file is not None else store.with_name(f"{store.name}.zip")
    entries = [path for path in store.rglob("*") if path.is_file() and path.suffix != ".partial"]
    # What the store says of itself comes first, from the top down, so that it is read without reading the rest.
    entries.sort(key=lambda path: (path.name not in _METADATA, len(path.parts), path))
    with whole_file(archive) as temporary, ZipFile(temporary, "w", ZIP_STORED) as written:
        for path in entries:
            written.write(path, path.relative_to(store).as_posix())
    return archive

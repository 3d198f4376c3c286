"""Groups of a store for reading, wherever it is: a folder, or an archive."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import zarr

ARCHIVES = (".zip", ".ozx")


def open_group(path: str, mode: Literal["r", "r+"] = "r") -> "zarr.Group":
    """Open a group; what a store says of itself in one place, which may be old, is not asked.

    Parameters
    ----------
    path
        A folder, or ``archive.zip/group``.
    mode
        ``"r+"`` to change it, which archives do not allow.

    Raises
    ------
    OSError
        If there is none.
    """
    import zarr
    from zarr.storage import ZipStore

    whole = Path(path)
    for archive in (whole, *whole.parents):
        if archive.suffix.lower() in ARCHIVES and archive.is_file():
            within = whole.relative_to(archive).as_posix()
            return zarr.open_group(
                ZipStore(archive, mode="r"), path="" if within == "." else within, mode="r", use_consolidated=False
            )
    return zarr.open_group(path, mode=mode, use_consolidated=False)

"""Files that are either whole or not there."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.file_owner import temporary_beside
from napari_unetseg.language import Sentence


def open_or_whole(file: str | Path | BinaryIO) -> AbstractContextManager[Path | BinaryIO]:
    """Hand out what writers write to: an open file, such as one in memory, as it is; of a path a `whole_file`."""
    return whole_file(Path(file)) if isinstance(file, str | Path) else nullcontext(file)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place once the block has ended well.

    Its content is on the disk before it does so. Folders on the way are made. If the block fails or is interrupted the
    temporary file goes and whatever was at `path` stays as it was.

    Parameters
    ----------
    path
        Where the file shall be. The temporary name keeps its suffix, since writers choose by it.

    Raises
    ------
    UnetsegError
        If the operating system refuses; the message names the file.
    """
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be written ({reason}). Choose another folder or make room on the disk.",
                path=path,
                reason=error.strerror or error,
            )
        ) from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's content, or the list of a folder's files, is on the disk.

    Raises
    ------
    OSError
        If the operating system refuses; that a folder cannot be synced, as on Windows, is no error.
    """
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    # Windows syncs only what may be written.
    number = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError:
        if not is_folder:
            raise
    finally:
        os.close(number)

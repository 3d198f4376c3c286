"""Files that are either whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place once the block has ended well.

    Folders on the way are made. If the block fails or is interrupted the temporary file goes and
    whatever was at `path` stays as it was.

    Parameters
    ----------
    path
        Where the file shall be. The temporary name keeps its suffix, since writers choose by it.

    Raises
    ------
    UnetsegError
        If the operating system refuses; the message names the file.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
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

"""Which of the files in a folder is the checkpoint to use."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")

_WORDS = ("best", "final")
_TIME_STAMP = re.compile(r"(20\d\d)[-_]?(\d\d)[-_]?(\d\d)(?:[-_T ]?(\d\d)[-_:]?(\d\d)(?:[-_:]?(\d\d))?)?")


def find_checkpoint(folder: Path, preferred: Sequence[str | None] = ()) -> Path | None:
    """Choose a checkpoint; subfolders are not searched, and no file is opened.

    Parameters
    ----------
    folder
        Where.
    preferred
        File names that go before all others, the first of them that is there.

    Returns
    -------
    Path or None
        A name with ``best`` goes before one with ``final``, and that before any other; among equals the
        newest, by the time stamp in its name, else by the time of the file. None if there is no checkpoint.
    """
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]
    named = {path.name: path for path in files}
    first = next((named[name] for name in preferred if name in named), None)
    return first or max(files, key=_rank, default=None)


def _rank(path: Path) -> tuple[int, float]:
    name = path.stem.lower()
    word = next((index for index, word in enumerate(_WORDS) if word in name), len(_WORDS))
    return -word, _time(path)


def _time(path: Path) -> float:
    """Seconds since 1970, by the time stamp in the name, else by the file's last change."""
    for match in _TIME_STAMP.finditer(path.stem):
        try:
            return datetime(*(int(part or 0) for part in match.groups())).timestamp()  # type: ignore[arg-type]
        except ValueError:  # digits that are no date
            continue
    return path.stat().st_mtime

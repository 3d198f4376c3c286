"""Which of the files in a folder is the checkpoint to use."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from napari_unetseg.zoo.card import KNOWN_ANSWER_FILE

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
VARIANTS = ("lightweight", "standard", "deep")

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
    files = _checkpoints(folder)
    named = {path.name: path for path in files}
    first = next((named[name] for name in preferred if name in named), None)
    return first or max(files, key=_rank, default=None)


def find_variant(folder: Path, variant: str) -> Path | None:
    """Choose a checkpoint of one of several variants of a network.

    Returns
    -------
    Path or None
        What `find_checkpoint` chooses in the subfolder that is named as the variant. Without one, of
        the files that have the variant as a word in their names; without those, of the files that name
        no variant. None if there is no checkpoint.
    """
    if (folder / variant).is_dir():
        return find_checkpoint(folder / variant)
    files = _checkpoints(folder)
    named = [path for path in files if variant in _words(path)]
    unnamed = [path for path in files if not _words(path) & set(VARIANTS)]
    return max(named or unnamed, key=_rank, default=None)


def _checkpoints(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file())
    return [path for path in found if path.name != KNOWN_ANSWER_FILE]


def _words(path: Path) -> set[str]:
    return set(re.split(r"[^a-z]+", path.stem.lower()))


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

"""Where edits are kept: a folder for each process, which it alone uses while it lives, and what killed ones left."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from platformdirs import user_state_path

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.claims import Claims, claim_path, is_claimed, sweep
from napari_unetseg.language import Sentence
from napari_unetseg.plugin.autosave.edit_file import INDEX, EditFile, read_description

KEPT_BYTES = 1 << 30
"""Most bytes of one label image, and of all that ended processes left."""

LEFT_FREE = 1 << 29
"""Bytes of the disk that are left to everybody else."""

KEPT_DAYS = 30
"""Edits that nobody took back for so long are removed."""


@dataclass(frozen=True)
class FoundEdit:
    """Edits of a layer that a process left which ended without closing its window.

    Attributes
    ----------
    folder
        Where they are.
    description
        What was kept with them.
    """

    folder: Path
    description: dict[str, Any]


class EditStore:
    """The edits of this process; any thread may call any method.

    Parameters
    ----------
    folder
        That of all processes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or user_state_path("napari-unetseg", appauthor=False) / "edits"
        self._name = uuid4().hex[:12]
        self._claims = Claims()

    def new_file(self) -> EditFile:
        """Return a new file of this process.

        Raises
        ------
        UnetsegError
            If the operating system refuses.
        """
        self._claim(self._name)
        return EditFile(self._folder / self._name / uuid4().hex[:12])

    def room(self) -> int:
        """Return how many bytes a label image may take.

        Raises
        ------
        OSError
            If the disk does not answer.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        return max(0, min(KEPT_BYTES, shutil.disk_usage(self._folder).free - LEFT_FREE))

    def take_over(self, found: FoundEdit) -> Path:
        """Make what another process left this process' own, so that no other one offers it; return its folder.

        Raises
        ------
        UnetsegError
            If it is gone, or the operating system refuses.
        """
        self._claim(self._name)
        own = self._folder / self._name / found.folder.name
        try:
            own.parent.mkdir(parents=True, exist_ok=True)
            found.folder.rename(own)
        except OSError as error:
            raise UnetsegError(
                Sentence(
                    "{folder}: the edits that were kept here are gone ({reason}).", folder=found.folder, reason=error
                )
            ) from error
        return own

    def find(self) -> list[FoundEdit]:
        """Find what ended processes left, newest first, and see to it that no other process offers it, too.

        What is too old, or more than there may be, is removed.
        """
        if not self._folder.is_dir():
            return []
        sweep(self._folder)
        found: list[FoundEdit] = []
        oldest, total = time.time() - KEPT_DAYS * 86_400, 0
        for changed, folder in sorted(self._left(), reverse=True):
            total += _size(folder)
            if changed < oldest or total > KEPT_BYTES:
                remove(folder)
                continue
            try:
                found.append(FoundEdit(folder, read_description(folder)))
            except UnetsegError:
                remove(folder)  # its process was killed before anything was whole, or the disk lost it
        return found

    def leave(self, found: list[FoundEdit]) -> None:
        """Let other processes, and the next start, offer what was found."""
        for name in {edit.folder.parent.name for edit in found} - {self._name}:
            self._claims.release(claim_path(self._folder, name))

    def _left(self) -> Iterator[tuple[float, Path]]:
        """Claim the folders of ended processes; yield when each edit in them was last written, and its folder."""
        for session in self._folder.iterdir():
            claim = claim_path(self._folder, session.name)
            if session.name == self._name or not session.is_dir() or is_claimed(claim):
                continue
            if not self._claims.claim(claim):
                continue
            edits = [edit for edit in session.iterdir() if edit.is_dir()]
            if not edits:
                remove(session)
                self._claims.release(claim)
            for edit in edits:
                index = edit / INDEX
                yield (index if index.exists() else edit).stat().st_mtime, edit

    def _claim(self, name: str) -> None:
        self._claims.claim(claim_path(self._folder, name))


def remove(*folders: Path) -> None:
    """Remove edits, and the folder of their process with the last of them; what cannot be removed stays."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # there are others
            folder.parent.rmdir()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

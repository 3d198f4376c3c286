"""Who works on which piece of the work of a folder: several processes share it, and each piece is done by one.

A claim is a hidden file beside the results. It is made with its content in one step, so that one process alone gets
it; its process touches it as long as it works. That of a process that has ended is taken over.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.file_owner import (
    SILENT_AFTER,
    Owner,
    disk_time,
    has_ended,
    sweep_temporaries,
    temporary_beside,
    this_process,
)
from napari_unetseg.language import Sentence

_PREFIX = ".unetseg-claim-"
_LARGEST_CLAIM = 1000  # in bytes
_RUN = uuid4().hex  # a container that starts again has the same process numbers, and maybe the same name


class Claims:
    """The claims of this run; any thread may call any method.

    As a context manager it lets all claims go at the end of the block, and gives none afterwards.
    """

    def __init__(self) -> None:
        self._held: set[Path] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended.set()
            held, self._held = self._held, set()
        _remove(held)

    def claim(self, path: Path) -> bool:
        """Claim what `claim_path` gave; return whether this run has it now, and no other one.

        Raises
        ------
        UnetsegError
            If the operating system refuses.
        """
        try:
            with self._lock:
                if path in self._held:
                    return True
                if self._ended.is_set():
                    return False
                path.parent.mkdir(parents=True, exist_ok=True)
                if not (_make(path) or (_take_over(path) and _make(path))):
                    return False
                self._held.add(path)
                if self._heart is None:
                    self._heart = threading.Thread(target=self._beat, name="unetseg-claims", daemon=True)
                    self._heart.start()
                return True
        except OSError as error:
            raise UnetsegError(
                Sentence(
                    "{path}: cannot be written ({reason}). Choose another output folder or make room on the disk.",
                    path=path,
                    reason=error.strerror or error,
                )
            ) from error

    def release(self, path: Path) -> None:
        """Let a claim go, once it is written down what became of the work."""
        with self._lock:
            if path in self._held:
                self._held.remove(path)
                _remove([path])

    def _beat(self) -> None:
        while not self._ended.wait(SILENT_AFTER / 6):
            with self._lock:
                for path in self._held:
                    try:
                        os.utime(path)
                    except OSError:
                        continue  # another process took it over: both do the image, with one result


def claim_path(folder: Path, name: str) -> Path:
    """Return the file that says who works on what has a name in a folder; case says nothing."""
    digest = hashlib.sha256(name.casefold().encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return folder / f"{_PREFIX}{digest}"


def is_claimed(path: Path) -> bool:
    """Whether a process that has not ended holds the claim `path`."""
    try:
        return not _is_stale(path)
    except OSError:
        return False  # it was let go; if the disk does not answer, trying to claim it will say so


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left in a folder of results: temporary files, and claims."""
    sweep_temporaries(folder)
    for path in folder.glob(f"{_PREFIX}*"):
        try:
            _take_over(path)
        except OSError:
            continue  # another process was faster, or a run will say why nothing can be written


def _make(path: Path) -> bool:
    """Make a claim, unless there is one; return whether it was made."""
    draft = temporary_beside(path)
    try:
        draft.write_text(json.dumps(asdict(this_process()) | {"run": _RUN}), encoding="utf-8")
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:
        # The disk knows no links: between these two steps a killed process leaves a claim that says nothing.
        try:
            file = path.open("x", encoding="utf-8")
        except FileExistsError:
            return False
        try:
            with file:
                file.write(json.dumps(asdict(this_process()) | {"run": _RUN}))
        except OSError:  # a full disk; an empty claim would hold up the next run until it counts as silent
            path.unlink()
            raise
    finally:
        draft.unlink(missing_ok=True)
    return True


def _take_over(path: Path) -> bool:
    """Remove a claim of a process that has ended; return whether there may be none now."""
    try:
        before = path.read_bytes()
        if not _is_stale(path):
            return False
        # Renamed first, so that of several processes that saw it one alone removes it.
        aside = temporary_beside(path)
        path.rename(aside)
        if aside.read_bytes() != before:  # another one had taken it over meanwhile
            os.link(aside, path)
        aside.unlink()
    except FileNotFoundError:
        return True
    return True


def _is_stale(path: Path) -> bool:
    touched = path.stat().st_mtime
    owner, run = _holder(path)
    if owner == this_process():
        return run not in (_RUN, None)
    # Which process made a claim that says nothing is not known, so it is taken as one of another machine.
    return has_ended(owner or Owner(0, ""), touched, disk_time(path.parent))


def _holder(path: Path) -> tuple[Owner | None, str | None]:
    """Return which process made a claim, and which run of it; None for what the claim does not say."""
    with path.open("rb") as file:
        content = file.read(_LARGEST_CLAIM)
    try:
        said = json.loads(content)
        return Owner(int(said["pid"]), str(said["host"])), said.get("run")
    except (ValueError, TypeError, KeyError):
        return None, None


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            if _holder(path)[0] == this_process():
                path.unlink()
        except OSError:
            continue  # it was taken over, or the disk is gone

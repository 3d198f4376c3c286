"""Which process a file on a shared disk belongs to, and whether that process has ended."""

import hashlib
import os
import platform
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

SILENT_AFTER = 120.0
"""Seconds after which a process of another machine counts as ended whose file was not touched meanwhile."""

_ABANDONED_AFTER = 86_400.0  # a temporary file is not touched while it is written, so another machine's has a day
_CLOCK_ERROR = 60.0  # seconds by which a machine's clock may be set while a process runs
_LONGEST_NAME = 180  # in bytes; file systems take 255
_TEMPORARY = re.compile(r"\.unetseg-(?P<pid>\d{1,10})-(?P<host>[0-9a-f]{8})-.")


@dataclass(frozen=True)
class Owner:
    """A process: its number, and a word for the machine that it runs on."""

    pid: int
    host: str


def this_process() -> Owner:
    """Return what this process is called."""
    return Owner(os.getpid(), _machine())


@cache
def _machine() -> str:
    """Return a word for what process numbers are counted in: a machine, or a container of one."""
    container = Path("/proc/self/ns/pid")
    words = platform.node(), str(container.stat().st_ino) if container.exists() else ""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]


def has_ended(owner: Owner, touched: float, now: float, silent_after: float = SILENT_AFTER) -> bool:
    """Whether the process that a file belongs to has ended.

    Parameters
    ----------
    owner
        The process.
    touched
        When the file was last touched, by the clock of its disk; see `disk_time`.
    now
        What that clock says now.
    silent_after
        How many seconds a process of another machine, of which nothing else is known, may leave its file alone.
    """
    if owner.host != this_process().host:
        return now - touched > silent_after
    try:
        process = psutil.Process(owner.pid)
        # One that was killed keeps its number until who started it has asked what became of it, and in a container
        # that may be nobody. A process that began after the file was touched has the number by chance.
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > touched + _CLOCK_ERROR
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def disk_time(folder: Path) -> float:
    """Return what the clock of a folder's disk says, which may be another machine's.

    Raises
    ------
    OSError
        If nothing can be written there.
    """
    with tempfile.TemporaryFile(prefix=".unetseg-", dir=folder) as file:
        file.write(b"\0")
        file.flush()
        return os.fstat(file.fileno()).st_mtime


def temporary_beside(path: Path) -> Path:
    """Return a hidden path in the same folder, with the same suffix, that names this process."""
    owner, name = this_process(), path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}{path.suffix}"
    return path.with_name(f".unetseg-{owner.pid}-{owner.host}-{name}")


def owner_of_temporary(path: Path) -> Owner | None:
    """Return the process that a path of `temporary_beside` names; None for any other path."""
    found = _TEMPORARY.match(path.name)
    return Owner(int(found["pid"]), found["host"]) if found else None


def sweep_temporaries(folder: Path) -> None:
    """Remove the temporary files of processes that have ended; what cannot be removed stays."""
    found = {path: owner for path in folder.glob(".unetseg-*") if (owner := owner_of_temporary(path))}
    if not found:
        return
    try:
        now = disk_time(folder)
        for path, owner in found.items():
            if has_ended(owner, path.stat().st_mtime, now, _ABANDONED_AFTER):
                path.unlink(missing_ok=True)
    except OSError:
        return  # another process was faster, or nothing may be changed here: a run says so itself

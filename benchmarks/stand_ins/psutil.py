"""Enough of psutil for Linux, for machines without it; see `lean.py`."""

import os
from collections import namedtuple
from pathlib import Path

Memory = namedtuple("Memory", ("total", "available"))
Held = namedtuple("Held", ("rss",))
CpuTimes = namedtuple("CpuTimes", ("user", "system"))
STATUS_ZOMBIE = "zombie"
_UNIT = 1024


class Error(Exception):
    """Something could not be read."""


class NoSuchProcess(Error):
    """There is no such process."""


def virtual_memory() -> Memory:
    """Return bytes of memory that there are, and that are free."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    return Memory(*(_UNIT * int(lines[key].split()[0]) for key in ("MemTotal", "MemAvailable")))


def cpu_count(logical: bool = True) -> int | None:
    """Return the number of cores; those that share one are counted, too."""
    return os.cpu_count()


def getloadavg() -> tuple[float, float, float]:
    """Return the load."""
    return os.getloadavg()


class Process:
    """A process, by default the one that asks."""

    def __init__(self, pid: int | None = None) -> None:
        self.pid = os.getpid() if pid is None else pid
        if not Path(f"/proc/{self.pid}").exists():
            raise NoSuchProcess(str(self.pid))

    def memory_info(self) -> Held:
        """Return the bytes that it holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return Held(pages * os.sysconf("SC_PAGE_SIZE"))

    def cpu_percent(self, interval: float | None = None) -> float:
        """Return 0: how busy the processor is kept is not measured here."""
        return 0.0

    def cpu_times(self) -> CpuTimes:
        """Return the seconds that the processor worked for this process."""
        times = os.times()
        return CpuTimes(times.user, times.system)

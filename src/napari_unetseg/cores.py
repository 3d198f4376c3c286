"""How many cores there are to compute on."""

import math
import os
import sys
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Count the logical cores that this process may use: a scheduler or a container can leave it few of a server's."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0))
    return max(1, min([allowed, *map(math.ceil, _shares())]))


def _shares() -> list[float]:
    """Return how many cores' time each control group (version 2 or 1) allows that this process belongs to."""
    shares = []
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = _CGROUPS / "cpu" if controllers else _CGROUPS
        group = top / path.lstrip("/")
        # In a container the path may be that outside of it, of which the top alone is seen here.
        for folder in [top, *(above for above in (group, *group.parents) if top in above.parents)]:
            shares += _share_of(folder)
    return shares


def _share_of(folder: Path) -> list[float]:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
        return [float(quota) / float(period)] if quota != "max" and float(quota) > 0 else []
    except (OSError, ValueError, ZeroDivisionError):
        return []

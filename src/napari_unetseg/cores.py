"""How many cores there are to compute on."""

import os
import sys


def usable_cores() -> int:
    """Count the logical cores that this process may use: a scheduler or a container can leave it few of a server's."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

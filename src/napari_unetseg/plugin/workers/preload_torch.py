"""torch's libraries, read from a slow disk before torch is imported."""

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_LIBRARIES = frozenset({".so", ".dylib", ".dll"})
_CHUNK = 2**20


@cache
def read_torch_libraries() -> int:
    """Read torch's shared libraries once, so that importing it finds them in memory.

    While the system loads a library, Python holds the lock that the window needs to move. From a disk
    that has to be read that takes seconds; reading a file lets the window go on. Call this in a worker
    thread, before the import.

    Returns
    -------
    int
        Bytes that were read; 0 where torch is imported already or its libraries are not found.
    """
    if "torch" in sys.modules:
        return 0
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return 0
    return _read(Path(spec.origin).parent / "lib")


def _read(folder: Path) -> int:
    """Read the shared libraries in a folder; what cannot be read is left to the import to complain about."""
    total = 0
    buffer = bytearray(_CHUNK)
    try:
        for path in sorted(folder.iterdir()):
            # `libgomp.so.1` counts, too.
            if _LIBRARIES.intersection(path.suffixes):
                with path.open("rb", buffering=0) as file:
                    while count := file.readinto(buffer):
                        total += count
    except OSError:
        return total
    return total

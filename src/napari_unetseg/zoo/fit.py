"""Whether weights fit a network, and how to say where they do not."""

from collections.abc import Mapping, Sequence

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each weight, by its name."""

_NAMED = 8


def misfit(expected: Shapes, found: Shapes) -> str:
    """List the weights that are missing, unexpected or of the wrong shape; empty if there are none."""
    misshapen = [
        f"{key} is {found[key]} instead of {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    faults = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of the wrong shape": misshapen,
    }
    return "; ".join(f"{len(keys)} {fault} ({some(keys)})" for fault, keys in faults.items() if keys)


def some(names: Sequence[str]) -> str:
    """List the first names, and how many more there are."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")

"""What a model is on disk: cards, the registry, model packages and checkpoints.

Importing this room or its registry loads no torch; `load_checkpoint` loads it on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetseg.zoo.import_checkpoint import load_checkpoint as load_checkpoint

__all__ = ["load_checkpoint"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name != "load_checkpoint":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from napari_unetseg.zoo.import_checkpoint import load_checkpoint

    return load_checkpoint

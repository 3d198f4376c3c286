"""What a model is on disk: cards, the registry, model packages and checkpoints.

* `card` is `model.yaml` as a checked object; `registry` lists the bundled models, the user's own and the `published`
  ones whose weights a user brings, and finds one by name or path. `known_answer` is a stored input and output by which
  a health check knows whether a model still computes the same.
* `network_loading` makes a network that runs of a package, and `packaging` writes a package of a trained network.
* A checkpoint from elsewhere: `torch_archive` opens it without executing anything in it (`pickle_check` follows its
  pickle by `pickle_rules`), `checkpoints` finds the weights, `recognition` the network that they fit (`compatibility`
  compares them), and `import_checkpoint` adds a card. `discovery` chooses among the checkpoints of a folder.
* `conversion` makes a package of a checkpoint, and `user_models` adds one to the user's own.

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

"""Which weights of a package are used: those that fit a network of ours, else a graph that is run as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence, error_sentence, joined
from napari_unetseg.zoo.bioimageio.description import WeightsEntry
from napari_unetseg.zoo.bioimageio.package import LARGEST_WEIGHTS, Package
from napari_unetseg.zoo.card import Architecture, ArchitectureName
from napari_unetseg.zoo.checkpoints import read_checkpoint
from napari_unetseg.zoo.recognition import recognise

GRAPHS: Mapping[str, ArchitectureName] = {"onnx": "onnx_graph", "torchscript": "torchscript"}
"""Forms of weights that bring their own network, and what a card calls them."""


@dataclass(frozen=True)
class KnownNetwork:
    """Weights of networks of ours.

    Attributes
    ----------
    file
        Where they were.
    state
        By name, in the types of the file.
    architectures
        What they fit.
    dropped, extras
        See `Checkpoint`.
    """

    file: Path
    state: dict[str, Tensor]
    architectures: tuple[Architecture, ...]
    dropped: tuple[str, ...]
    extras: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A network that is run as it is, from its file."""

    file: Path
    name: ArchitectureName


def choose_weights(package: Package) -> KnownNetwork | Graph:
    """Return the weights of a package that can be used; nothing in them is run.

    Weights that fit a network of ours go first, then ONNX, then TorchScript. Python code of a package is never used.

    Raises
    ------
    ModelError
        If there are none; the message says of each why not.
    """
    entries = {entry.kind: entry for entry in package.description.weights}
    reasons: list[str] = []
    known = entries.get("pytorch_state_dict")
    if known is not None:
        try:
            return _known(package, known)
        except ModelError as error:
            reasons.append(_because(known, error))
    for kind, name in GRAPHS.items():
        if kind in entries:
            try:
                return Graph(package.file(entries[kind].file, LARGEST_WEIGHTS), name)
            except ModelError as error:
                reasons.append(_because(entries[kind], error))
    others = [kind for kind in entries if kind not in GRAPHS and kind != "pytorch_state_dict"]
    if others:
        reasons.append(Sentence("{kinds}: such weights cannot be used here.", kinds=", ".join(others)))
    raise ModelError(
        Sentence(
            "{path}: none of its weights can be used, and Python code of a package is never run. {reasons}",
            path=package.path,
            reasons=joined(reasons) if reasons else Sentence("It names none."),
        )
    )


def _known(package: Package, entry: WeightsEntry) -> KnownNetwork:
    file = package.file(entry.file, LARGEST_WEIGHTS)
    checkpoint = read_checkpoint(file, any_ending=True, as_stored=True)
    return KnownNetwork(file, checkpoint.state, recognise(checkpoint.state), checkpoint.dropped, checkpoint.extras)


def _because(entry: WeightsEntry, error: ModelError) -> str:
    return Sentence("{kind}: {reason}", kind=entry.kind, reason=error_sentence(error))

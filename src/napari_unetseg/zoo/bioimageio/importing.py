"""From a package of the BioImage Model Zoo to a model package of ours."""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save

from napari_unetseg.errors import ModelError
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.language import Sentence
from napari_unetseg.networks import build
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.zoo.bioimageio.checking import (
    Answer,
    Comparison,
    TestImage,
    compare,
    read_test_image,
)
from napari_unetseg.zoo.bioimageio.description import Description, Extent, InputTensor, OutputTensor
from napari_unetseg.zoo.bioimageio.outputs import UNUSED, OutputNames, heads_of, name_outputs, parse_outputs
from napari_unetseg.zoo.bioimageio.package import LARGEST_PICTURE, Package
from napari_unetseg.zoo.bioimageio.processing import (
    Answered,
    CannotTranslate,
    translate_postprocessing,
    translate_preprocessing,
)
from napari_unetseg.zoo.bioimageio.weights import Graph, KnownNetwork, choose_weights
from napari_unetseg.zoo.card import Architecture, Head, ModelCard, WeightsFile, as_name
from napari_unetseg.zoo.packaging import write_foreign_package, write_package
from napari_unetseg.zoo.registry import ModelPackage, read_package

_log = logging.getLogger(__name__)

# What a published Attention U-Net ends in; see `import_checkpoint`.
_ENDS_IN_SIGMOID = frozenset({"attention_unet"})
_LONGEST_TITLE = 80
_LARGEST_SIDE = 16384

OWN_KEY, OWN_CARD = "napari-unetseg", "card"
"""Where a package that was exported from here keeps the card, in its `config`."""


@dataclass(frozen=True)
class Proposal:
    """What a package would become.

    Attributes
    ----------
    path
        The package.
    description
        What it says of itself.
    weights
        Those that are used.
    cards
        One for each network that the weights fit, with `names.heads` as outputs.
    names
        What the output's channels mean.
    answered
        Its postprocessing.
    test
        Its test image; None where there is none.
    remarks
        Sentences for the user.
    is_own
        Whether it was exported from here and comes back as it was, with its own card.
    """

    path: Path
    description: Description
    weights: KnownNetwork | Graph
    cards: tuple[ModelCard, ...]
    names: OutputNames
    answered: Answered
    test: TestImage | None
    remarks: tuple[str, ...]
    is_own: bool = False


def propose(package: Package, outputs: str | Sequence[str] | None = None) -> Proposal:
    """Say what a package would become; nothing in it is run.

    Parameters
    ----------
    package
        An open one.
    outputs
        What the channels of its output mean, in order, where a user says it; see `parse_outputs`.

    Raises
    ------
    ModelError
        If it cannot be used; the message names the package and what cannot be translated.
    """
    try:
        return _proposed(package, outputs)
    except CannotTranslate as error:
        raise ModelError(
            Sentence("{path}: this package cannot be used. {reason}", path=package.path, reason=error)
        ) from error


def write_proposal(package: Package, proposal: Proposal, folder: Path, changes: Mapping[str, Any]) -> ModelPackage:
    """Write a model package; it is there whole, or not at all.

    Parameters
    ----------
    package
        The same that was proposed.
    proposal
        See `propose`.
    folder
        Where; made if needed.
    changes
        Fields of the card that a user chose; `architecture` says which of several.

    Raises
    ------
    ModelError, UnetsegError
        If a field is wrong, a network that the package brings along does more than computing, or the folder cannot be
        written.
    """
    card = chosen_card(proposal.cards, changes.get("architecture"))
    fields = card.model_dump(exclude={"weights"}) | dict(changes)
    weights = proposal.weights
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(weights, KnownNetwork):
        write_package(folder, fields, weights.state, _kernel_type(weights) if proposal.is_own else torch.float32)
    else:
        write_foreign_package(folder, fields, weights.file.read_bytes())
    _copy_beside(package, folder)
    return read_package(folder, "path")


def check_model(proposal: Proposal, model: ModelPackage, answer: Answer) -> Comparison | None:
    """Run a model on the package's own test image and compare; None where the package has none.

    Raises
    ------
    ModelError
        If it cannot be run, or its answer is not of the expected size.
    """
    if proposal.test is None:
        return None
    card = model.card
    probability = answer(model, proposal.test.image)
    return compare(proposal.test, proposal.names, probability, proposal.answered, card.parameters.threshold)


def chosen_card(cards: Sequence[ModelCard], architecture: Architecture | None) -> ModelCard:
    """Return the card of a network; the first where none is asked for."""
    return next((card for card in cards if architecture in (None, card.architecture)), cards[0])


def _proposed(package: Package, outputs: str | Sequence[str] | None) -> Proposal:
    description = package.description
    taken, given = _tensors(description)
    answered = translate_postprocessing(given)
    weights = choose_weights(package)
    test = read_test_image(package)
    own = _own_card(description, weights)
    if own is not None:
        names = OutputNames(own.heads, own.heads, asks=False)
        return Proposal(package.path, description, weights, (own,), names, answered, test, (), is_own=True)
    prepared = translate_preprocessing(taken)
    channels = taken.extents["c"].smallest if "c" in taken.extents else 1
    count = given.channels
    if isinstance(weights, KnownNetwork):
        architectures = weights.architectures
        count = count or architectures[0].arguments["out_channels"]
    else:
        architectures = ()
    if count is None:
        raise CannotTranslate(Sentence("The package does not say how many channels its output has."))
    names = name_outputs(given, count)
    if outputs is not None:
        names = OutputNames(names.channels, parse_outputs(outputs, count), asks=False)
    found = test.range if test else None
    heads, limit, remark = heads_of(names.heads, given, answered, found)
    if isinstance(weights, Graph):
        architectures = (Architecture(name=weights.name, arguments=_arguments(taken, given, channels, names)),)
    fields = _fields(description, taken, channels) | {
        "normalisation": prepared.normalisation,
        "decoder": "threshold" if names.heads == ("foreground",) else "seeded_watershed",
        "parameters": {} if limit is None else {"threshold": limit},
        "weights": WeightsFile(file=weights.file.name, sha256=hash_file(weights.file)),
    }
    cards = tuple(
        ModelCard.model_validate(
            fields | {"architecture": one, "outputs": _heads_of_network(one, heads, names, channels)}
        )
        for one in architectures
    )
    remarks = prepared.remarks + ((remark,) if remark and isinstance(weights, Graph) else ())
    return Proposal(package.path, description, weights, cards, names, answered, test, remarks)


def _own_card(description: Description, weights: KnownNetwork | Graph) -> ModelCard | None:
    """Return the card that this program wrote into a package, if the weights are still those of it."""
    kept = description.config.get(OWN_KEY)
    values = kept.get(OWN_CARD) if isinstance(kept, Mapping) else None
    if not isinstance(values, Mapping) or not isinstance(weights, KnownNetwork):
        return None
    try:
        card = ModelCard.model_validate(dict(values))
    except ValidationError as error:
        _log.info("The card in the package's config is passed over: %s", error)
        return None
    return card if hashlib.sha256(save(weights.state)).hexdigest() == card.weights.sha256 else None


def _kernel_type(weights: KnownNetwork) -> torch.dtype:
    """Return the type in which kernels are stored."""
    return next(value.dtype for value in weights.state.values() if value.is_floating_point() and value.ndim > 1)


def _tensors(description: Description) -> tuple[InputTensor, OutputTensor]:
    """Return the one input and the one output that are planes."""
    inputs, outputs = (
        ", ".join(tensor.name for tensor in tensors) for tensors in (description.inputs, description.outputs)
    )
    if len(description.inputs) > 1:
        raise CannotTranslate(
            Sentence("Its network takes several tensors: {names}. Only those that take one can be used.", names=inputs)
        )
    if len(description.outputs) > 1:
        raise CannotTranslate(
            Sentence("Its network gives several tensors: {names}. Only those that give one can be used.", names=outputs)
        )
    taken, given = description.inputs[0], description.outputs[0]
    for tensor in (taken, given):
        if not {"y", "x"} <= set(tensor.axes):
            raise CannotTranslate(
                Sentence("{tensor} has the axes {axes}, and is no image.", tensor=tensor.name, axes=tensor.axes)
            )
    deep = [axis for axis, extent in taken.extents.items() if axis in "zti" and (extent.smallest != 1 or extent.step)]
    if deep:
        raise CannotTranslate(
            Sentence(
                "Its network takes stacks along {axes}. Only networks that take one plane at a time can be used.",
                axes=", ".join(deep),
            )
        )
    for axis in "yx":
        times, more = given.growth.get(axis, (1.0, 0.0))
        if (times, more) != (1.0, 0.0):
            raise CannotTranslate(
                Sentence(
                    "Its network gives an output of another size than its input ({axis}: {times:g} times the size, and "
                    "{more:+g} pixels).",
                    axis=axis,
                    times=times,
                    more=more,
                )
            )
    return taken, given


def _arguments(taken: InputTensor, given: OutputTensor, channels: int, names: OutputNames) -> dict[str, Any]:
    """Return how the engine has to show images to a graph."""
    y, x = taken.extents["y"], taken.extents["x"]
    fixed = y.step == 0 or x.step == 0
    if fixed:
        if (y.smallest, x.smallest) != (y.smallest, y.smallest) or y.step or x.step:
            raise CannotTranslate(
                Sentence(
                    "Its network takes images of {height} x {width} pixels only; windows have to be square.",
                    height=y.smallest,
                    width=x.smallest,
                )
            )
        step, smallest = y.smallest, y.smallest
    else:
        step, smallest = _common_sizes(y, x)
    arguments = {
        "in_channels": channels,
        "out_channels": len(names.heads),
        "halo": max(given.halo.get("y", 0), given.halo.get("x", 0)),
        "step": step,
        "smallest": smallest,
        "input_axes": taken.axes,
        "output_axes": given.axes,
    }
    if fixed:
        arguments["largest"] = smallest
    if names.used != tuple(range(len(names.used))):
        arguments["channels"] = list(names.used)
    if taken.one_at_a_time:
        arguments["batch"] = False
    return arguments


def _common_sizes(y: Extent, x: Extent) -> tuple[int, int]:
    """Return step and least of the sizes that both sides can have."""
    step, least = lcm(y.step, x.step), max(y.smallest, x.smallest)
    sizes = range(least, least + step) if max(step, least) <= _LARGEST_SIDE else range(0)
    both = (side for side in sizes if not (side - y.smallest) % y.step and not (side - x.smallest) % x.step)
    smallest = next(both, None)
    if smallest is None:
        raise CannotTranslate(
            Sentence(
                "Its network takes images of {height} + n x {more} by {width} + n x {further} pixels, and no square "
                "one.",
                height=y.smallest,
                more=y.step,
                width=x.smallest,
                further=x.step,
            )
        )
    return step, smallest


def _heads_of_network(
    architecture: Architecture, heads: tuple[Head, ...], names: OutputNames, channels: int
) -> list[Head]:
    """Return heads with the activation that the network has; of ours it is known, of a graph it was read."""
    if is_foreign(architecture.name):
        return list(heads)
    arguments, count = architecture.arguments, len(names.meanings)
    if UNUSED in names.meanings:
        raise CannotTranslate(
            Sentence("The network is one of those known here, all of whose outputs are used; say what each means.")
        )
    if (arguments["in_channels"], arguments["out_channels"]) != (channels, count):
        raise CannotTranslate(
            Sentence(
                "The weights are of a network with {taken} channels and {given} outputs, but the package states "
                "{channels} and {count}.",
                taken=arguments["in_channels"],
                given=arguments["out_channels"],
                channels=channels,
                count=count,
            )
        )
    activation = "sigmoid" if architecture.name in _ENDS_IN_SIGMOID else "none"
    return [Head.model_validate({"name": head.name, "activation": activation}) for head in heads]


def _fields(description: Description, taken: InputTensor, channels: int) -> dict[str, Any]:
    title = description.name.strip()[:_LONGEST_TITLE] or "model"
    words = description.description.strip()
    if description.training_data:
        words = f"{words.rstrip('.')}. Trained on {description.training_data}.".lstrip(". ")
    names = tuple(name.strip() for name in taken.channel_names)
    has_roles = channels > 1 and len(set(names)) == channels and not _is_colour(names)
    return {
        "name": as_name(title),
        "display_name": title,
        "description": words or title,
        "input_channels": channels,
        "channel_roles": names if has_roles else (),
        "pixel_size": taken.pixel_size,
        "licence": description.licence,
        "authors": description.authors,
        "citations": description.citations,
    }


def _is_colour(names: Sequence[str]) -> bool:
    return [name[:1].lower() for name in names] == ["r", "g", "b"]


def _copy_beside(package: Package, folder: Path) -> None:
    """Copy the picture and the documentation of a package, where they can be had."""
    description = package.description
    for file, name in ((description.cover, "cover"), (description.documentation, "documentation")):
        if file is None:
            continue
        try:
            source = package.file(file, LARGEST_PICTURE)
        except ModelError as error:  # no reason to do without the model
            _log.info("%s", error)
            continue
        ending = source.suffix.lower()
        if ending in (".png", ".jpg", ".jpeg", ".md"):
            shutil.copyfile(source, folder / f"{name}{ending}")


def parameters_of(card: ModelCard) -> int:
    """Return the trainable numbers of a network of ours; 0 for a graph, which is not opened for that."""
    if is_foreign(card.architecture.name):
        return 0
    with torch.device("meta"):
        network = build(card.architecture.name, card.architecture.arguments)
    return sum(value.numel() for value in network.parameters())

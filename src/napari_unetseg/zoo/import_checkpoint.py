"""From a checkpoint that was trained elsewhere to a network that can run and a card that says what it is."""

from functools import lru_cache
from pathlib import Path

import torch

from napari_unetseg.errors import ModelError
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.zoo.card import NETWORK_TITLES, Architecture, Head, ModelCard, WeightsFile, as_name
from napari_unetseg.zoo.checkpoints import Checkpoint, read_checkpoint
from napari_unetseg.zoo.published import published_with
from napari_unetseg.zoo.recognition import describe_architecture, recognise

# The published Attention U-Net ends in a sigmoid; a second one would leave every value in 0.5..0.73.
_ENDS_IN_SIGMOID = frozenset({"attention_unet"})


def load_checkpoint(path: str | Path) -> tuple[SegmentationNetwork, ModelCard]:
    """Load a published checkpoint; what network it belongs to is read off its weights.

    Parameters
    ----------
    path
        See `read_checkpoint`.

    Returns
    -------
    network
        In evaluation mode, float32, on the CPU. Called with a float32 (N, C, H, W) tensor it computes
        what the published network computes.
    card
        What the file says, completed by what the publications state.

    Raises
    ------
    ModelError
        If the file cannot be read safely, or its weights do not fit a known network exactly; the message
        names the file and says why.
    """
    checkpoint, card = describe_checkpoint(path)
    with torch.device("meta"):
        network = build(card.architecture.name, card.architecture.arguments)
    network.load_state_dict(checkpoint.state, strict=True, assign=True)
    return network.requires_grad_(False).eval(), card


def describe_checkpoint(path: str | Path, architecture: Architecture | None = None) -> tuple[Checkpoint, ModelCard]:
    """Read the weights of a published checkpoint, and say what they are.

    Parameters
    ----------
    path
        See `read_checkpoint`.
    architecture
        Which network to take where the weights fit several; needed there alone.

    Returns
    -------
    checkpoint
        Weights that fit the network on the card exactly, and what was left out.
    card
        See `load_checkpoint`. Where the network is that of a published model, images are prepared as
        they were for it.

    Raises
    ------
    ModelError
        See `load_checkpoint`.
    """
    checkpoint, cards = describe_matches(path)
    chosen = [card for card in cards if architecture in (None, card.architecture)]
    networks = " and ".join(describe_architecture(card.architecture) for card in cards)
    if not chosen:
        raise ModelError(
            Sentence(
                "{path}: The weights are not of the network that was chosen, but fit {networks}.",
                path=checkpoint.path,
                networks=networks,
            )
        )
    if len(chosen) > 1:
        raise ModelError(
            Sentence(
                "{path}: The weights fit more than one network: {networks}.", path=checkpoint.path, networks=networks
            )
        )
    return checkpoint, chosen[0]


def describe_matches(path: str | Path) -> tuple[Checkpoint, tuple[ModelCard, ...]]:
    """Read the weights of a published checkpoint, and return a card for each network that they fit."""
    checkpoint = read_checkpoint(path)
    try:
        cards = tuple(_card(checkpoint.path, architecture) for architecture in recognise(checkpoint.state))
    except ModelError as error:
        raise ModelError(Sentence("{path}: {reason}", path=checkpoint.path, reason=error)) from error
    return checkpoint, cards


def _card(path: Path, architecture: Architecture) -> ModelCard:
    arguments = architecture.arguments
    if arguments["in_channels"] not in (1, 3):
        raise ModelError(
            Sentence(
                "The network takes {channels} channels; only grey (1) and RGB (3) can be used.",
                channels=arguments["in_channels"],
            )
        )
    if arguments["out_channels"] != 1:
        raise ModelError(
            Sentence(
                "The network has {outputs} outputs, and the file does not say what they mean. Only networks "
                "with one output, the foreground, can be used without a card.",
                outputs=arguments["out_channels"],
            )
        )
    names = {"name": as_name(path.stem), "display_name": path.stem}
    description = f"{NETWORK_TITLES[architecture.name]} from the checkpoint {path.name}"
    weights = WeightsFile(file=path.name, sha256=_sha256(path))
    published = published_with(architecture)
    if published is not None:
        description += f"; images are prepared as for {published.display_name}."
        return published.card(weights).model_copy(update={**names, "description": description})
    activation = "sigmoid" if architecture.name in _ENDS_IN_SIGMOID else "none"
    return ModelCard(
        **names,
        description=f"{description}.",
        architecture=architecture,
        input_channels=arguments["in_channels"],
        outputs=(Head(name="foreground", activation=activation),),
        decoder="threshold",
        weights=weights,
        licence="unknown",
    )


def _sha256(path: Path) -> str:
    """Hash a checkpoint once, however often it is described and loaded, until the file changes."""
    facts = path.stat()
    return _hash_once(path.absolute(), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=16)
def _hash_once(path: Path, _size: int, _changed: int) -> str:
    return hash_file(path)

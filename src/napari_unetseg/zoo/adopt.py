"""From a checkpoint that was trained elsewhere to a network that can run and a card that says what it is."""

import hashlib
import re
from pathlib import Path

import torch

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.zoo.card import Architecture, Head, ModelCard, Weights
from napari_unetseg.zoo.checkpoints import read_checkpoint
from napari_unetseg.zoo.recognition import recognise

_TITLES = {
    "unet": "U-Net",
    "cbam_resunet": "CBAM-ResUNet",
    "hrnet": "HRNetV2",
    "attention_unet": "Attention U-Net",
}
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
        What the file tells, and what the publications state where it does not.

    Raises
    ------
    ModelError
        If the file cannot be read safely, or its weights do not fit a known network exactly; the message
        names the file and says why.
    """
    checkpoint = read_checkpoint(path)
    try:
        architecture = recognise(checkpoint.state)
        card = _card(checkpoint.path, architecture)
    except ModelError as error:
        raise ModelError(f"{checkpoint.path}: {error}") from error
    with torch.device("meta"):
        network = build(architecture.name, architecture.arguments)
    network.load_state_dict(checkpoint.state, strict=True, assign=True)
    return network.requires_grad_(False).eval(), card


def _card(path: Path, architecture: Architecture) -> ModelCard:
    arguments = architecture.arguments
    if arguments["in_channels"] not in (1, 3):
        raise ModelError(
            f"The network takes {arguments['in_channels']} channels; only grey (1) and RGB (3) can be used."
        )
    if arguments["out_channels"] != 1:
        raise ModelError(
            f"The network has {arguments['out_channels']} outputs, and the file does not say what they mean. "
            "Only networks with one output, the foreground, can be used without a card."
        )
    activation = "sigmoid" if architecture.name in _ENDS_IN_SIGMOID else "none"
    return ModelCard(
        name=re.sub(r"[^a-z0-9_\-]+", "_", path.stem.lower()).strip("_-") or "checkpoint",
        display_name=path.stem,
        description=f"{_TITLES[architecture.name]} from the checkpoint {path.name}.",
        architecture=architecture,
        input_channels=arguments["in_channels"],
        outputs=(Head(name="foreground", activation=activation),),
        decoder="threshold",
        weights=Weights(file=path.name, sha256=_sha256(path)),
        licence="unknown",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

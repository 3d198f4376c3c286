"""The models that peers are compared on: a bundled one, and published networks at full width with seeded weights.

The weights of the published networks are not ours to ship, and time and memory do not depend on them. A last layer
that is shifted and scaled gives masks with 30 % foreground whose outlines are not all near the threshold, so that
agreement between two ways of computing says something.

Run with a network and a folder, it makes the model there, so that no process that is measured has to.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from drawn_images import draw_image

from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.networks import SegmentationNetwork, build
from napari_unetseg.zoo.card import WeightsFile
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import ModelPackage, find_model

BUNDLED = ("nuclei",)
SEEDED = ("unet_spherohq", "cbam_resunet")
NETWORKS = (*SEEDED, *BUNDLED)
FOREGROUND = 0.3
SPREAD = 4.0
"""Standard deviation of the logits: most pixels are far from the threshold, as a trained network's are."""


def find_network(name: str, folder: Path) -> ModelPackage:
    """Return the package of one of `NETWORKS`; a seeded one is made in the folder, once."""
    if name in BUNDLED:
        return find_model(name)
    path = folder / name
    if not (path / "model.yaml").is_file():
        _write(name, path)
    return find_model(path)


def _write(name: str, folder: Path) -> None:
    card = PUBLISHED[name].card(WeightsFile(sha256=""))
    torch.manual_seed(0)
    network = build(card.architecture.name, card.architecture.arguments).eval()
    pixels = normalise(Image(draw_image(512)), card.normalisation, card.input_channels).array
    _settle(network, torch.from_numpy(pixels[np.newaxis]))
    # At the size of the image, as every other network here; the published size is one of the peers.
    fields = card.model_dump(exclude={"weights", "image_size"})
    write_package(folder, fields, network.state_dict(), dtype=torch.float32)


def _settle(network: SegmentationNetwork, batch: torch.Tensor) -> None:
    """Shift and scale the last layer as `FOREGROUND` and `SPREAD` say."""
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d) and layer.out_channels == 1][-1]
    with torch.inference_mode():
        logits = network(batch)
    scale = SPREAD / logits.std()
    with torch.no_grad():
        last.weight *= scale
        if last.bias is None:
            raise RuntimeError("The last layer has no bias to shift.")
        last.bias.copy_(scale * (last.bias - logits.flatten()[::7].quantile(1 - FOREGROUND)))


if __name__ == "__main__":
    find_network(sys.argv[1], Path(sys.argv[2]))

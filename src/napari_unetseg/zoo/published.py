"""The published networks whose weights this package does not have: what they are and how to prepare for them.

Their users own checkpoints. Once one is given, the model is as complete as any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from napari_unetseg.language import mark
from napari_unetseg.zoo.card import IMAGENET, Architecture, ModelCard, WeightsFile


@dataclass(frozen=True)
class PublishedModel:
    """A model that is known by name, but for its weights.

    Attributes
    ----------
    name, display_name, description
        See `ModelCard`.
    architecture
        Exactly what its checkpoints hold.
    parameters
        Trainable numbers as published.
    live_parameters
        Those of them that an output depends on.
    image_size
        Height and width to which it expects images to be stretched.
    activation
        What the network applies to its output itself.
    pretrained_path, finetuned_path
        File names by which its checkpoints are known, looked for in the model's folder; the second
        goes before the first, and both before any other file.
    """

    name: str
    display_name: str
    description: str
    architecture: Architecture
    parameters: int
    live_parameters: int
    image_size: tuple[int, int]
    activation: str = "none"
    pretrained_path: str | None = None
    finetuned_path: str | None = None

    def card(self, weights: WeightsFile) -> ModelCard:
        """Return the card of this model with these weights."""
        return ModelCard.model_validate(
            {
                "name": self.name,
                "display_name": self.display_name,
                "description": self.description,
                "architecture": self.architecture,
                "normalisation": IMAGENET,
                "image_size": self.image_size,
                "outputs": [{"name": "foreground", "activation": self.activation}],
                "decoder": "threshold",
                "weights": weights,
                "licence": "unknown",
            }
        )


def _attention_unet(
    variant: str, base_channels: int, depth: int, parameters: int, words: tuple[str, str]
) -> PublishedModel:
    return PublishedModel(
        name=f"attention_unet_{variant}",
        display_name=words[0],
        description=words[1],
        architecture=Architecture(
            name="attention_unet",
            arguments={"in_channels": 3, "out_channels": 1, "base_channels": base_channels, "depth": depth},
        ),
        parameters=parameters,
        live_parameters=parameters,
        image_size=(256, 256),
        # Inside its forward; a second one would leave every value in 0.5..0.73.
        activation="sigmoid",
    )


_ALL = (
    PublishedModel(
        name="unet_spherohq",
        display_name="UNet (SpheroHQ Best)",
        description=mark(
            "Spheroids and other cell aggregates in light microscopy; a U-Net trained on the SpheroHQ data set."
        ),
        architecture=Architecture(
            name="unet",
            arguments={
                "in_channels": 3,
                "out_channels": 1,
                "features": [64, 128, 256, 512, 1024],
                "norm": "instance",
            },
        ),
        parameters=45_197_505,
        live_parameters=31_037_633,
        image_size=(1024, 1024),
        pretrained_path="unet_spherohq_best.pth",
        finetuned_path="unet_spherohq_best.pth",
    ),
    PublishedModel(
        name="hrnet",
        display_name="HRNetV2",
        description=mark(
            "Spheroids and other cell aggregates in light microscopy; keeps a map of high resolution throughout."
        ),
        architecture=Architecture(
            name="hrnet", arguments={"in_channels": 3, "out_channels": 1, "widths": [48, 96, 192, 384]}
        ),
        parameters=65_846_401,
        live_parameters=65_846_401,
        image_size=(1024, 1024),
    ),
    PublishedModel(
        name="cbam_resunet",
        display_name="CBAM-ResUNet",
        description=mark(
            "Spheroids and other cell aggregates in light microscopy; a residual U-Net that weighs its channels, its "
            "places and its skip connections."
        ),
        architecture=Architecture(
            name="cbam_resunet", arguments={"in_channels": 3, "out_channels": 1, "features": [64, 128, 256, 512]}
        ),
        parameters=52_072_673,
        live_parameters=52_072_673,
        image_size=(1024, 1024),
    ),
    _attention_unet(
        "lightweight",
        32,
        3,
        1_981_114,
        (mark("Attention U-Net (lightweight)"), mark("Finger nails in photographs; the fastest of three.")),
    ),
    _attention_unet(
        "standard",
        64,
        4,
        31_909_485,
        (mark("Attention U-Net (standard)"), mark("Finger nails in photographs; the middle one of three.")),
    ),
    _attention_unet(
        "deep",
        96,
        5,
        287_682_208,
        (mark("Attention U-Net (deep)"), mark("Finger nails in photographs; the largest of three.")),
    ),
)

PUBLISHED: Mapping[str, PublishedModel] = {model.name: model for model in _ALL}
"""The published models by name."""


def published_with(architecture: Architecture) -> PublishedModel | None:
    """Return the published model of exactly this architecture; None if there is none."""
    return next((model for model in _ALL if model.architecture == architecture), None)

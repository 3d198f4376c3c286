"""The model card: what a model is, as `model.yaml` states it."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_unetseg.errors import ModelError
from napari_unetseg.postprocessing.parameters import DecodeParameters

CARD_FILE = "model.yaml"

# Named here, and not asked of `networks/`, because cards are read where torch must not be loaded.
ArchitectureName = Literal["unet", "cbam_resunet", "hrnet", "attention_unet"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Strict):
    """Which network of `networks/`, and the arguments it is built with."""

    name: ArchitectureName
    arguments: dict[str, Any] = Field(default_factory=dict)


class Normalisation(_Strict):
    """How intensities become network input.

    ``percentile`` maps the `low` and `high` percentile of the whole image (all channels together,
    so that colours stay) to 0 and 1, without clipping.
    """

    kind: Literal["percentile"] = "percentile"
    low: float = Field(1.0, ge=0, le=100)
    high: float = Field(99.8, ge=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> "Normalisation":
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class Head(_Strict):
    """One output channel: what it means, and the activation the network already applies to it."""

    name: Literal["foreground", "boundary", "distance"]
    activation: Literal["none", "sigmoid"] = "none"


class TrainingData(_Strict):
    """A data set the weights were trained on."""

    name: str
    licence: str
    citation: str
    images: int


class Weights(_Strict):
    """The file that holds the weights; a plain name, so that a card reads nothing but what is beside it.

    In a model package it is a `.safetensors` file; the card of a checkpoint names the checkpoint.
    """

    file: str = Field("weights.safetensors", pattern=r"^[^/\\]+$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class ModelCard(_Strict):
    """Everything a user or a program needs to know to run a model and to trust it.

    Attributes
    ----------
    input_channels
        3: RGB, grey images repeated three times. 1: grey, RGB images averaged.
    object_size
        Typical equivalent diameter of an object, in pixels, that the model was trained on.
    pixel_size
        Pixel size of the training images in micrometres, where they had one.
    outputs
        One head an output channel, in order.
    decoder
        ``seeded_watershed`` divides objects by the distance (or boundary) head;
        ``threshold`` knows the foreground alone.
    scores
        Measured figures, with the split they were measured on.
    """

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_\-]*$")
    display_name: str
    description: str
    architecture: Architecture
    input_channels: Literal[1, 3] = 3
    object_size: float | None = Field(None, gt=0)
    pixel_size: float | None = Field(None, gt=0)
    normalisation: Normalisation = Normalisation()
    outputs: tuple[Head, ...] = Field(min_length=1)
    decoder: Literal["seeded_watershed", "threshold"]
    parameters: DecodeParameters = DecodeParameters()
    training_data: tuple[TrainingData, ...] = ()
    scores: dict[str, Any] = Field(default_factory=dict)
    weights: Weights
    licence: str

    @model_validator(mode="after")
    def _heads_fit_decoder(self) -> "ModelCard":
        names = [head.name for head in self.outputs]
        if "foreground" not in names or len(set(names)) != len(names):
            raise ValueError("outputs must name each head once, 'foreground' among them")
        if self.decoder == "seeded_watershed" and not {"distance", "boundary"} & set(names):
            raise ValueError("decoder seeded_watershed needs a 'distance' or 'boundary' output")
        return self

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the output channels, in order."""
        return tuple(head.name for head in self.outputs)


def read_card(path: Path) -> ModelCard:
    """Read and check the card of a model package.

    Raises
    ------
    ModelError
        If the file is missing or is not a card; the message names the file and the offending key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        card = ModelCard.model_validate(content)
    except OSError as error:
        raise ModelError(f"{path}: the model card cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: the model card is not valid YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}" for e in error.errors())
        raise ModelError(f"{path}: the model card is wrong: {faults}.") from error
    if not card.weights.file.endswith(".safetensors"):
        raise ModelError(f"{path}: the model card is wrong: weights.file: it must end in .safetensors.")
    return card


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card as YAML that `read_card` reads back equal."""
    content = card.model_dump(mode="json", exclude_none=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100), encoding="utf-8")

"""The model card: what a model is, as `model.yaml` states it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from napari_unetseg.bounded_text import read_yaml, short_text
from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.networks.facts import check_limits
from napari_unetseg.networks.foreign_arguments import FOREIGN_SUFFIXES, foreign_arguments, is_foreign
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.zoo.cross_validated import CrossValidated, read_cross_validated

CARD_FILE = "model.yaml"
KNOWN_ANSWER_FILE = "known_answer.safetensors"

# Named here, and not taken from `networks/`, because cards are read where torch must not be loaded.
ArchitectureName = Literal[
    "unet", "cbam_resunet", "hrnet", "attention_unet", "subpixel_unet", "onnx_graph", "torchscript"
]
NETWORK_TITLES: Mapping[ArchitectureName, str] = {
    "unet": "U-Net",
    "cbam_resunet": "CBAM-ResUNet",
    "hrnet": "HRNetV2",
    "attention_unet": "Attention U-Net",
    "subpixel_unet": "Sub-pixel U-Net",
    "onnx_graph": "ONNX graph",
    "torchscript": "TorchScript program",
}
"""What people call the networks."""
# The names of `inference.backends`, which come after this room.
BackendName = Literal["torch", "openvino", "onnxruntime"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    _unsaid: ClassVar[tuple[str, ...]] = ()
    """Fields that older cards do not know: where they have their default they are not written, so that fingerprints of
    older cards stay what they were, and older versions read what does not need the new ones."""

    @model_serializer(mode="wrap")
    def _without_unsaid(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name in self._unsaid:
            if getattr(self, name) == type(self).model_fields[name].default:
                written.pop(name, None)
        return written


class Architecture(_Strict):
    """Which network of `networks/`, and the arguments it is built with.

    ``onnx_graph`` and ``torchscript`` are built by another program: `napari_unetseg.networks.foreign_arguments` says
    what their arguments are.
    """

    name: ArchitectureName
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("arguments")
    @classmethod
    def _can_be_held(cls, arguments: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if is_foreign(info.data.get("name", "")):
            foreign_arguments(arguments)
        else:
            check_limits(arguments)
        return arguments


def _ordered_ends(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError("the first must be below the second")
    return ends


Clip = Annotated[tuple[float, float], AfterValidator(_ordered_ends)]
"""Least and largest value that the network sees; those beyond are set to them."""


class Percentile(_Strict):
    """Map the `low` and `high` percentile of the whole image to 0 and 1, without clipping.

    All channels together, so that colours stay, or each by itself, as stains are.
    """

    _unsaid = ("per_channel", "clip")

    kind: Literal["percentile"] = "percentile"
    low: float = Field(1.0, ge=0, le=100)
    high: float = Field(99.8, ge=0, le=100)
    per_channel: bool = False
    clip: Clip | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Percentile":
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class MinMax(_Strict):
    """Map the smallest and the largest value of the whole image to 0 and 1, all channels together or each by itself."""

    _unsaid = ("per_channel", "clip")

    kind: Literal["min_max"] = "min_max"
    per_channel: bool = False
    clip: Clip | None = None


class ZScore(_Strict):
    """Subtract the mean of the whole image and divide by its standard deviation, or each channel by its own.

    As `zero_mean_unit_variance` of the BioImage Model Zoo does per sample, whose `eps` is added to the deviation.
    """

    kind: Literal["z_score"] = "z_score"
    per_channel: bool = False
    eps: float = Field(1e-6, gt=0, le=0.1)
    clip: Clip | None = None


class Linear(_Strict):
    """Multiply the stored values by `gain` and add `offset`: one of each for all channels, or one a channel.

    Values are taken as they are stored, whatever the pixel type: what an image of 8 bits calls 255 is 255.
    """

    kind: Literal["linear"] = "linear"
    gain: tuple[Annotated[float, Field(gt=0)], ...] = Field((1.0,), min_length=1)
    offset: tuple[float, ...] = Field((0.0,), min_length=1)
    clip: Clip | None = None

    @model_validator(mode="after")
    def _paired(self) -> "Linear":
        if len(self.gain) != len(self.offset):
            raise ValueError("gain and offset must name as many channels")
        return self


class MeanStd(_Strict):
    """Map the full range of the pixel type to 0..1, subtract `mean` and divide by `std`.

    One value for all channels, or one a channel of the network's input; a grey image is repeated
    before they are applied. See `inference.intensity_range.full_range` for what the full range is.
    """

    kind: Literal["mean_std"] = "mean_std"
    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _paired(self) -> "MeanStd":
        if len(self.mean) != len(self.std):
            raise ValueError("mean and std must name as many channels")
        return self


IMAGENET = MeanStd(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def _kind(normalisation: Any) -> Any:
    if isinstance(normalisation, dict):
        return normalisation.get("kind", "percentile")
    return getattr(normalisation, "kind", None)


Normalisation = Annotated[
    Annotated[Percentile, Tag("percentile")]
    | Annotated[MinMax, Tag("min_max")]
    | Annotated[MeanStd, Tag("mean_std")]
    | Annotated[ZScore, Tag("z_score")]
    | Annotated[Linear, Tag("linear")],
    Discriminator(_kind),
]
"""How intensities become network input; a card that names no kind means percentiles."""


class Head(_Strict):
    """One output channel: what it means, and the activation the network already applies to it."""

    name: Literal["foreground", "boundary", "distance", "flow_y", "flow_x"]
    activation: Literal["none", "sigmoid"] = "none"


class TrainingData(_Strict):
    """A data set the weights were trained on."""

    name: str
    licence: str
    citation: str
    images: int


class WeightsFile(_Strict):
    """The file that holds the weights; a plain name, so that a card names nothing outside its folder.

    In a model package it is a `.safetensors` file, or where another program wrote the network the file that holds all
    of it, `.onnx` or `.pt`; the card of a checkpoint names the checkpoint, and its `sha256` is empty as long as the
    checkpoint was not read.
    """

    file: str = Field("weights.safetensors", pattern=r"^[^/\\]+$")
    sha256: str = Field(pattern="^([0-9a-f]{64})?$")


ImageSide = Annotated[int, Field(ge=16, le=16384)]
"""A side to which images are stretched, in pixels; a larger one would need more memory than there is."""

ObjectSizes = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
"""Least and largest typical diameter of objects, in pixels, that a model sees well."""


def is_within_sizes(object_size: float | None, object_sizes: ObjectSizes) -> bool:
    """Tell whether a diameter is known and lies between the two."""
    least, most = object_sizes
    return object_size is not None and least <= object_size <= most


class ModelCard(_Strict):
    """Everything a user or a program needs to know to run a model and to trust it.

    Attributes
    ----------
    input_channels
        3: RGB, grey images repeated three times. 1: grey, RGB images averaged. Other numbers, and what `channel_roles`
        names: as many stains.
    channel_roles
        What each channel of the input shows, such as ``("nucleus", "cytoplasm")``; empty where the input is one
        picture, grey or in colour.
    object_size
        Typical equivalent diameter of an object, in pixels, that the model was trained on.
    object_sizes
        Least and largest typical diameter, in pixels, that the model sees well. An image in which it finds others is
        shown to it again, rescaled to `object_size`, unless a user gives the diameter. None: it never is.
    pixel_size
        Pixel size of the training images in micrometres, where they had one.
    image_size
        Height and width to which every image is stretched before the network sees it, as some
        networks were trained; the probabilities are stretched back. None: images keep their size.
    outputs
        One head an output channel, in order.
    decoder
        ``seeded_watershed`` divides objects by the distance (or boundary) head;
        ``threshold`` knows the foreground alone, and divides nothing unless `parameters` say so.
    backend
        Runtime that the model is meant for; None: whichever is the default. A user's choice goes before it.
    precision
        Arithmetic without which its masks would differ from those of float32; None: whichever is fast. Likewise.
    authors, citations
        Who made the model, and what to cite for it, where somebody else did.
    scores
        Measured figures, with the split they were measured on.
    """

    _unsaid = ("channel_roles", "authors", "citations")

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_\-]*$")
    display_name: str
    description: str
    architecture: Architecture
    input_channels: int = Field(3, ge=1, le=16)
    channel_roles: tuple[str, ...] = ()
    object_size: float | None = Field(None, gt=0)
    object_sizes: ObjectSizes | None = None
    pixel_size: float | None = Field(None, gt=0)
    normalisation: Normalisation = Percentile()
    image_size: tuple[ImageSide, ImageSide] | None = None
    outputs: tuple[Head, ...] = Field(min_length=1)
    decoder: Literal["seeded_watershed", "threshold"]
    parameters: DecodeParameters = DecodeParameters()
    backend: BackendName | None = None
    precision: Literal["float32"] | None = None
    training_data: tuple[TrainingData, ...] = ()
    authors: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    scores: dict[str, Any] = Field(default_factory=dict)
    weights: WeightsFile
    licence: str

    @model_validator(mode="after")
    def _heads_fit_decoder(self) -> "ModelCard":
        names = [head.name for head in self.outputs]
        if "foreground" not in names or len(set(names)) != len(names):
            raise ValueError("outputs must name each head once, 'foreground' among them")
        if self.decoder == "seeded_watershed" and not {"distance", "boundary"} & set(names):
            raise ValueError("decoder seeded_watershed needs a 'distance' or 'boundary' output")
        return self

    @model_validator(mode="after")
    def _object_size_is_among_those_seen_well(self) -> "ModelCard":
        if self.object_sizes is not None and (
            self.image_size or not is_within_sizes(self.object_size, self.object_sizes)
        ):
            raise ValueError("object_sizes needs an object_size between the two, and no image_size")
        return self

    @model_validator(mode="after")
    def _a_foreign_network_fits(self) -> "ModelCard":
        if is_foreign(self.architecture.name):
            given = foreign_arguments(self.architecture.arguments)
            if given.in_channels != self.input_channels:
                raise ValueError(f"input_channels is {self.input_channels}, but in_channels {given.in_channels}")
            if given.out_channels != len(self.outputs):
                raise ValueError(f"outputs names {len(self.outputs)} heads, but out_channels is {given.out_channels}")
        return self

    @property
    def wants_channels(self) -> bool:
        """Whether the input is several stains rather than one picture, grey or in colour."""
        return self.input_channels > 1 and (bool(self.channel_roles) or self.input_channels != 3)

    @model_validator(mode="after")
    def _roles_fit_channels(self) -> "ModelCard":
        if self.channel_roles and len(set(self.channel_roles)) != self.input_channels:
            raise ValueError(f"channel_roles must name each of {self.input_channels} input channels once")
        return self

    @model_validator(mode="after")
    def _normalisation_fits_channels(self) -> "ModelCard":
        named = self.normalisation.mean if isinstance(self.normalisation, MeanStd) else (0.0,)
        named = self.normalisation.gain if isinstance(self.normalisation, Linear) else named
        if len(named) not in (1, self.input_channels):
            raise ValueError(f"normalisation names {len(named)} channels, but input_channels is {self.input_channels}")
        return self

    @model_validator(mode="after")
    def _a_threshold_divides_nothing(self) -> "ModelCard":
        # A user may still turn splitting on; by itself it would cut large objects at their waists.
        if self.decoder == "threshold" and "split" not in self.parameters.model_fields_set:
            object.__setattr__(self, "parameters", self.parameters.model_copy(update={"split": 0.0}))
        return self

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the output channels, in order."""
        return tuple(head.name for head in self.outputs)


def as_name(words: str) -> str:
    """Return the words as a model's name: lower case, and underscores for what a name may not hold."""
    return re.sub(r"[^a-z0-9_\-]+", "_", words.lower()).strip("_-") or "checkpoint"


def read_card(path: Path) -> ModelCard:
    """Read and check the card of a model package.

    Raises
    ------
    ModelError
        If the file is missing or is not a card; the message names the file and the offending key.
    """
    try:
        content = read_yaml(short_text(path))
        card = ModelCard.model_validate(content)
    except OSError as error:
        raise ModelError(
            Sentence("{path}: the model card cannot be read ({reason}).", path=path, reason=error.strerror)
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(
            Sentence("{path}: the model card is not valid YAML: {reason}", path=path, reason=error)
        ) from error
    except ValidationError as error:
        raise ModelError(
            Sentence("{path}: the model card is wrong: {faults}.", path=path, faults=explain_card_error(error))
        ) from error
    if not card.weights.sha256:
        raise ModelError(Sentence("{path}: the model card is wrong: weights.sha256: it must not be empty.", path=path))
    suffix = FOREIGN_SUFFIXES.get(card.architecture.name, ".safetensors")
    if not card.weights.file.endswith(suffix):
        raise ModelError(
            Sentence(
                "{path}: the model card is wrong: weights.file: it must end in {suffix}.", path=path, suffix=suffix
            )
        )
    return card


def explain_card_error(error: ValidationError) -> str:
    """Say which keys of a card are wrong, and why."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}" for e in error.errors())


_MAIN_SCORES = ("dice", "ap50", "ap75")


def headline(scores: Mapping[str, Any]) -> str:
    """Say the main figures of a card in a line: those of a cross-validation, else those of the first split."""
    if (validated := read_cross_validated(scores)) is not None:
        return _cross_validated_line(validated)
    figures = {name: value for name, value in scores.items() if isinstance(value, int | float)}
    count = figures.pop("images", None)
    # A card that trained here has ten; these say most.
    figures = {name: figures[name] for name in _MAIN_SCORES if name in figures} or figures
    if figures:
        line = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
        return Sentence("{scores} ({images} images)", scores=line, images=count) if count else line
    nested = (value for value in scores.values() if isinstance(value, Mapping))
    return headline(next(nested, {})) if scores else ""


def _cross_validated_line(validated: CrossValidated) -> Sentence:
    figures = [(name, getattr(validated, name), validated.spread.get(name)) for name in _MAIN_SCORES]
    line = ", ".join(
        f"{name} {value:.3g}" if spread is None else f"{name} {value:.3g} ± {spread:.2g}"
        for name, value, spread in figures
        if value is not None
    )
    return Sentence(
        "{scores} ({images} images, cross-validated in {folds} parts)",
        scores=line,
        images=validated.images,
        folds=validated.folds,
    )


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card as YAML that `read_card` reads back equal."""
    content = card.model_dump(mode="json", exclude_none=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100), encoding="utf-8")

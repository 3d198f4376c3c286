"""The recipe of a model: all that decides its weights, besides the data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_unetseg.bounded_text import read_yaml, short_text
from napari_unetseg.errors import UnetsegError
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.job_folder import NetworkSize, ObjectType
from napari_unetseg.training.targets import HeadName
from napari_unetseg.zoo.card import ObjectSizes, Percentile, is_within_sizes

WORDS = frozenset({"name", "display_name", "description", "licence", "data"})
"""Fields of a recipe that only the model's card shows."""

Metric = Literal["ap", "ap50", "dice"]
"""Scores that may choose weights and decoder parameters."""


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("the least must come first, then the greatest")
    return ends


Range = Annotated[tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(_rising)]
"""Least and greatest of what is drawn."""


class RecipeError(UnetsegError):
    """A recipe cannot be read or makes no sense."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(_Strict):
    """Where the data come from, for the model card."""

    name: str
    licence: str = "not stated"
    citation: str = "none"


class Split(_Strict):
    """How images are held out for validation.

    Attributes
    ----------
    fraction
        Least part of each kind's images to hold out, in whole groups of like images.
    distance
        Groups further apart than this, in standard deviations of their appearances, are separate.
    seed
        Which groups.
    """

    fraction: float = Field(0.15, gt=0, lt=1)
    distance: float = Field(1.0, gt=0)
    seed: int = 0


class Augmentation(_Strict):
    """How much training crops vary; each number is the end of a range or a probability.

    Attributes
    ----------
    scale
        Least and greatest magnification.
    diameter
        Instead of `scale`: least and greatest diameter that an image's median object has in the crop,
        in pixels. For images of one thing at many magnifications.
    aim
        Probability that `diameter`, where it is given, decides rather than `scale`.
    smallest_object, largest_object
        An image is never shrunk so far that its median object is narrower than the one, in pixels, nor magnified so
        far that it is wider than the other; of that, no further than `scale` or `diameter` may decide.
    on_object
        Probability that a crop is laid around a pixel of an object, where objects are few.
    rotate
        Probability of a rotation by any angle; right angles and flips are always drawn.
    stretch, shear
        One side of a crop may be stretched by up to 1 + stretch against the other, and be slanted by up to this much
        of the other.
    invert, grey, shuffle, tint
        Probability that intensities are inverted, that colour is dropped, that channels change
        places, and that a grey image is given a colour.
    recolour
        Probability that a crop whose colour was dropped is shown in a single one instead.
    stain
        Probability that a coloured crop has more or less of each of its dyes, its channels taken for what light is
        left by haematoxylin, eosin and DAB.
    dye
        Probability that a grey crop of bright objects is shown as stained tissue under white light. For models of
        nuclei, of which there are many images in fluorescence and few in tissue.
    balance
        White balance: each channel of a coloured crop is multiplied or divided by up to 1 + balance.
    gain, offset, gamma
        Contrast is multiplied or divided by up to 1 + gain, up to ± offset is added, and intensities
        are raised to a power of up to 1 + gamma or its inverse.
    elastic
        Standard deviation, in pixels of the crop, by which points of a coarse net are moved.
    shade
        Uneven illumination: how far the brightness of one place may differ from another's, as a part.
    haze
        Uneven light from elsewhere: how much is added in one place or taken in another, at most.
    local_contrast
        Probability that contrast against the surroundings is multiplied or divided by up to 1.8.
    sharpen
        Probability that edges are made steeper, as many cameras do.
    blur, noise
        Greatest standard deviation of a Gaussian blur (pixels) and of added noise.
    grain
        Greatest width of the noise's grains in pixels: an image that is enlarged for the network has wide ones.
    photons
        Probability of noise that grows with the light's square root, as few photons make it.
    levels
        Probability that 8 to 64 levels of intensity are left.
    jpeg
        Probability of the blocks and ringing that a JPEG file leaves.
    paste
        Probability that objects of another image of the same kind are pasted where there is room for them.
    """

    scale: Range = (0.5, 2.0)
    diameter: Range | None = None
    aim: float = Field(1.0, ge=0, le=1)
    smallest_object: float = Field(8.0, ge=0)
    largest_object: float | None = Field(None, gt=0)
    on_object: float = Field(0.0, ge=0, le=1)
    rotate: float = Field(0.3, ge=0, le=1)
    stretch: float = Field(0.0, ge=0)
    shear: float = Field(0.0, ge=0, lt=1)
    invert: float = Field(0.3, ge=0, le=1)
    grey: float = Field(0.2, ge=0, le=1)
    shuffle: float = Field(0.2, ge=0, le=1)
    tint: float = Field(0.15, ge=0, le=1)
    recolour: float = Field(0.0, ge=0, le=1)
    stain: float = Field(0.0, ge=0, le=1)
    dye: float = Field(0.0, ge=0, le=1)
    balance: float = Field(0.0, ge=0)
    gain: float = Field(0.5, ge=0)
    offset: float = Field(0.15, ge=0)
    gamma: float = Field(0.6, ge=0)
    elastic: float = Field(0.0, ge=0)
    shade: float = Field(0.0, ge=0, lt=1)
    haze: float = Field(0.0, ge=0)
    local_contrast: float = Field(0.0, ge=0, le=1)
    sharpen: float = Field(0.0, ge=0, le=1)
    blur: float = Field(1.5, ge=0)
    noise: float = Field(0.1, ge=0)
    grain: float = Field(1.0, ge=1)
    photons: float = Field(0.0, ge=0, le=1)
    levels: float = Field(0.0, ge=0, le=1)
    jpeg: float = Field(0.0, ge=0, le=1)
    paste: float = Field(0.0, ge=0, le=1)


class TrainingRecipe(_Strict):
    """What to train, on crops of what size, for how long.

    Attributes
    ----------
    name, display_name, description, licence
        For the model card.
    data
        Where the training images come from.
    architecture, features
        `napari_unetseg.networks.UNet` or `SubpixelUNet`, and its channels at each level.
    block
        Side of the blocks of a `SubpixelUNet`.
    norm
        ``"batch"``, or ``"instance"`` as in the published SpheroHQ U-Net, whose results depend on the whole of what
        the network sees: its tiles cannot agree with the whole image.
    heads
        What the network predicts: ``"foreground"`` and, where objects are told apart, ``"distance"`` or
        ``"boundary"``.
    auxiliary
        Heads that are learnt besides these, for what the others gain from it, and left out of the package.
    object_size, object_sizes
        For the model card, see `ModelCard`: the diameter at which objects are best seen, that of the median object of
        the training images if left out, and the least and largest that are seen well as they are. Held-out images
        with others are scored as the model will segment them, rescaled.
    metric
        Score by which weights and decoder parameters are chosen: ``"ap50"`` where objects count, ``"ap"``
        (the mean over IoU 0.5 to 0.9) where their outlines do too, ``"dice"`` where masks do not tell
        objects apart.
    parameters
        Decoder parameters for validation while training; they are tuned at the end.
    scenes
        How many procedural scenes of round things are trained on besides the images, as a kind of their own, see
        `napari_unetseg.training.synthetic_scenes`; they come from the recipe's seed.
    rare
        How often rare images are drawn: a kind's share, and in it that of a group of like images, grows with its
        number of images to this power. At 1 each image is drawn alike, at 0 each kind and group.
    crop, batch
        Side of a training crop in pixels, a multiple of 2^depth; crops a step.
    steps, warm_up
        Optimiser steps, and how many of them the learning rate takes to rise; it then falls to zero
        along a cosine. None, and the weights of `start_from` are the model's.
    minutes
        Time for training, validations included, after which it ends before the last step; the learning rate then falls
        by the time that has passed. None: as long as the steps take.
    average
        Decay of the running average of the weights that is validated and exported.
    validate_every
        Steps between validations; the weights that score best are exported.
    patience
        Validations without a better score after which training stops early; none, and it never does.
    seed
        Of the first weights and of every crop.
    start_from
        Where the first weights come from instead: checkpoints such as ``best.pt``, or model packages of the same
        network, by their paths, of whose heads those are taken that the recipe has too. Of several the mean is taken,
        which of runs that began alike often is better than either (Wortsman et al., Model soups, ICML 2022).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_\-]*$")
    display_name: str
    description: str
    licence: str = "not stated"
    data: Source
    architecture: Literal["unet", "subpixel_unet"] = "unet"
    features: tuple[Annotated[int, Field(ge=1)], ...] = Field((16, 32, 64, 128, 256), min_length=2)
    block: Literal[2, 4] = 2
    norm: Literal["batch", "instance"] = "batch"
    heads: tuple[HeadName, ...] = ("foreground", "distance")
    auxiliary: tuple[HeadName, ...] = ()
    object_size: float | None = Field(None, gt=0)
    object_sizes: ObjectSizes | None = None
    metric: Metric = "ap50"
    normalisation: Percentile = Percentile()
    split: Split = Split()
    augmentation: Augmentation = Augmentation()
    parameters: DecodeParameters = DecodeParameters()
    scenes: int = Field(0, ge=0)
    rare: float = Field(0.5, ge=0, le=1)
    crop: int = Field(192, ge=16)
    batch: int = Field(8, ge=2)
    steps: int = Field(4000, ge=0)
    warm_up: int = Field(200, ge=0)
    minutes: float | None = Field(None, gt=0)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    average: float = Field(0.998, ge=0, lt=1)
    validate_every: int = Field(500, ge=1)
    patience: int | None = Field(None, ge=1)
    seed: int = 0
    start_from: tuple[str, ...] = ()

    @field_validator("start_from", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _weights_come_from_somewhere(self) -> "TrainingRecipe":
        if not self.steps and not self.start_from:
            raise ValueError("steps may be 0 only with start_from, which then gives the weights")
        return self

    @model_validator(mode="after")
    def _crop_fits_poolings(self) -> "TrainingRecipe":
        grid = (1 if self.architecture == "unet" else self.block) * 2 ** (len(self.features) - 1)
        if self.crop % grid:
            raise ValueError(f"crop must be a multiple of {grid} for {len(self.features)} levels of features")
        return self

    @model_validator(mode="after")
    def _heads_make_objects(self) -> "TrainingRecipe":
        if "foreground" not in self.heads or len(set(self.learnt)) != len(self.learnt):
            raise ValueError("heads must name 'foreground', and with auxiliary no head twice")
        if len(self.heads) > 1 and not {"distance", "boundary"} & set(self.heads):
            raise ValueError(
                "heads must name 'distance' or 'boundary', by which objects are told apart, or 'foreground' alone; "
                "flows may be auxiliary"
            )
        return self

    @field_validator("normalisation")
    @classmethod
    def _colours_stay(cls, normalisation: Percentile) -> Percentile:
        if normalisation.per_channel or normalisation.clip is not None:
            raise ValueError("training knows neither per_channel nor clip")
        return normalisation

    @model_validator(mode="after")
    def _object_size_is_among_those_seen_well(self) -> "TrainingRecipe":
        if self.object_sizes is not None and not is_within_sizes(self.object_size, self.object_sizes):
            raise ValueError("object_sizes needs an object_size between the two")
        return self

    @property
    def learnt(self) -> tuple[HeadName, ...]:
        """What the network predicts while it is trained: `heads`, then `auxiliary`."""
        return self.heads + self.auxiliary


_OBJECTS: Mapping[ObjectType, Mapping[str, Any]] = {
    "touching": {"heads": ("foreground", "distance"), "auxiliary": ("boundary",), "metric": "ap50"},
    "area": {"heads": ("foreground",), "auxiliary": (), "metric": "dice", "parameters": {"split": 0.0}},
}
_SIZES: Mapping[NetworkSize, Mapping[str, Any]] = {
    "tiny": {"features": (16, 32, 64, 96), "crop": 128},
    "standard": {"features": (32, 64, 96, 128, 160), "crop": 192},
}
_QUICK = {"architecture": "subpixel_unet", "block": 2, "batch": 8, "warm_up": 50, "validate_every": 100}


def fields_for(objects: ObjectType | None = None, size: NetworkSize | None = None) -> dict[str, Any]:
    """Return fields of a recipe for objects of a type and a network of a size, each where it is given.

    Parameters
    ----------
    objects
        ``"touching"`` ones are told apart by how deep a pixel lies in its object; of an ``"area"`` only the
        foreground is learnt, and nothing is divided.
    size
        ``"tiny"`` has 0.4 million parameters, ``"standard"`` 1.9 million. Both compute at half the resolution, and
        learn on a laptop's processor.
    """
    of_objects = {} if objects is None else _OBJECTS[objects]
    of_size = {} if size is None else {**_QUICK, **_SIZES[size]}
    return {**of_objects, **of_size}


def read_training_recipe(path: Path) -> TrainingRecipe:
    """Read and check a recipe.

    Raises
    ------
    RecipeError
        If the file is missing or is no recipe; the message names the file and the offending key.
    """
    try:
        return TrainingRecipe.model_validate(read_yaml(short_text(path)))
    except OSError as error:
        raise RecipeError(f"{path}: the recipe cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: the recipe is not valid YAML: {error}") from error
    except ValidationError as error:
        raise RecipeError(f"{path}: the recipe is wrong: {explain_recipe_error(error)}.") from error


def write_training_recipe(recipe: TrainingRecipe, path: Path) -> None:
    """Write a recipe as YAML that `read_training_recipe` reads back equal."""
    content = recipe.model_dump(mode="json")
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100), encoding="utf-8")


def explain_recipe_error(error: ValidationError) -> str:
    """Say in one line which keys are wrong, and why."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors())

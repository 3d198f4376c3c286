"""The recipe of a model: all that decides its weights, besides the data."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_unetseg.errors import UnetsegError
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.zoo.card import Architecture, Normalisation, TrainingData


class RecipeError(UnetsegError):
    """A recipe cannot be read."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(_Strict):
    """How images are held out.

    Attributes
    ----------
    validation_list
        File of held-out stems, one a line, beside the recipe. Without one they are chosen by look.
    fraction
        Least part of each kind's images to hold out, in whole groups of like images.
    distance
        Groups further apart than this, in standard deviations of their looks, are separate.
    seed
        Which groups.
    """

    validation_list: str | None = None
    fraction: float = Field(0.15, gt=0, lt=1)
    distance: float = Field(1.0, gt=0)
    seed: int = 0


class Augmentation(_Strict):
    """How much training crops vary; each number is the end of a range or a probability.

    Attributes
    ----------
    scale
        Least and greatest magnification.
    smallest_object
        An image is never shrunk so far that its median object is narrower than this, in pixels.
    rotate
        Probability of a rotation by any angle; right angles and flips are always drawn.
    invert, grey, shuffle, tint
        Probability that intensities are inverted, colour is dropped, channels change places, and a
        grey image is given a colour.
    gain, offset, gamma
        Contrast is multiplied by up to 1 + gain or divided by it, up to ± offset is added, and
        intensities are raised to a power of up to 1 + gamma or its inverse.
    blur, noise
        Greatest standard deviation of a Gaussian blur (pixels) and of added noise.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    smallest_object: float = 8.0
    rotate: float = 0.3
    invert: float = 0.3
    grey: float = 0.2
    shuffle: float = 0.2
    tint: float = 0.15
    gain: float = 0.5
    offset: float = 0.15
    gamma: float = 0.6
    blur: float = 1.5
    noise: float = 0.1


class Recipe(_Strict):
    """What to train, on crops of what size, for how long.

    Attributes
    ----------
    crop, batch
        Side of a training crop in pixels (a multiple of 2^depth), and crops a step.
    steps, warm_up
        Optimiser steps, and how many of them the learning rate takes to rise; it then falls to zero
        along a cosine.
    average
        Decay of the running average of the weights (EMA) that is validated and exported.
    validate_every
        Steps between validations; the best validated weights are the ones exported.
    parameters
        Decoder parameters for validation while training; they are tuned at the end.
    """

    name: str
    display_name: str
    description: str
    architecture: Architecture
    normalisation: Normalisation = Normalisation()
    input_channels: Literal[3] = 3
    licence: str
    data: TrainingData
    split: Split = Split()
    augmentation: Augmentation = Augmentation()
    parameters: DecodeParameters = DecodeParameters()
    crop: int = Field(224, ge=32)
    batch: int = Field(8, ge=2)
    steps: int = Field(6000, ge=1)
    warm_up: int = Field(200, ge=0)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    average: float = Field(0.998, ge=0, lt=1)
    validate_every: int = Field(500, ge=1)
    seed: int = 0


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises
    ------
    RecipeError
        If the file is missing or is no recipe; the message names the file and the offending key.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecipeError(f"{path}: the recipe cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: the recipe is not valid YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"{path}: the recipe is wrong: {faults}.") from error

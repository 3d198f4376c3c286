"""What a cross-validation says of a model, as its card states it under `scores`."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

CROSS_VALIDATION = "cross_validation"
"""Its key among a card's scores."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Figures(_Strict):
    """Means over images, see `napari_unetseg.training.scores.MEASURES`; those of objects where they are told apart."""

    images: int = Field(ge=1)
    dice: float
    iou: float
    ap50: float | None = None
    ap75: float | None = None
    ap90: float | None = None
    ap: float | None = None
    precision: float | None = None
    recall: float | None = None
    count_error: float | None = None
    count_bias: float | None = None


class FoundOfSize(_Strict):
    """How many objects of a size were annotated, and which part of them was found at an IoU of 0.5."""

    objects: int = Field(ge=1)
    found: float


class CrossValidated(Figures):
    """Means over all images, each scored by a network that saw nothing of its fold.

    Attributes
    ----------
    folds
        How many there are.
    spread
        Standard deviation of each measure over the means of the folds.
    per_kind, per_fold
        The means of each kind of image, and of each fold by its number.
    by_size
        What was found of the objects of each class of equivalent diameter, such as ``"16 to 24 px"``.
    """

    folds: int = Field(ge=2)
    spread: dict[str, float]
    per_kind: dict[str, Figures]
    per_fold: dict[str, Figures]
    by_size: dict[str, FoundOfSize] = Field(default_factory=dict)


def read_cross_validated(scores: Mapping[str, Any]) -> CrossValidated | None:
    """Return what a card's scores say of a cross-validation; None where they say nothing of it, or in other words."""
    try:
        return CrossValidated.model_validate(scores.get(CROSS_VALIDATION))
    except ValidationError:
        return None


def main_scores(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the figures that say most of a model that was trained here: cross-validated, else of held-out images."""
    main: Mapping[str, Any] = scores.get(CROSS_VALIDATION) or scores["validation"]
    return main

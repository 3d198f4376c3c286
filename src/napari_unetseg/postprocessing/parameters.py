"""The numbers a user turns to get from probabilities to objects."""

from pydantic import BaseModel, ConfigDict, Field

MAX_SMOOTHING = 20
"""Largest radius of smoothing in pixels: beyond it, what is left has little to do with the object."""


class DecodeParameters(BaseModel):
    """How a probability map becomes objects; every model card carries its own defaults.

    Attributes
    ----------
    threshold
        Pixels whose foreground probability is at least this belong to an object, 0 to 1.
    min_size
        Objects of fewer pixels are dropped.
    split
        How readily touching objects are divided, from 0 (touching objects stay one) to 1 (at the
        slightest hint). The decoder's documentation says what the number means to it.
    fill_holes
        Whether holes inside an object become part of it.
    smoothing
        Radius in pixels below which spikes and notches of an outline are evened out; 0 leaves outlines as they are.
    min_confidence
        Objects whose mean foreground probability is lower are dropped, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(0.5, ge=0, le=1)
    min_size: int = Field(20, ge=0)
    split: float = Field(0.5, ge=0, le=1)
    fill_holes: bool = True
    smoothing: int = Field(0, ge=0, le=MAX_SMOOTHING)
    min_confidence: float = Field(0.0, ge=0, le=1)

"""What a training run tells those who watch it: plain events, and a line of JSON for each.

Nothing here imports torch, so that a window may read them.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class Told(_Event):
    """A sentence for people about what happens."""

    kind: Literal["told"] = "told"
    text: str


class Begun(_Event):
    """Training begins, or goes on.

    Attributes
    ----------
    images, held_out
        How many are learned from, and how many are only scored.
    metric
        Name of the score that chooses the best weights.
    before
        Score of the model that is improved, on what is held out; None for a new model.
    resumed
        Whether it goes on from a checkpoint.
    """

    kind: Literal["begun"] = "begun"
    images: int
    held_out: int
    device: str
    metric: str
    before: float | None = None
    resumed: bool = False


class Stepped(_Event):
    """A step was taken.

    Attributes
    ----------
    progress
        How much of the run is done, 0 to 1.
    seconds, remaining
        Time since the beginning, of all sittings, and what is likely to be left.
    """

    kind: Literal["stepped"] = "stepped"
    step: int
    loss: float
    progress: float
    seconds: float
    remaining: float | None = None


class Validated(_Event):
    """The model so far was scored.

    Attributes
    ----------
    score
        By the metric that `Begun` named; None where nothing is held out.
    best
        Whether no earlier score was as good.
    preview
        File (.npy) with the labels, int32 (Y, X), that the model so far finds in the image that was given for that.
    """

    kind: Literal["validated"] = "validated"
    step: int
    loss: float
    score: float | None
    best: bool
    seconds: float
    preview: Path | None = None


class Finished(_Event):
    """The model package is written.

    Attributes
    ----------
    model
        Its folder.
    name, display_name
        As on its card.
    before, after
        Scores on what was held out, by name; `before` is empty for a new model.
    stopped
        Whether somebody stopped it early.
    """

    kind: Literal["finished"] = "finished"
    model: Path
    name: str
    display_name: str
    before: dict[str, float] = Field(default_factory=dict)
    after: dict[str, float] = Field(default_factory=dict)
    stopped: bool = False
    seconds: float = 0.0


class Failed(_Event):
    """It ended without a model, for the reason that the sentence tells."""

    kind: Literal["failed"] = "failed"
    text: str


TrainingEvent = Told | Begun | Stepped | Validated | Finished | Failed

_EVENTS: TypeAdapter[TrainingEvent] = TypeAdapter(Annotated[TrainingEvent, Field(discriminator="kind")])


def event_line(event: TrainingEvent) -> str:
    """Return an event as one line of JSON."""
    return event.model_dump_json()


def read_event(line: str) -> TrainingEvent:
    """Read what `event_line` wrote.

    Raises
    ------
    ValueError
        If the line is no event.
    """
    return _EVENTS.validate_json(line)

"""The card of an improved model: what it learned from, for how long, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unetseg.zoo.card import ModelCard, as_name

MOST_NAMES = 20
"""Images that a card names."""


@dataclass(frozen=True)
class Outcome:
    """What an improvement came to.

    Attributes
    ----------
    images
        Names of those that were corrected.
    before, after
        Scores by name.
    how
        What they were measured on.
    learnt_from, held_back
        Numbers of regions.
    minutes
        How long it took.
    stopped
        Whether somebody ended it early.
    old_weights
        Whether nothing better was found than the old model's weights.
    """

    images: Sequence[str]
    before: dict[str, float]
    after: dict[str, float]
    how: str
    learnt_from: int
    held_back: int
    minutes: float
    stopped: bool
    old_weights: bool


def improved_fields(
    old: ModelCard, card: ModelCard, folder: Path, display_name: str | None, outcome: Outcome
) -> dict[str, Any]:
    """Return the fields of the new model's card but for the weights.

    Parameters
    ----------
    old
        The card of the model that was improved.
    card
        The same with the sizes and parameters that suit what was learnt.
    folder
        Of the new package; its name is the model's.
    display_name
        None: one that tells the old model and the images.
    """
    shown = ", ".join(outcome.images[:2])
    if len(outcome.images) > 2:
        shown += f" and {len(outcome.images) - 2} more"
    corrections = {
        "name": f"Corrections by the user of {', '.join(outcome.images[:MOST_NAMES])}",
        "licence": "the user's own",
        "citation": "none",
        "images": len(outcome.images),
    }
    scores = {
        "split": outcome.how,
        "before": outcome.before,
        "after": outcome.after,
        "improved": {
            "from": f"{old.name}, weights of SHA-256 {old.weights.sha256[:12]}...",
            "regions_learnt_from": outcome.learnt_from,
            "regions_held_back": outcome.held_back,
            "minutes": round(outcome.minutes, 2),
            "stopped_early": outcome.stopped,
            "old_weights_kept": outcome.old_weights,
        },
    }
    return card.model_dump(exclude={"weights"}) | {
        "name": as_name(folder.name),
        "display_name": display_name or f"{old.display_name}, improved on {shown}",
        "description": f"{old.description} Improved on corrected regions of {shown}.",
        "training_data": [*(data.model_dump() for data in old.training_data), corrections],
        "scores": scores,
    }

"""What of corrected regions is learnt from, and what is held back to score what was learnt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_unetseg.training.corrected_regions import Region, divide

ENOUGH = 4
"""From so many regions on some are held back."""

HELD_BACK = 0.25
"""Part of the regions that is held back, where there are enough of them."""

MOST_HELD_BACK = 8

MAIN_SHARE, FOLDS_SHARE = 0.66, 0.34
"""Parts of the time for learning: for the model itself where others are made to score it, and for these together."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A model that learns from some regions and is scored on others.

    Attributes
    ----------
    end
        Part of the time for learning that is over when it ends.
    """

    learnt: tuple[Region, ...]
    scored: tuple[Region, ...]
    end: float


def plan_stages(regions: Sequence[Region]) -> list[Stage]:
    """Say what is learnt and what is held back."""
    if len(regions) >= ENOUGH:
        count = min(max(1, round(HELD_BACK * len(regions))), MOST_HELD_BACK)
        # Spread over the images, which are in order.
        places = np.unique(np.linspace(0, len(regions), 2 * count + 1)[1::2].astype(int))
        held = tuple(regions[place] for place in places)
        learnt = tuple(region for place, region in enumerate(regions) if place not in places)
        return [Stage(learnt, held, 1.0)]
    parts = divide(regions[0]) if len(regions) == 1 else list(regions)
    stages = [Stage(tuple(regions), tuple(regions), MAIN_SHARE)]
    for number in range(len(parts)):
        others = tuple(part for place, part in enumerate(parts) if place != number)
        share = MAIN_SHARE + FOLDS_SHARE * (number + 1) / len(parts)
        stages.append(Stage(others, (parts[number],), share))
    return stages

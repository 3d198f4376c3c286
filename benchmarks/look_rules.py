"""Rules that choose among looks at an image in several sizes, for `looks.py`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGNIFICATIONS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
AS_IT_IS = MAGNIFICATIONS.index(1.0)
IDEALS = (12, 15, 20, 25, 30, 40, 50, 60)
"""Diameters in pixels of the network that a rule may aim at."""

LIMITS = (8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 22, 25, 28, 32, 36, 40, 45, 50, 55, 60, 65, 70)
"""Diameters beyond which a second look may be worth it."""

DEARER = 1.1
"""How many times the pixels of today a default may show the network."""

DEAD_ZONES = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
"""How far off, as a natural logarithm, a diameter may be before the image is seen at another size."""

Measure = str


class Score(NamedTuple):
    """Of one image."""

    ap50: float
    ap75: float
    dice: float


class Setting(NamedTuple):
    """What came of one way to look, and how many pixels the network saw for each of the image's."""

    score: Score
    cost: float


@dataclass(frozen=True)
class Looked:
    """An image after all looks.

    Attributes
    ----------
    diameter
        Of what was found at the image's own size, in its pixels; None of fewer than two objects.
    settings
        By name: the magnifications, "today", averages and merges.
    measures
        Known without the truth, one number for each magnification; more is better.
    """

    kind: str
    group: str
    pixels: int
    diameter: float | None
    settings: dict[str, Setting]
    measures: dict[Measure, list[float]]


Choice = tuple[str, ...]
"""The setting that is taken for each image."""


@dataclass(frozen=True)
class Rule:
    """A name and the choices among which its constants decide; the first is taken where others are no better.

    Attributes
    ----------
    cost
        Pixels that the network sees; None: those of what is taken.
    looks_first
        Whether the image is seen as it is before it is seen at another size.
    """

    name: str
    choices: Sequence[Choice]
    cost: float | None = None
    looks_first: bool = False

    def row(self, looked: Sequence[Looked], deals: Sequence[NDArray[np.int_]]) -> dict[str, Any]:
        """Score the rule on the half that its constants were not chosen on."""
        taken = [_out_of_half(looked, self.choices, halves) for halves in deals]
        scores = np.array([looked_at.settings[name].score for looked_at, name in zip(looked, taken[0], strict=True)])
        kinds = np.array([one.kind for one in looked])
        others = [
            np.mean([one.settings[n].score.ap50 for one, n in zip(looked, choice, strict=True)]) for choice in taken[1:]
        ]
        cost = cost_of(looked, taken[0]) if self.cost is None else self.cost
        if self.looks_first:
            cost += sum(one.pixels for one, name in zip(looked, taken[0], strict=True) if name != "1.0")
        return {
            "rule": self.name,
            "scores": [round(float(value), 4) for value in scores.mean(axis=0)],
            "kinds": [round(float(scores[kinds == kind, 0].mean()), 4) for kind in sorted(set(kinds))],
            "deals": f"{np.mean(others):.3f} ± {np.std(others):.3f}" if len(self.choices) > 1 else "",
            "cost": round(cost / cost_of(looked, ("today",) * len(looked)), 3),
        }


def cost_of(looked: Sequence[Looked], choice: Choice) -> float:
    """Return how many pixels the network sees."""
    return sum(one.pixels * one.settings[name].cost for one, name in zip(looked, choice, strict=True))


def rules(looked: Sequence[Looked]) -> Iterator[Rule]:
    """Yield everything that is compared."""
    count = len(looked)
    for name in looked[0].settings:
        yield Rule(name, [(name,) * count])
    everything = sum(one**2 for one in MAGNIFICATIONS) * sum(one.pixels for one in looked)
    names = list(map(str, MAGNIFICATIONS))
    best = tuple(max(names, key=lambda name: one.settings[name].score.ap50) for one in looked)
    yield Rule("best magnification of each image, by its truth", [best], everything)
    for measure in looked[0].measures:
        values = np.array([one.measures[measure] for one in looked])
        yield Rule(f"by {measure}", list(_by_measure(values)), everything)
    found = np.array([one.diameter or np.nan for one in looked])
    yield Rule("by the diameter found at 1", [("1.0",) * count, *_by_diameter(found)], looks_first=True)
    for name, beyond in (("0.7, 1", 1), ("1, 2", -1)):
        again = f"mean of the maps of {name}"
        choices = [tuple(np.where(beyond * found > beyond * limit, again, "1.0")) for limit in LIMITS]
        most = DEARER * cost_of(looked, ("today",) * count)
        cheap = [choice for choice in choices if cost_of(looked, choice) <= most]
        size = "wider" if beyond > 0 else "narrower"
        yield Rule(f"{again} where objects are {size} than a limit", [("1.0",) * count, *cheap])


def deal_groups(looked: Sequence[Looked], seed: int) -> NDArray[np.int_]:
    """Deal whole groups into halves, kind by kind, each to the smaller half: large ones first, or as drawn."""
    random = np.random.default_rng(seed)
    halves = np.zeros(len(looked), int)
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, one in enumerate(looked):
        members[one.kind][one.group].append(number)
    for kind in sorted(members):
        groups = sorted(members[kind].items(), key=lambda group: (-len(group[1]), group[0]))
        if seed:
            groups = [groups[place] for place in random.permutation(len(groups))]
        counts = [0, 0]
        for _, images in groups:
            half = int(random.integers(2)) if seed and counts[0] == counts[1] else int(counts[1] < counts[0])
            counts[half] += len(images)
            halves[images] = half
    return halves


def _out_of_half(looked: Sequence[Looked], choices: Sequence[Choice], halves: NDArray[np.int_]) -> Choice:
    scores = np.array(
        [[one.settings[name].score.ap50 for one, name in zip(looked, choice, strict=True)] for choice in choices]
    )
    taken = np.empty(len(looked), object)
    for half in (0, 1):
        best = int(scores[:, halves != half].mean(axis=1).round(6).argmax())
        taken[halves == half] = np.array(choices[best], object)[halves == half]
    return tuple(taken)


def _by_measure(values: NDArray[np.float64]) -> Iterator[Choice]:
    """Yield choices of the largest value where it exceeds that of the image as it is by some margin."""
    names = np.array(list(map(str, MAGNIFICATIONS)), object)
    own, largest = values[:, AS_IT_IS], values.argmax(axis=1)
    gains = values.max(axis=1) - own
    yield tuple(np.full(len(values), names[AS_IT_IS]))
    for margin in np.quantile(gains, np.linspace(0, 0.95, 12)):
        yield tuple(names[np.where(gains > margin, largest, AS_IT_IS)])


def _by_diameter(found: NDArray[np.float64]) -> Iterator[Choice]:
    """Yield choices of the magnification that brings what was found nearest to an ideal, outside of a dead zone."""
    names = np.array(list(map(str, MAGNIFICATIONS)), object)
    for ideal in IDEALS:
        off = np.abs(np.log(np.nan_to_num(found, nan=ideal)[:, np.newaxis] * np.array(MAGNIFICATIONS) / ideal))
        for zone in DEAD_ZONES:
            yield tuple(names[np.where(off[:, AS_IT_IS] > zone, off.argmin(axis=1), AS_IT_IS)])

"""How the network sees the planes of a job, decided once for all processes: size, windows, and where answers belong."""

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.inference.tiling.plan import TileLimits, TilePlan, plan_tiling
from napari_unetseg.networks.facts import network_facts
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.blockwise.job import Network
    from napari_unetseg.image import Image


class NetworkPlan(BaseModel):
    """How each plane of a job is shown to the network.

    Attributes
    ----------
    shape
        Height and width of a plane in pixels.
    diameter
        By which it is rescaled: that which was asked for, or that which the network's first answer asks for.
    resized_to
        Height and width to which it is stretched; None where it keeps its size.
    largest_window
        Side that a window may have; None where the network sees each plane whole.
    is_blended
        Whether windows overlap and are blended.
    remarks
        Sentences on the size in which the network sees planes.
    warnings
        Sentences on the windows.
    source, facts
        What finds the model again, and how the process that planned computes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, int]
    diameter: float | None
    resized_to: tuple[int, int] | None
    largest_window: int | None
    is_blended: bool
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]
    source: str
    facts: RunFacts

    @classmethod
    def of(
        cls,
        network: "Network",
        image: "Image",
        diameter: float | None,
        window: int | None,
        limit: int | None,
        remarks: tuple[str, ...] = (),
    ) -> "NetworkPlan":
        """Plan as a network would see an image now; see `Network.plan_image`."""
        tiling = network.plan_image(image, diameter, window, limit)
        return cls(
            shape=image.shape,
            diameter=diameter,
            resized_to=tiling.resized_to,
            largest_window=tiling.largest_window,
            is_blended=tiling.tiles[0].row_weights is not None,
            remarks=remarks,
            warnings=tiling.warnings,
            source=network.source,
            facts=network.facts,
        )

    @property
    def key(self) -> str:
        """A word for the windows: answers of other ones must not be mixed with theirs."""
        decisive = f"{self.resized_to} {self.largest_window} {self.is_blended}"
        return hashlib.sha256(decisive.encode()).hexdigest()[:12]

    def tiling(self, card: ModelCard) -> TilePlan:
        """Return the windows, which are the same in every process."""
        facts = network_facts(card.architecture.name, card.architecture.arguments)
        limits = TileLimits(self.largest_window, 0 if self.is_blended else self._pixels)
        return plan_tiling(self.resized_to or self.shape, card, facts, limits, self.resized_to)

    @property
    def _pixels(self) -> int:
        height, width = self.resized_to or self.shape
        return height * width

    def regions(self, tiling: TilePlan) -> NDArray[np.int64]:
        """Return where in the plane each tile's answer belongs: (tiles, 4), first row and that after the last, columns.

        They overlap where windows are blended, or the plane is stretched; what belongs to a pixel then adds up.
        """
        spans = [tile.write for tile in tiling.tiles]
        if self.resized_to is not None:
            from napari_unetseg.inference.resampling import Resampler  # scipy

            resampler = Resampler(self.shape, self.resized_to)
            spans = [resampler.reach(span) for span in spans]
        ends = [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in spans]
        return np.array(ends, np.int64)


class Tiling:
    """The windows of a plan, and where their answers belong.

    Parameters
    ----------
    plan
        The plan.
    card
        Of the model.
    """

    def __init__(self, plan: NetworkPlan, card: ModelCard) -> None:
        self.plan = plan
        self.tiles = plan.tiling(card)

    @cached_property
    def regions(self) -> NDArray[np.int64]:
        """See `NetworkPlan.regions`."""
        return self.plan.regions(self.tiles)

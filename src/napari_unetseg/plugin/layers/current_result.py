"""The result that acts on what a user does: its layers, and what they were read off."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetseg.plugin.layers.result_layers import ShownResult

if TYPE_CHECKING:
    from napari_unetseg.service import Segmentation


@dataclass(frozen=True, eq=False)
class CurrentResult:
    """The selected result of a window.

    Attributes
    ----------
    shown
        Its layers.
    segmentation
        What these show, but for what was drawn on them since, with the kept probabilities.
    model
        Path of the model's package.
    """

    shown: ShownResult
    segmentation: "Segmentation"
    model: str


FindResult = Callable[[], CurrentResult | None]
"""Gives the selected result; None if there is none, or its probabilities were let go."""

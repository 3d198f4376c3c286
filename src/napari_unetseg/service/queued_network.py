"""A model that works for a job of many blocks, and still waits its turn for the device."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.inference.tiling.plan import TilePlan
from napari_unetseg.service.device_queue import DeviceQueue
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel


@dataclass(frozen=True)
class QueuedNetwork:
    """A loaded model whose runs wait for the device, and let others go between batches.

    Attributes
    ----------
    model
        The model.
    line
        Shares its device out.
    """

    model: "LoadedModel"
    line: DeviceQueue

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        return self.model.card

    @property
    def source(self) -> str:
        """What finds the model again."""
        return self.model.source

    @property
    def facts(self) -> RunFacts:
        """How it is computed."""
        return self.model.facts

    def plan_image(
        self, image: Image, diameter: float | None = None, window: int | None = None, limit: int | None = None
    ) -> TilePlan:
        """Return how a plane would be divided now."""
        return self.model.plan_image(image, diameter, window, limit)

    def predict_many(
        self, images: Iterable[Image | PredictRequest | Exception], options: PredictOptions | None = None
    ) -> Generator[Prediction | Exception]:
        """Compute many planes once it is their turn."""
        options = options or PredictOptions()
        with self.line.turn(options.cancel):
            yield from self.model.predict_many(images, replace(options, before_batch=self.line.let_others_go))

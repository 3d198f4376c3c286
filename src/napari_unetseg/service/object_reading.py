"""Reading objects off what a network said, once for all that is decided by them."""

from datetime import datetime
from typing import TYPE_CHECKING

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.image import Image
from napari_unetseg.inference.rescale_decision import diameter_to_rescale_by, is_seen_whole
from napari_unetseg.postprocessing.decoding import FoundObjects, find_objects
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.segmentation import Segmentation, read_objects
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.inference.prediction import Prediction
    from napari_unetseg.service.protocols import RunningModel


class ObjectReading:
    """The objects of one plane or stack, on their way from the probability map to a result.

    What the decision to look again and the result have in common is computed once.

    Parameters
    ----------
    running_model
        What the network was run by.
    plane
        The plane or stack.
    prediction
        What the network said of it.
    options
        As they were when the network ran.
    cancel
        Polled between the planes of a stack, and the blocks of a large image.
    """

    def __init__(
        self,
        running_model: "RunningModel",
        plane: Image,
        prediction: "Prediction",
        options: SegmentOptions,
        cancel: CancelFlag | None = None,
    ) -> None:
        self._running_model = running_model
        self._plane = plane
        self._prediction = prediction
        self._options = options
        self._cancel = cancel
        self._found: FoundObjects | None = None

    def diameter_to_look_again_by(self) -> float | None:
        """Return the diameter by which the image should be shown to the network again; None if it need not."""
        if self._options.diameter is not None:
            return None
        maps, card = self._prediction.probability, self._running_model.card
        if card.object_sizes is not None and self._is_decided_by_the_result(card):
            self._found = find_objects(maps, card.heads, card.parameters, self._cancel)
        return diameter_to_rescale_by(maps, card, self._found)

    def _is_decided_by_the_result(self, card: ModelCard) -> bool:
        """Whether what is read off for the decision is, but for the least confidence of an object, the result."""
        wanted = self._options.parameters(card).model_copy(update={"min_confidence": card.parameters.min_confidence})
        return wanted == card.parameters and is_seen_whole(self._prediction.probability.shape[1:])

    def segmentation(
        self, *, started: datetime, seconds: float, remarks: tuple[str, ...] = (), with_confidence: bool = True
    ) -> Segmentation:
        """Return the result; see `napari_unetseg.service.segmentation.read_objects`."""
        return read_objects(
            self._running_model,
            self._plane,
            self._prediction,
            self._options,
            started=started,
            seconds=seconds,
            remarks=remarks,
            with_confidence=with_confidence,
            found=self._found,
            cancel=self._cancel,
        )

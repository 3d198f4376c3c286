"""What a segmentation gives back: labels, and all that can be derived from them."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_unetseg.errors import ParameterError
from napari_unetseg.image import Image
from napari_unetseg.inference.object_size import enlargement
from napari_unetseg.postprocessing.confidence import Confidence, measure_confidence
from napari_unetseg.postprocessing.contours import Contour, trace_contours
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.measurements import Table, measure
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service.provenance import Provenance, record
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.inference.predict import Prediction
    from napari_unetseg.service.runtime import Runtime


@dataclass(frozen=True)
class Segmentation:
    """Objects of one image, with the probabilities they were read from.

    Attributes
    ----------
    image
        The plane that was segmented, unchanged.
    probability
        float32 (heads, Y, X), each value in 0..1.
    heads
        What each plane of `probability` means, ``"foreground"`` among them.
    parameters
        Decoder parameters that gave `labels`.
    labels
        int32 (Y, X): 0 is background, objects count from 1 without gaps.
    provenance
        How the result came about.
    warnings
        Sentences the user should read, such as pixels without a value or a fallback to the CPU.
    with_confidence
        Whether the result tells how sure the network was of the image and its objects.
    agreement
        float32 (Y, X): how far the answers to eight flips and turns agree, 0 to 1; None unless the probabilities
        are their mean (``augment``).
    """

    image: Image
    probability: NDArray[np.float32]
    heads: tuple[str, ...]
    parameters: DecodeParameters
    labels: NDArray[np.int32]
    provenance: Provenance
    warnings: tuple[str, ...] = field(default=())
    with_confidence: bool = True
    agreement: NDArray[np.float32] | None = None

    @property
    def foreground(self) -> NDArray[np.float32]:
        """Confidence map: foreground probability, float32 (Y, X)."""
        foreground: NDArray[np.float32] = self.probability[self.heads.index("foreground")]
        return foreground

    @property
    def count(self) -> int:
        """Number of objects."""
        return int(self.labels.max(initial=0))

    @cached_property
    def contours(self) -> list[Contour]:
        """Outlines of all objects, in pixel coordinates (y, x) along the pixels' edges."""
        return trace_contours(self.labels)

    @cached_property
    def confidence(self) -> Confidence | None:
        """Mean foreground probability over the image, its objects and its background; None if not wanted."""
        return measure_confidence(self.labels, self.foreground) if self.with_confidence else None

    @cached_property
    def measurements(self) -> Table:
        """One row an object: columns by name, each as long as there are objects."""
        return measure(
            self.labels,
            foreground=self.foreground if self.with_confidence else None,
            agreement=self.agreement,
            intensity=self.image.channels_first,
            scale=self.image.scale,
            unit=self.image.unit,
        )

    def relabel(
        self,
        *,
        threshold: float | None = None,
        min_size: int | None = None,
        split: float | None = None,
        fill_holes: bool | None = None,
        smoothing: int | None = None,
        min_confidence: float | None = None,
    ) -> "Segmentation":
        """Read the objects off the kept probabilities again, without the network.

        Parameters left out keep their present value; `DecodeParameters` explains each.

        Raises
        ------
        ParameterError
            If a value lies outside its range.
        """
        changes = {"threshold": threshold, "min_size": min_size, "split": split, "fill_holes": fill_holes}
        changes |= {"smoothing": smoothing, "min_confidence": min_confidence}
        parameters = override(self.parameters, changes)
        return replace(
            self,
            parameters=parameters,
            labels=decode(self.probability, self.heads, parameters),
            provenance=replace(self.provenance, parameters=parameters.model_dump()),
        )


def override(parameters: DecodeParameters, changes: dict[str, Any]) -> DecodeParameters:
    """Return `parameters` with every change that is not None.

    Raises
    ------
    ParameterError
        If a value lies outside its range; the message names the parameter and the value.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return DecodeParameters.model_validate(parameters.model_dump() | given)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in error.errors())
        raise ParameterError("; ".join(faults)) from error


@dataclass(frozen=True)
class Wishes:
    """What a caller wants of an image; `SegmentationService.segment` explains each."""

    channel: int | None = None
    threshold: float | None = None
    min_size: int | None = None
    split: float | None = None
    fill_holes: bool | None = None
    diameter: float | None = None
    augment: bool = False
    smoothing: int | None = None
    min_confidence: float | None = None

    def plane_of(self, image: Image) -> Image:
        """Return the channel that is to be segmented, or the whole image."""
        return image if self.channel is None else image.take_channel(self.channel)

    def check(self, card: ModelCard) -> None:
        """Refuse what no image could be segmented with, before the network runs in vain.

        Raises
        ------
        ParameterError
            If a decoder parameter or the diameter cannot be used with this model.
        """
        self.parameters(card)
        enlargement(card, self.diameter)

    def parameters(self, card: ModelCard) -> DecodeParameters:
        """Return the card's decoder parameters with those that were wished for.

        Raises
        ------
        ParameterError
            If a value lies outside its range.
        """
        changes = {name: getattr(self, name) for name in DecodeParameters.model_fields}
        return override(card.parameters, changes)


def read_objects(
    runtime: "Runtime",
    plane: Image,
    prediction: "Prediction",
    wishes: Wishes,
    *,
    started: datetime,
    seconds: float,
    remarks: tuple[str, ...] = (),
    with_confidence: bool = True,
) -> Segmentation:
    """Read the objects off what the network said of a plane, and write down how it came about.

    Parameters
    ----------
    seconds
        Duration of the network's part.
    remarks
        Sentences that go before the prediction's own warnings.
    with_confidence
        See `Segmentation`.
    """
    card, parameters = runtime.card, wishes.parameters(runtime.card)
    provenance = record(
        runtime,
        prediction,
        plane=plane,
        channel=wishes.channel,
        diameter=wishes.diameter,
        parameters=parameters,
        started=started,
        seconds=seconds,
    )
    fallback = (runtime.device.warning,) if runtime.device.warning else ()
    return Segmentation(
        image=plane,
        probability=prediction.probability,
        heads=card.heads,
        parameters=parameters,
        labels=decode(prediction.probability, card.heads, parameters),
        provenance=provenance,
        warnings=(*fallback, *remarks, *prediction.warnings),
        with_confidence=with_confidence,
        agreement=prediction.agreement,
    )

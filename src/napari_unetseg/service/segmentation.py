"""What a segmentation gives back: labels, and all that can be derived from them."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_unetseg.errors import ParameterError
from napari_unetseg.image import Image
from napari_unetseg.postprocessing.confidence import Confidence, measure_confidence
from napari_unetseg.postprocessing.contours import Contour, trace_contours
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.measurements import Table, measure
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service.provenance import Provenance


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
    """

    image: Image
    probability: NDArray[np.float32]
    heads: tuple[str, ...]
    parameters: DecodeParameters
    labels: NDArray[np.int32]
    provenance: Provenance
    warnings: tuple[str, ...] = field(default=())

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
    def confidence(self) -> Confidence:
        """Mean foreground probability over the image, its objects and its background."""
        return measure_confidence(self.labels, self.foreground)

    @cached_property
    def measurements(self) -> Table:
        """One row an object: columns by name, each as long as there are objects."""
        return measure(
            self.labels,
            foreground=self.foreground,
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
    ) -> "Segmentation":
        """Read the objects off the kept probabilities again, without the network.

        Parameters left out keep their present value; `DecodeParameters` explains each.

        Raises
        ------
        ParameterError
            If a value lies outside its range.
        """
        changes = {"threshold": threshold, "min_size": min_size, "split": split, "fill_holes": fill_holes}
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

"""What a segmentation gives back: labels, and all that can be derived from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import is_out_of_memory, out_of_memory_says
from napari_unetseg.image import Image
from napari_unetseg.inference.object_size import scale_factor
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.confidence import Confidence, measure_confidence
from napari_unetseg.postprocessing.contours import Contour, trace_contours
from napari_unetseg.postprocessing.fit import Fit, measure_fit, unlike_warning
from napari_unetseg.postprocessing.fixes import Fix, apply_fixes
from napari_unetseg.postprocessing.measurements import Table, measure
from napari_unetseg.postprocessing.parameters import DecodeChanges, DecodeKeywords, DecodeParameters
from napari_unetseg.postprocessing.stacks import decode_stack, planes_of, stack_tables
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.arguments import check_callbacks
from napari_unetseg.service.provenance import Provenance, record
from napari_unetseg.signatures import shows_fields
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.inference.prediction import Prediction
    from napari_unetseg.postprocessing.decoding import FoundObjects
    from napari_unetseg.service.protocols import RunningModel


@dataclass(frozen=True)
class Segmentation:
    """Objects of one image, with the probabilities they were read from.

    Of a stack, all arrays have its axes before Y and X (``image.stack_axes``), in their order.

    Attributes
    ----------
    image
        The plane or stack that was segmented, unchanged.
    probability
        float32 (heads, ..., Y, X), each value in 0..1.
    heads
        What each map of `probability` means, ``"foreground"`` among them.
    parameters
        Decoder parameters that gave `labels`.
    labels
        int32 (..., Y, X): 0 is background, objects count from 1 without gaps. In a stack an object of one plane has
        a number of its own, or, where planes are linked, that of the object it is a part of.
    provenance
        How the result came about.
    warnings
        Sentences the user should read, such as pixels without a value or a fallback to the CPU.
    with_confidence
        Whether the result tells how sure the network was of the image and its objects.
    agreement
        float32 (..., Y, X): how far the answers to eight flips and turns agree, 0 to 1; None unless the probabilities
        are their mean (``augment``).
    link
        Whether objects of a stack keep their number along Z and T; see
        `napari_unetseg.postprocessing.linking.number_stack`.
    fit
        How well the image fits the model, by its map; None where it sees nothing at all.
    fixes
        What was added, removed, divided, joined, grown or shrunk by clicks, in that order.
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
    link: bool = False
    fit: Fit | None = None
    fixes: tuple[Fix, ...] = ()

    @property
    def foreground(self) -> NDArray[np.float32]:
        """Confidence map: foreground probability, float32 (..., Y, X)."""
        foreground: NDArray[np.float32] = self.probability[self.heads.index("foreground")]
        return foreground

    @property
    def count(self) -> int:
        """Number of objects."""
        return int(self.labels.max(initial=0))

    @property
    def contours(self) -> list[Contour]:
        """Outlines of all objects, in pixel coordinates (y, x) along the pixels' edges."""
        return [contour for contours in self.plane_contours.values() for contour in contours]

    @cached_property
    def plane_contours(self) -> dict[tuple[int, ...], list[Contour]]:
        """Outlines by the index of their plane along the axes of the stack; one plane alone has the index ``()``."""
        return {index: trace_contours(plane) for index, plane in planes_of(self.labels)}

    @cached_property
    def confidence(self) -> Confidence | None:
        """Mean foreground probability over the image, its objects and its background; None if not wanted."""
        return measure_confidence(self.labels, self.foreground) if self.with_confidence else None

    @cached_property
    def measurements(self) -> Table:
        """One row for each object of each plane: columns by name, after the label ``z``, ``t``... of a stack."""
        tables = {index: self._measure_plane(index) for index in np.ndindex(self.labels.shape[:-2])}
        return stack_tables(tables, self.image.stack_axes)

    def _measure_plane(self, index: tuple[int, ...]) -> Table:
        return measure(
            self.labels[index],
            foreground=self.foreground[index] if self.with_confidence else None,
            agreement=None if self.agreement is None else self.agreement[index],
            intensity=self.image.plane(index).channels_first,
            scale=self.image.scale,
            unit=self.image.unit,
            origin=self.image.origin,
        )

    @shows_fields(DecodeChanges, before="cancel", left_out="None: as it is.")
    def relabel(self, *, cancel: CancelFlag | None = None, **parameters: Unpack[DecodeKeywords]) -> "Segmentation":
        """Read the objects off the kept probabilities again, without the network; what was fixed stays.

        Parameters
        ----------
        parameters
            Decoder parameters; see `DecodeParameters`. Those left out keep their present value.
        cancel
            Polled before each plane of a stack, and between the blocks of a large image.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        OutOfMemory
            If there is not enough.
        ParameterError
            If there is no such parameter, or a value lies outside its range.
        """
        check_callbacks(cancel=cancel)
        return self._read_again(self.parameters.override(parameters), self.fixes, cancel)

    def fixed(self, fixes: Sequence[Fix], *, cancel: CancelFlag | None = None) -> "Segmentation":
        """Fix objects by the kept probabilities as clicks in the window do, after what was fixed before.

        Objects are counted anew in the raster order of their first pixels. What was fixed stays when `relabel` reads
        the others again.

        Parameters
        ----------
        fixes
            What to do, in that order, each with the parameters of the labels on which somebody clicked; for one that
            is made here, these are `parameters`.
        cancel
            Polled before each fix, and between the blocks of a large image.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        FixError
            If there is nothing to fix where a fix says, or this is a stack.
        OutOfMemory
            If there is not enough.
        """
        check_callbacks(cancel=cancel)
        return self._read_again(self.parameters, (*self.fixes, *fixes), cancel)

    def _read_again(
        self, parameters: DecodeParameters, fixes: tuple[Fix, ...], cancel: CancelFlag | None
    ) -> "Segmentation":
        with out_of_memory_says(_no_memory_to_decode(self.image)):
            if fixes:
                labels = apply_fixes(fixes, self.probability, self.heads, parameters, cancel)
            else:
                labels = decode_stack(
                    self.probability, self.heads, parameters, axes=self.image.stack_axes, link=self.link, cancel=cancel
                )
        recorded = tuple(fix.model_dump(mode="json") for fix in fixes)
        return replace(
            self,
            parameters=parameters,
            labels=labels,
            fixes=fixes,
            provenance=replace(self.provenance, parameters=parameters.model_dump(), fixes=recorded),
        )

    def add_to(self, viewer: Any, *, contours: bool = True, confidence: bool = False) -> list[Any]:
        """Add labels, and contours, to a napari viewer, where the image's pixel size puts them.

        They are the layers that the window makes: the labels carry the measurements, and every layer says how it came
        about and what its axes mean.

        Parameters
        ----------
        viewer
            A `napari.Viewer`, or its model.
        contours
            Whether to add outlines too: a Shapes layer, or above 5,000 of them, holes counted, a Labels layer of them.
        confidence
            Whether to add the confidence map, and that of the agreement where the network ran several times.

        Returns
        -------
        list
            The layers, bottom first.
        """
        from napari_unetseg.service.viewer_layers import add_to_viewer

        return add_to_viewer(self, viewer, contours=contours, confidence=confidence)

    def _repr_html_(self) -> str:
        """Show outlines and the head of the table in a notebook."""
        from napari_unetseg.service.rich_display import as_html

        return as_html(self)


def check_options(options: SegmentOptions, card: ModelCard) -> None:
    """Refuse what no image could be segmented with, before the network runs in vain.

    Raises
    ------
    ParameterError
        If a decoder parameter or the diameter cannot be used with this model, or the channels were said twice.
    ImageError
        If channels were chosen by roles that it does not know.
    """
    options.parameters(card)
    options.channels_for(card)
    scale_factor(card, options.diameter)


def read_objects(
    running_model: "RunningModel",
    plane: Image,
    prediction: "Prediction",
    options: SegmentOptions,
    *,
    started: datetime,
    seconds: float,
    remarks: tuple[str, ...] = (),
    with_confidence: bool = True,
    found: "FoundObjects | None" = None,
    cancel: CancelFlag | None = None,
) -> Segmentation:
    """Read the objects off what the network said of a plane or stack, and write down how it came about.

    Parameters
    ----------
    seconds
        Duration of the network's part.
    remarks
        Sentences that go before the prediction's own warnings.
    with_confidence
        See `Segmentation`.
    found
        The objects, where they have been read off already but for the last step.
    cancel
        Polled between the planes of a stack, and the blocks of a large image.

    Raises
    ------
    OutOfMemory
        If there is not enough for it, even without what the network keeps for its next run.
    """
    card, parameters = running_model.card, options.parameters(running_model.card)
    provenance = record(
        running_model,
        prediction,
        plane=plane,
        options=options,
        parameters=parameters,
        started=started,
        seconds=seconds,
    )
    fit = measure_fit(prediction.probability[card.heads.index("foreground")], card.parameters)
    unlike = (unlike_warning(card.display_name),) if fit is not None and fit.is_unlike else ()
    return Segmentation(
        image=plane,
        probability=prediction.probability,
        heads=card.heads,
        parameters=parameters,
        labels=_decode_at_any_price(
            running_model, plane, prediction, parameters, link=options.link, found=found, cancel=cancel
        ),
        provenance=provenance,
        warnings=(*running_model.facts.warnings, *plane.remarks, *remarks, *prediction.warnings, *unlike),
        with_confidence=with_confidence,
        agreement=prediction.agreement,
        link=options.link,
        fit=fit,
    )


def _decode_at_any_price(
    running_model: "RunningModel",
    plane: Image,
    prediction: "Prediction",
    parameters: DecodeParameters,
    *,
    link: bool,
    found: "FoundObjects | None",
    cancel: CancelFlag | None,
) -> NDArray[np.int32]:
    """Decode what the network has finished; where memory runs out, again without what it keeps for its next run."""

    def decode() -> NDArray[np.int32]:
        heads, axes = running_model.card.heads, plane.stack_axes
        return decode_stack(prediction.probability, heads, parameters, axes=axes, link=link, cancel=cancel)

    try:
        return decode() if found is None else found.sure(parameters.min_confidence)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    running_model.release_memory()
    with out_of_memory_says(_no_memory_to_decode(plane)):
        return decode()


def _no_memory_to_decode(image: Image) -> Sentence:
    return Sentence(
        "{image}: memory ran out while objects were read off the probability map. Close other programs or images, or "
        "segment a part of the image.",
        image=image.name,
    )

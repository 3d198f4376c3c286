"""What decides a result: a file that was done with the same is not done again."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.provenance import card_fingerprint
from napari_unetseg.service.segmentation import check_options
from napari_unetseg.zoo.card import ModelCard


def result_fingerprint(card: ModelCard, options: Mapping[str, Any], read_options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model and the parameters that decide a result, as plain values for JSON.

    Parameters that were not given are those of the card, so that naming a default changes nothing. Device,
    precision, backend and windows are left out: results differ by rounding at most.

    Parameters
    ----------
    card
        Of the model.
    options
        Keyword arguments of `SegmentationService.segment`.
    read_options
        Keyword arguments of `read_image`; those that are None are left out.

    Raises
    ------
    ParameterError
        If a value lies outside its range.
    """
    segment_options = SegmentOptions.of(**options)
    check_options(segment_options, card)
    parameters = segment_options.model_dump() | segment_options.parameters(card).model_dump()
    if segment_options.channels is not None:
        parameters["channels"] = segment_options.channels_for(card)
    return {
        "model": card.name,
        "weights": card.weights.sha256,
        "card": card_fingerprint(card)[:16],
        "parameters": dict(to_jsonable_python(parameters)),
        "reading": {name: to_jsonable_python(value) for name, value in read_options.items() if value is not None},
    }

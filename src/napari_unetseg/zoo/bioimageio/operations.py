"""What a card says of intensities and shapes, in the words of the BioImage Model Zoo, and those words in NumPy.

`operations` says the same as `inference.normalisation.normalise` does, for finite pixels that are not all of one value.
`apply_operations` is what another program makes of it, so that the two can be compared on a picture.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.networks.facts import NetworkFacts, network_facts
from napari_unetseg.zoo.card import Linear, MeanStd, MinMax, ModelCard, Percentile, ZScore

INPUT, OUTPUT = "image", "probability"
"""Names of the tensors."""

WHITE_8_BIT = 255.0
"""The zoo knows no full range of a pixel type, so that what needs one is stated for images of 8 bits."""

Operation = Mapping[str, Any]

# Below it a spread counts as none. The zoo's own default, which some programs use whatever is stated.
_EPS = 1e-6
# Of a network without a halo: what is smaller tells it little of an image.
_SMALLEST_WINDOW = 256
_COLOURS = {1: ("grey",), 3: ("red", "green", "blue")}


def operations(card: ModelCard) -> list[Operation]:
    """Return how the card's normalisation is stated as preprocessing of spec 0.5.

    Raises
    ------
    ModelError
        If it cannot be said.
    """
    normalisation = card.normalisation
    clip = None if isinstance(normalisation, MeanStd) else normalisation.clip
    match normalisation:
        case Percentile():
            said = _scale_range(card, normalisation.low, normalisation.high, normalisation.per_channel)
        case MinMax():
            said = _scale_range(card, 0.0, 100.0, normalisation.per_channel)
        case ZScore():
            axes = _measured_axes(normalisation.per_channel)
            said = {"id": "zero_mean_unit_variance", "kwargs": {"axes": axes, "eps": normalisation.eps}}
        case MeanStd():
            mean, std = (
                [WHITE_8_BIT * value for value in values] for values in (normalisation.mean, normalisation.std)
            )
            said = {"id": "fixed_zero_mean_unit_variance", "kwargs": _for_channels(mean=mean, std=std)}
        case Linear():
            gain, offset = list(normalisation.gain), list(normalisation.offset)
            said = {"id": "scale_linear", "kwargs": _for_channels(gain=gain, offset=offset)}
    if clip is None:
        return [said]
    return [said, {"id": "clip", "kwargs": {"min": clip[0], "max": clip[1]}}]


def activations(card: ModelCard) -> list[Operation]:
    """Return the postprocessing that makes probabilities of what the network answers.

    Raises
    ------
    ModelError
        If some of its outputs are probabilities already, and others are not.
    """
    kinds = {head.activation for head in card.outputs}
    if len(kinds) > 1:
        raise ModelError(
            Sentence(
                "{model}: some of its outputs are probabilities already and others are not, which a package of the "
                "BioImage Model Zoo cannot say. Export it as ONNX.",
                model=card.name,
            )
        )
    return [{"id": "sigmoid"}] if kinds == {"none"} else []


def _scale_range(card: ModelCard, low: float, high: float, per_channel: bool) -> Operation:
    if high <= 1:
        raise ModelError(
            Sentence(
                "{model}: intensities end at the percentile {high:g}, which a package of the BioImage Model Zoo cannot "
                "say: there it has to be above 1. Export it as ONNX.",
                model=card.name,
                high=high,
            )
        )
    axes = _measured_axes(per_channel)
    return {"id": "scale_range", "kwargs": {"axes": axes, "min_percentile": low, "max_percentile": high, "eps": _EPS}}


def _measured_axes(per_channel: bool) -> list[str]:
    return ["y", "x"] if per_channel else ["channel", "y", "x"]


def _for_channels(**values: list[float]) -> dict[str, Any]:
    """Return one value for all channels, or a list with the axis that it follows."""
    if all(len(numbers) == 1 for numbers in values.values()):
        return {name: numbers[0] for name, numbers in values.items()}
    return {**values, "axis": "channel"}


def input_axes(card: ModelCard) -> list[dict[str, Any]]:
    """Return the axes of the network's input: batch, channels, and which sizes it takes."""
    shape = _sides(card)
    return [
        {"type": "batch"},
        {"type": "channel", "channel_names": list(channel_names(card))},
        *({"type": "space", "id": axis, "size": side} for axis, side in zip("yx", shape, strict=True)),
    ]


def output_axes(card: ModelCard) -> list[dict[str, Any]]:
    """Return the axes of its answer, a channel a head, as large as the input; of windows the halo is cut off."""
    halo = halo_of(card)
    margin = {"halo": halo} if halo else {}
    return [
        {"type": "batch"},
        {"type": "channel", "channel_names": list(card.heads)},
        *({"type": "space", "id": axis, "size": {"tensor_id": INPUT, "axis_id": axis}, **margin} for axis in "yx"),
    ]


def channel_names(card: ModelCard) -> tuple[str, ...]:
    """Return what the channels of the input are: roles, colours or numbers."""
    numbered = tuple(f"channel{index}" for index in range(card.input_channels))
    return card.channel_roles or _COLOURS.get(card.input_channels, numbered)


def halo_of(card: ModelCard) -> int:
    """Return the pixels at each side of a window that do not count, whole steps of the network; 0 without a limit."""
    facts = _facts(card)
    if card.image_size or facts.receptive_radius is None:
        return 0
    return -(-facts.receptive_radius // facts.grid) * facts.grid


def smallest_shape(card: ModelCard) -> tuple[int, int]:
    """Return the smallest height and width that the stated axes allow."""
    height, width = (side if isinstance(side, int) else side["min"] for side in _sides(card))
    return height, width


def _sides(card: ModelCard) -> tuple[Any, Any]:
    if card.image_size:
        return card.image_size
    grid = _facts(card).grid
    smallest = max(2 * halo_of(card) + grid, -(-_SMALLEST_WINDOW // grid) * grid)
    side = {"min": smallest, "step": grid}
    return side, dict(side)


def _facts(card: ModelCard) -> NetworkFacts:
    return network_facts(card.architecture.name, card.architecture.arguments)


def apply_operations(said: Sequence[Operation], values: NDArray[Any]) -> NDArray[np.float32]:
    """Do what is stated, as the specification describes it.

    Parameters
    ----------
    said
        What `operations` or `activations` gives.
    values
        (C, Y, X), of any type.

    Returns
    -------
    float32 array of the same shape
    """
    result = values.astype(np.float32)
    for operation in said:
        result = _apply(operation["id"], operation.get("kwargs", {}), result)
    return result


def _apply(kind: str, options: Mapping[str, Any], values: NDArray[np.float32]) -> NDArray[np.float32]:
    axes = tuple(index for index, axis in enumerate(("channel", "y", "x")) if axis in options.get("axes", ()))
    if kind == "scale_range":
        ends = [np.percentile(values, options[f"{end}_percentile"], axis=axes, keepdims=True) for end in ("min", "max")]
        result = (values - ends[0]) / (ends[1] - ends[0] + options["eps"])
    elif kind == "zero_mean_unit_variance":
        wide = values.astype(np.float64)
        result = (wide - wide.mean(axes, keepdims=True)) / (wide.std(axes, keepdims=True) + options["eps"])
    elif kind == "fixed_zero_mean_unit_variance":
        result = (values - _column(options["mean"])) / _column(options["std"])
    elif kind == "scale_linear":
        result = values * _column(options["gain"]) + _column(options["offset"])
    elif kind == "clip":
        result = np.clip(values, options["min"], options["max"])
    else:
        assert kind == "sigmoid", kind  # noqa: S101 (no other is stated above)
        result = 1 / (1 + np.exp(-values.astype(np.float64)))
    found: NDArray[np.float32] = result.astype(np.float32)
    return found


def _column(numbers: float | Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(numbers, np.float64).reshape(-1, 1, 1)

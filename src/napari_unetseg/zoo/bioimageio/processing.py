"""What a package does before and after its network, in the words of a model card.

What a card cannot say is refused by its name, since a network that sees other intensities finds other objects without
a word of warning.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.bioimageio.description import InputTensor, Operation, OutputTensor
from napari_unetseg.zoo.card import Clip, Linear, MinMax, Normalisation, Percentile, ZScore

Numbers = NDArray[np.float64]

_OPEN_END = float(np.finfo(np.float32).max)
_NO_CHANGE = ("float32", "float64")


class CannotTranslate(ModelError):
    """Something of a package has no counterpart here; the message names it."""


@dataclass(frozen=True)
class Prepared:
    """How intensities become the network's input, and what a user should know of it."""

    normalisation: Normalisation
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """What becomes of the network's output.

    Attributes
    ----------
    sigmoid
        Whether the package applies it after the network.
    threshold
        Above which value of what comes then a pixel is 1; None where the package leaves the values.
    """

    sigmoid: bool = False
    threshold: float | None = None


def translate_preprocessing(tensor: InputTensor) -> Prepared:
    """Return the normalisation that does what the preprocessing does to one image.

    Raises
    ------
    CannotTranslate
        If no normalisation does; the message names the step.
    """
    steps = _Steps(tensor)
    for operation in tensor.operations:
        try:
            steps.add(operation)
        except (ValidationError, TypeError, ValueError) as error:
            if isinstance(error, CannotTranslate):
                raise
            raise _refused(operation, Sentence("its values are wrong: {reason}", reason=_reason(error))) from error
    return Prepared(steps.normalisation(), tuple(steps.remarks))


def translate_postprocessing(tensor: OutputTensor) -> Answered:
    """Return what the postprocessing does.

    Raises
    ------
    CannotTranslate
        If it does anything but a sigmoid, a threshold, or nothing; the message names the step.
    """
    answered = Answered()
    for operation in tensor.operations:
        name, given = operation.name, operation.arguments
        done = answered.threshold is not None
        if name == "ensure_dtype" and (done or given.get("dtype") in _NO_CHANGE):
            continue
        if name == "clip" and not done and _covers_probabilities(given):
            continue
        if name == "sigmoid" and not done and not answered.sigmoid:
            answered = Answered(sigmoid=True)
        elif name == "binarize" and not done:
            answered = Answered(answered.sigmoid, _threshold(operation))
        else:
            raise _refused(operation, Sentence("nothing here does the same to the output"))
    return answered


class _Steps:
    """Steps put together: intensities are scaled by fixed numbers, then by figures of the image, then limited."""

    def __init__(self, tensor: InputTensor) -> None:
        extent = tensor.extents.get("c")
        self._channels = extent.smallest if extent else 1
        self._gain, self._offset = np.ones(1), np.zeros(1)
        self._made: Normalisation | None = None
        self._clip: Clip | None = None
        self._limits: tuple[float, float, bool] | None = None  # percentiles to which intensities are limited
        self.remarks: list[str] = []

    def normalisation(self) -> Normalisation:
        if self._limits is not None:
            raise _refused(Operation("clip", {}), Sentence("percentiles can only be limits of what is scaled by them"))
        if self._made is None:
            made: Normalisation = Linear(gain=tuple(self._gain.tolist()), offset=tuple(self._offset.tolist()))
        else:
            made = self._made
        return made.model_copy(update={"clip": self._clip}) if self._clip else made

    def add(self, operation: Operation) -> None:
        adders: Mapping[str, Callable[[Operation], None]] = {
            "ensure_dtype": self._ensure_dtype,
            "scale_linear": self._scale_linear,
            "fixed_zero_mean_unit_variance": self._fixed,
            "zero_mean_unit_variance": self._zero_mean,
            "scale_range": self._scale_range,
            "clip": self._limit,
        }
        add = adders.get(operation.name)
        if add is None or "mode" in operation.arguments:
            raise _refused(operation, Sentence("nothing here does the same to an image"))
        add(operation)

    def _ensure_dtype(self, operation: Operation) -> None:
        if operation.arguments.get("dtype") not in _NO_CHANGE:
            raise _refused(
                operation,
                Sentence("networks here take float32, not {type}", type=operation.arguments.get("dtype")),
            )

    def _scale_linear(self, operation: Operation) -> None:
        gain, offset = (
            _numbers(operation.arguments, key, default) for key, default in (("gain", 1.0), ("offset", 0.0))
        )
        self._affine(operation, gain, offset)

    def _fixed(self, operation: Operation) -> None:
        mean, std = (_numbers(operation.arguments, key, None) for key in ("mean", "std"))
        self._affine(operation, 1 / std, -mean / std)

    def _affine(self, operation: Operation, gain: Numbers, offset: Numbers) -> None:
        count = max(len(gain), len(offset))
        if count > 1 and (count != self._channels or not _lists_channels(operation)):
            raise _refused(operation, Sentence("it names {count} values, but not one a channel", count=count))
        if (gain <= 0).any():
            raise _refused(operation, Sentence("it turns bright into dark, or makes all intensities equal"))
        if self._made is not None or self._limits is not None:
            raise _refused(operation, Sentence("it follows a step that scales by figures of the image"))
        if self._clip is not None:
            if count > 1:
                raise _refused(operation, Sentence("it scales each channel otherwise after they were limited"))
            low, high = (float(np.clip(end * gain[0] + offset[0], -_OPEN_END, _OPEN_END)) for end in self._clip)
            self._clip = (low, high)
        self._gain, self._offset = self._gain * gain, self._offset * gain + offset

    def _zero_mean(self, operation: Operation) -> None:
        given = operation.arguments
        if given.get("fixed") or "mean" in given or "std" in given:
            self._fixed(operation)
            return
        eps = float(given.get("eps") or 1e-6)
        # What is scaled by fixed numbers first has the same figures, scaled; so only `eps` has to follow.
        self._measured(operation)
        self._made = ZScore(per_channel=self._per_channel(operation), eps=eps / float(self._gain[0]))

    def _scale_range(self, operation: Operation) -> None:
        given = operation.arguments
        if given.get("reference_tensor") is not None:
            raise _refused(operation, Sentence("it takes its figures from another tensor"))
        low = float(given.get("min_percentile") or 0.0)
        high = float(100.0 if given.get("max_percentile") is None else given["max_percentile"])
        apart = self._per_channel(operation)
        limits, self._limits = self._limits, None
        if limits is not None:
            if (low, high) != (0.0, 100.0) or limits[2] != apart:
                raise _refused(operation, Sentence("intensities are limited by other percentiles before"))
            low, high, _ = limits
            self._clip = (0.0, 1.0)
        else:
            self._measured(operation)
        whole = (low, high) == (0.0, 100.0)
        self._made = MinMax(per_channel=apart) if whole else Percentile(low=low, high=high, per_channel=apart)

    def _measured(self, operation: Operation) -> None:
        if self._made is not None or self._clip is not None or self._limits is not None:
            raise _refused(operation, Sentence("it follows another step that scales or limits intensities"))
        if len(self._gain) > 1 and not self._per_channel(operation):
            raise _refused(operation, Sentence("it takes channels together that were scaled each by itself"))
        if operation.over_data_set:
            self.remarks.append(
                Sentence(
                    "The package takes figures of a whole data set for {step}; here each image has its own.",
                    step=operation.name,
                )
            )

    def _per_channel(self, operation: Operation) -> bool:
        axes = operation.axes
        if axes is not None and not {"y", "x"} <= axes:
            raise _refused(operation, Sentence("it does not take whole images"))
        return self._channels > 1 and axes is not None and "c" not in axes

    def _limit(self, operation: Operation) -> None:
        given = {key: value for key, value in operation.arguments.items() if value is not None}
        if set(given) == {"min_percentile", "max_percentile"}:
            self._measured(operation)
            percentiles = float(given["min_percentile"]), float(given["max_percentile"])
            self._limits = (*percentiles, self._per_channel(operation))
            return
        if not given or set(given) - {"min", "max"} or self._limits is not None:
            raise _refused(operation, Sentence("it limits by percentiles at one end"))
        if self._made is None and len(self._gain) > 1:
            raise _refused(operation, Sentence("it limits channels that were scaled each by itself"))
        low, high = float(given.get("min", -_OPEN_END)), float(given.get("max", _OPEN_END))
        if self._clip is not None:
            low, high = max(low, self._clip[0]), min(high, self._clip[1])
        if low >= high:
            raise _refused(operation, Sentence("it leaves one value only"))
        self._clip = (low, high)


def _lists_channels(operation: Operation) -> bool:
    # Version 0.4 names the axes that are scaled jointly, 0.5 the one along which values are listed.
    return operation.axes is None or operation.axes in ({"c"}, {"y", "x"}, {"z", "y", "x"})


def _numbers(given: Mapping[str, Any], key: str, default: float | None) -> Numbers:
    value = given.get(key)
    if value is None:
        value = default
    if value is None:
        raise ValueError(f"{key} is missing")
    numbers = np.atleast_1d(np.asarray(value, np.float64))
    if numbers.ndim != 1 or not np.isfinite(numbers).all() or not 1 <= len(numbers) <= 16:
        raise ValueError(f"{key} is no number, or list of numbers")
    if key == "std" and (numbers <= 0).any():
        raise ValueError("std must be greater than 0")
    return numbers


def _covers_probabilities(given: Mapping[str, Any]) -> bool:
    low, high = given.get("min"), given.get("max")
    known = not {key for key, value in given.items() if value is not None} - {"min", "max"}
    return known and (low is None or float(low) <= 0) and (high is None or float(high) >= 1)


def _threshold(operation: Operation) -> float:
    thresholds: Sequence[float] = _numbers(operation.arguments, "threshold", None).tolist()
    if len(set(thresholds)) > 1:
        raise _refused(operation, Sentence("it has a threshold for each channel"))
    return float(thresholds[0])


def _refused(operation: Operation, reason: str) -> CannotTranslate:
    return CannotTranslate(
        Sentence("The step {step!r} of the package cannot be translated: {reason}.", step=operation.name, reason=reason)
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"])
    return str(error)

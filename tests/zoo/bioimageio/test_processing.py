"""Steps of packages in the words of a card: equal in effect, or refused by name."""

from typing import Any

import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.zoo.bioimageio.description import Extent, InputTensor, Operation, OutputTensor
from napari_unetseg.zoo.bioimageio.outputs import heads_of, name_outputs, parse_outputs
from napari_unetseg.zoo.bioimageio.processing import (
    Answered,
    CannotTranslate,
    translate_postprocessing,
    translate_preprocessing,
)
from napari_unetseg.zoo.card import Linear, MinMax, Percentile, ZScore

YX, CYX = frozenset("yx"), frozenset("cyx")


def op(name: str, axes: frozenset[str] | None = CYX, **arguments: Any) -> Operation:
    return Operation(name, arguments, axes)


def taken(*operations: Operation, channels: int = 1) -> InputTensor:
    extents = {"c": Extent(channels), "y": Extent(16, 1), "x": Extent(16, 1)}
    return InputTensor("raw", "bcyx", extents, (), operations, None)


def given(*operations: Operation, names: tuple[str, ...] = (), data_range: Any = None) -> OutputTensor:
    return OutputTensor("out", "bcyx", len(names) or 1, names, {}, {}, data_range, operations, None)


def applied(operation: Operation, x: Any) -> Any:
    """What the specification says, in NumPy."""
    a = operation.arguments
    axes = tuple("cyx".index(axis) for axis in sorted(operation.axes or "cyx"))
    if operation.name == "scale_linear":
        return x * np.reshape(a.get("gain", 1.0), (-1, 1, 1)) + np.reshape(a.get("offset", 0.0), (-1, 1, 1))
    if operation.name == "fixed_zero_mean_unit_variance":
        return (x - np.reshape(a["mean"], (-1, 1, 1))) / np.reshape(a["std"], (-1, 1, 1))
    if operation.name == "zero_mean_unit_variance":
        return (x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + a.get("eps", 1e-6))
    if operation.name == "scale_range":
        ends = a.get("min_percentile", 0.0), a.get("max_percentile", 100.0)
        low, high = np.percentile(x, ends, axes, keepdims=True)
        return (x - low) / (high - low + a.get("eps", 1e-6))
    if operation.name == "clip" and "max_percentile" in a:
        return np.clip(x, *np.percentile(x, [a["min_percentile"], a["max_percentile"]], axes, keepdims=True))
    return np.clip(x, a.get("min"), a.get("max")) if operation.name == "clip" else x


@pytest.mark.parametrize(
    ("channels", "operations", "expected"),
    [
        (1, [], Linear()),
        (1, [op("ensure_dtype", dtype="float32"), op("scale_linear", None, gain=0.5, offset=2.0)], Linear),
        (1, [op("scale_linear", None, gain=0.5), op("scale_linear", None, gain=3.0, offset=-1.0)], Linear),
        (1, [op("clip", None, min=50.0, max=900.0), op("scale_linear", None, gain=0.001)], Linear),
        (2, [op("scale_linear", frozenset("c"), gain=[0.5, 0.1], offset=[1.0, 2.0])], Linear),
        (2, [op("fixed_zero_mean_unit_variance", frozenset("c"), mean=[5.0, 6.0], std=[2.0, 3.0])], Linear),
        (1, [op("fixed_zero_mean_unit_variance", None, mean=5.0, std=2.0), op("clip", None, min=-1.0)], Linear),
        (1, [op("zero_mean_unit_variance", eps=1e-3)], ZScore(eps=1e-3)),
        (2, [op("zero_mean_unit_variance", YX)], ZScore(per_channel=True)),
        (2, [op("zero_mean_unit_variance"), op("clip", None, min=-2.0, max=2.0)], ZScore(clip=(-2, 2))),
        (1, [op("scale_linear", None, gain=0.01), op("zero_mean_unit_variance", eps=1e-4)], ZScore(eps=1e-2)),
        (
            2,
            [op("scale_range", YX, min_percentile=5.0, max_percentile=95.0)],
            Percentile(low=5, high=95, per_channel=True),
        ),
        (1, [op("scale_range"), op("clip", None, min=0.0, max=0.5)], MinMax(clip=(0, 0.5))),
        (
            1,
            [op("clip", min_percentile=2.0, max_percentile=98.0), op("scale_range", eps=1e-6)],
            Percentile(low=2, high=98, clip=(0, 1)),
        ),
    ],
)
def test_preprocessing_is_equal_in_effect(channels: int, operations: list[Operation], expected: Any) -> None:
    pixels = np.random.default_rng(0).gamma(2, 300, (channels, 20, 24)).astype(np.float32)
    wanted = pixels.astype(np.float64)
    for operation in operations:
        wanted = applied(operation, wanted)
    normalisation = translate_preprocessing(taken(*operations, channels=channels)).normalisation
    assert normalisation == expected if not isinstance(expected, type) else isinstance(normalisation, expected)
    image = Image(pixels if channels > 1 else pixels[0], "CYX" if channels > 1 else "YX")
    np.testing.assert_allclose(normalise(image, normalisation, channels).array, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ([op("local_contrast")], "local_contrast"),
        ([op("binarize", threshold=0.5)], "binarize"),
        ([op("ensure_dtype", dtype="uint8")], "ensure_dtype"),
        ([op("scale_linear", gain=-1.0)], "scale_linear"),
        ([op("scale_linear", gain=[1.0, 2.0, 3.0])], "scale_linear"),
        ([op("scale_linear", gain="much")], "scale_linear"),
        ([op("scale_range"), op("scale_linear", gain=2.0)], "scale_linear"),
        ([op("scale_range", reference_tensor="other")], "scale_range"),
        ([op("scale_range", min_percentile=90.0, max_percentile=10.0)], "scale_range"),
        ([op("scale_range"), op("zero_mean_unit_variance")], "zero_mean_unit_variance"),
        ([op("zero_mean_unit_variance", frozenset("c"))], "zero_mean_unit_variance"),
        ([op("zero_mean_unit_variance", mode="by_day")], "zero_mean_unit_variance"),
        ([op("fixed_zero_mean_unit_variance", mean=1.0, std=0.0)], "fixed_zero_mean_unit_variance"),
        ([op("clip", max_percentile=99.0)], "clip"),
        ([op("clip", min_percentile=1.0, max_percentile=99.0)], "clip"),
        ([op("clip", min=1.0, max=9.0), op("scale_range")], "scale_range"),
        ([op("clip", min=3.0, max=1.0)], "clip"),
    ],
)
def test_what_a_card_cannot_say_is_refused_by_name(operations: list[Operation], name: str) -> None:
    with pytest.raises(CannotTranslate, match=f"The step '{name}' of the package cannot be translated"):
        translate_preprocessing(taken(*operations))


def test_figures_of_a_data_set_are_told() -> None:
    over = Operation("zero_mean_unit_variance", {}, None, over_data_set=True)
    (remark,) = translate_preprocessing(taken(over)).remarks
    assert remark.startswith("The package takes figures of a whole data set for zero_mean_unit_variance")


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([], Answered()),
        ([op("sigmoid"), op("ensure_dtype", dtype="float32")], Answered(sigmoid=True)),
        ([op("sigmoid"), op("clip", min=0.0, max=1.0)], Answered(sigmoid=True)),
        ([op("sigmoid"), op("binarize", threshold=0.3), op("ensure_dtype", dtype="uint8")], Answered(True, 0.3)),
        ([op("binarize", threshold=[0.3, 0.3])], Answered(False, 0.3)),
    ],
)
def test_postprocessing(operations: list[Operation], expected: Answered) -> None:
    assert translate_postprocessing(given(*operations)) == expected


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ([op("softmax")], "softmax"),
        ([op("sigmoid"), op("sigmoid")], "sigmoid"),
        ([op("scale_linear", gain=255.0)], "scale_linear"),
        ([op("stardist_postprocessing")], "stardist_postprocessing"),
        ([op("binarize", threshold=[0.3, 0.4])], "binarize"),
        ([op("clip", min=0.0, max=0.5)], "clip"),
    ],
)
def test_postprocessing_that_nothing_here_does_is_refused_by_name(operations: list[Operation], name: str) -> None:
    with pytest.raises(CannotTranslate, match=f"The step '{name}'"):
        translate_postprocessing(given(*operations))


@pytest.mark.parametrize(
    ("names", "meanings", "asks"),
    [
        (("foreground", "boundary"), ("foreground", "boundary"), False),
        (("Cell boundary", "Cell"), ("boundary", "foreground"), False),
        (("background", "nucleus", "border"), ("unused", "foreground", "boundary"), False),
        (("probability",), ("foreground",), False),
        (("channel0",), ("foreground",), False),
        (("membrane edges",), ("foreground",), True),
        (("channel0", "channel1"), ("foreground", "boundary"), True),
        (("nucleus", "cell"), ("foreground", "boundary"), True),
        (("a", "b", "c", "d"), ("foreground", "boundary", "unused", "unused"), True),
    ],
)
def test_channels_are_known_by_name_or_asked_for(names: tuple[str, ...], meanings: tuple[str, ...], asks: bool) -> None:
    found = name_outputs(given(names=names), len(names))
    assert (found.meanings, found.asks) == (meanings, asks)


def test_what_a_user_says_of_channels() -> None:
    assert parse_outputs("unused, Foreground,boundary", 3) == ("unused", "foreground", "boundary")


@pytest.mark.parametrize(
    ("answered", "found", "data_range", "activation", "threshold"),
    [
        (Answered(sigmoid=True), None, None, "none", None),
        (Answered(sigmoid=True, threshold=0.3), None, None, "none", 0.3),
        (Answered(), (0.0, 0.98), None, "sigmoid", None),
        (Answered(), None, (0.0, 1.0), "sigmoid", None),
        (Answered(), (-7.0, 9.0), None, "none", None),
        (Answered(threshold=0.4), (0.0, 1.0), None, "sigmoid", 0.4),
        (Answered(threshold=0.0), (0.0, 1.0), None, "none", 0.5),
    ],
)
def test_values_are_probabilities_or_logits(
    answered: Answered, found: Any, data_range: Any, activation: str, threshold: float | None
) -> None:
    heads, limit, _ = heads_of(("foreground",), given(data_range=data_range), answered, found)
    assert (heads[0].activation, limit) == (activation, threshold)


@pytest.mark.parametrize("found", [None, (0.0, 30.0), (-0.5, 2.0)])
def test_other_values_are_refused(found: Any) -> None:
    with pytest.raises(CannotTranslate, match="probabilit"):
        heads_of(("foreground",), given(), Answered(), found)

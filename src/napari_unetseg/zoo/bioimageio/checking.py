"""Whether a model that was made of a package answers to its test image as the package says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ModelError
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.bioimageio.description import FileOf
from napari_unetseg.zoo.bioimageio.outputs import OutputNames
from napari_unetseg.zoo.bioimageio.package import LARGEST_TENSOR, Package
from napari_unetseg.zoo.bioimageio.processing import Answered, CannotTranslate
from napari_unetseg.zoo.registry import ModelPackage

BOUND = 0.01
"""Largest difference of a probability with which a model is taken; runtimes and devices differ by 0.001 and less."""

MOST_PIXELS = 1e-4
"""Share of pixels that may differ where a package gives masks, not probabilities."""

Answer = Callable[[ModelPackage, Image], NDArray[np.float32]]
"""Runs a model on an image as a whole; gives its probabilities, float32 (heads, Y, X)."""

_PLANE = "yx"


@dataclass(frozen=True)
class TestImage:
    """The test image of a package and what its author's network made of it.

    Attributes
    ----------
    image
        Before it is prepared: (C, Y, X) in the type of the file.
    expected
        Float32 (channels, Y, X), after the postprocessing.
    """

    image: Image
    expected: NDArray[np.float32]

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value that is expected."""
        return float(self.expected.min()), float(self.expected.max())


@dataclass(frozen=True)
class Comparison:
    """How far a model's answer is from the expected one.

    Attributes
    ----------
    largest
        Largest difference of a probability; of masks, the share of pixels that differ.
    of_masks
        Whether masks were compared.
    head
        In which output it is largest, and at which row and column.
    """

    largest: float
    of_masks: bool
    head: str
    row: int
    column: int

    @property
    def agrees(self) -> bool:
        """Whether the model can be taken."""
        return self.largest <= (MOST_PIXELS if self.of_masks else BOUND)

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        if self.of_masks:
            return Sentence(
                "On the package's own test image {share:.3%} of the pixels differ from the package's mask.",
                share=self.largest,
            )
        return Sentence(
            "On the package's own test image probabilities differ by {largest:.2g} at most ({head}, row {row}, column "
            "{column}).",
            largest=self.largest,
            head=self.head,
            row=self.row,
            column=self.column,
        )


def read_test_image(package: Package) -> TestImage | None:
    """Read the test image of a package and its expected answer; None where it has none.

    Raises
    ------
    ModelError
        If they cannot be read, or are no plane.
    """
    taken, given = package.description.inputs[0], package.description.outputs[0]
    if taken.test is None or given.test is None:
        return None
    pixels = _plane(package, taken.test, taken.axes)
    expected = _plane(package, given.test, given.axes).astype(np.float32)
    if not np.isfinite(expected).all():
        raise ModelError(
            Sentence("{path}: {file} holds values that are not numbers.", path=package.path, file=given.test.source)
        )
    image = Image(
        pixels if len(pixels) > 1 else pixels[0], "CYX" if len(pixels) > 1 else "YX", name=Path(taken.test.source).name
    )
    return TestImage(image, expected)


def compare(
    test: TestImage, names: OutputNames, probability: NDArray[np.float32], answered: Answered, limit: float
) -> Comparison:
    """Compare a model's answer with the expected one.

    Parameters
    ----------
    test
        What the package has.
    names
        Which of the expected channels are used, and what they mean.
    probability
        What the model gives, float32 (heads, Y, X).
    answered
        The package's postprocessing: it may have made masks.
    limit
        Probability above which a pixel is an object, for masks.

    Raises
    ------
    ModelError
        If the two are of different sizes.
    """
    expected = test.expected[list(names.used)] if max(names.used) < len(test.expected) else test.expected
    if expected.shape != probability.shape:
        raise ModelError(
            Sentence(
                "The package's answer to its test image has the shape {expected}, but this model's has {found}.",
                expected=expected.shape,
                found=probability.shape,
            )
        )
    of_masks = answered.threshold is not None
    if of_masks:
        differs = ((probability > limit) != (expected > 0)).astype(np.float32)
    else:
        low, high = test.range
        if not answered.sigmoid and (low < -1 and high > 1):
            expected = (1 / (1 + np.exp(-expected.astype(np.float64)))).astype(np.float32)
        differs = np.abs(probability - expected).astype(np.float32)
    place = np.unravel_index(int(np.nanargmax(differs)), differs.shape) if differs.size else (0, 0, 0)
    largest = float(differs.mean()) if of_masks else float(differs.max())
    head, row, column = (int(index) for index in place)
    return Comparison(largest if np.isfinite(largest) else np.inf, of_masks, names.heads[head], row, column)


def _plane(package: Package, file: FileOf, axes: str) -> NDArray[np.generic]:
    """Read a tensor as (C, Y, X)."""
    path = package.file(file, LARGEST_TENSOR)
    try:
        tensor = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise ModelError(
            Sentence(
                "{path}: {file} is no NumPy array that can be read ({reason}).",
                path=package.path,
                file=file.source,
                reason=error,
            )
        ) from error
    if not isinstance(tensor, np.ndarray) or tensor.ndim != len(axes) or tensor.dtype.kind not in "buif":
        raise ModelError(
            Sentence(
                "{path}: {file} does not have the axes {axes} that the package states.",
                path=package.path,
                file=file.source,
                axes=axes,
            )
        )
    others = [axis for axis in axes if axis not in ("c", *_PLANE)]
    if any(tensor.shape[axes.index(axis)] != 1 for axis in others if axis != "b") or 0 in tensor.shape:
        raise CannotTranslate(
            Sentence("{path}: {file} is a stack, not one plane.", path=package.path, file=file.source)
        )
    kept = "".join(axis for axis in axes if axis in ("c", *_PLANE))
    plane = tensor[tuple(slice(None) if axis in kept else 0 for axis in axes)]
    if "c" not in kept:
        plane, kept = plane[np.newaxis], "c" + kept
    found: NDArray[np.generic] = np.ascontiguousarray(plane.transpose([kept.index(axis) for axis in "cyx"]))
    return found

"""Stacks on their way through the network: plane by plane in, one prediction out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_unetseg.callbacks import Progress
from napari_unetseg.errors import ImageError, OutOfMemory, out_of_memory_says
from napari_unetseg.image import Image
from napari_unetseg.inference.out_of_memory import no_memory_for
from napari_unetseg.inference.prediction import Prediction, PredictOptions
from napari_unetseg.language import Sentence
from napari_unetseg.probability_maps import allocate_map, drop_cached_pages

if TYPE_CHECKING:
    from napari_unetseg.service.protocols import RunningModel


def predict_stack(loaded_model: "RunningModel", image: Image, options: PredictOptions) -> Prediction:
    """Compute the planes of a stack together; what is wrong with one of them is raised.

    Parameters
    ----------
    loaded_model
        Computes them.
    image
        A stack.
    options
        Its progress counts the tiles of all planes, those that are not read yet too.
    """
    begun, expected = 0, prod(image.stack_shape)

    def planes() -> Iterator[Image | Exception]:
        nonlocal begun
        for plane in read_planes(image):
            begun += 1
            yield plane

    progress = options.progress and share_progress(options.progress, lambda: (begun, expected))
    outcome = join_planes(image, loaded_model.predict_many(planes(), replace(options, progress=progress)))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def read_planes(image: Image) -> Iterator[Image | Exception]:
    """Read the planes of a stack as they are asked for; where one cannot be read, give the error."""
    for index in np.ndindex(image.stack_shape):
        try:
            yield image.plane(index)
        except Exception as error:
            place = _called(image, index)
            yield ImageError(
                Sentence(
                    "{image}: plane {place} cannot be read ({reason}).", image=image.name, place=place, reason=error
                )
            )


def join_planes(image: Image, outcomes: Iterable[Prediction | Exception]) -> Prediction | Exception:
    """Make one prediction of those of a stack's planes, or give the first error among them.

    Takes from `outcomes` as many as the stack has planes.

    Returns
    -------
    Prediction or Exception
        Its maps are (heads, ..., Y, X), with the axes of the stack before Y and X; made by
        `napari_unetseg.probability_maps.allocate_map`.
    """
    joined: _Joined | None = None
    error: Exception | None = None
    # In this order zip takes no outcome too many.
    for index, outcome in zip(np.ndindex(image.stack_shape), outcomes, strict=False):
        if isinstance(outcome, Exception):
            error = error or outcome
        elif error is None:
            try:
                with out_of_memory_says(no_memory_for(image)):
                    joined = joined or _Joined(image, outcome)
                    joined.add(index, outcome)
            except (ImageError, OutOfMemory) as no_room:
                error = no_room
    if error is None and joined is not None:
        return joined.prediction()
    return error or RuntimeError(f"{image.name}: the batch ended without an answer for this stack.")


class _Joined:
    """The prediction of a stack, as far as its planes are known."""

    def __init__(self, image: Image, first: Prediction) -> None:
        heads = len(first.probability)
        shape = (heads + (first.agreement is not None), *image.stack_shape, *image.shape)
        self._maps, remark = allocate_map(shape, image.name)
        self._heads, self._first, self._last = heads, first, first
        self._tiles = 0
        # A dict keeps the order and says each sentence once.
        self._warnings = dict.fromkeys(remark)

    def add(self, index: tuple[int, ...], plane: Prediction) -> None:
        maps: tuple[slice | int, ...] = (slice(self._heads), *index)
        self._maps[maps] = plane.probability
        if plane.agreement is not None:
            self._maps[self._heads, *index] = plane.agreement
        drop_cached_pages(self._maps)
        self._tiles += plane.tiles
        self._warnings |= dict.fromkeys(plane.warnings)
        self._last = plane

    def prediction(self) -> Prediction:
        return replace(
            self._last,
            probability=self._maps[: self._heads],
            agreement=self._maps[self._heads] if self._first.agreement is not None else None,
            tiles=self._tiles,
            warnings=tuple(self._warnings),
        )


def _called(image: Image, index: tuple[int, ...]) -> str:
    return ", ".join(f"{axis} {at + 1}" for axis, at in zip(image.stack_axes, index, strict=True))


def share_progress(progress: Progress, planes: Callable[[], tuple[int, int]]) -> Progress:
    """Count the tiles of planes that have not been read yet as well, at those that the others have had.

    Parameters
    ----------
    progress
        Called with ``(done, total)``.
    planes
        Gives the number of planes that are under way and of all there are.
    """

    def report(done: int, total: int) -> None:
        begun, expected = planes()
        progress(done, max(done, total * expected // max(begun, 1)))

    return report

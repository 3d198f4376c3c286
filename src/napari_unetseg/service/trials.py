"""Every model on a piece of an image, and on each of its channels, to see which of them fits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, ComputerGone
from napari_unetseg.image import TRIAL_SIDE, Image
from napari_unetseg.postprocessing.blocks import middle_span
from napari_unetseg.postprocessing.fit import Fit
from napari_unetseg.postprocessing.stacks import middle_plane
from napari_unetseg.service.segmentation import Segmentation
from napari_unetseg.zoo.registry import ModelPackage


class SegmentPiece(Protocol):
    """As much of `SegmentationService.segment` as trials need."""

    def __call__(self, image: Image, *, model: str, cancel: CancelFlag | None) -> Segmentation:
        """Segment a piece with a model."""
        ...


@dataclass(frozen=True, eq=False)
class Piece:
    """What models are tried on.

    Attributes
    ----------
    image
        A small part of one plane.
    channel
        Which of the image's channels it shows, counted from 0; None where there is nothing to choose, or all are shown
        to a model that wants several.
    """

    image: Image
    channel: int | None = None


@dataclass(frozen=True, eq=False)
class ModelTrial:
    """What one model made of one piece.

    Attributes
    ----------
    package
        The model.
    piece
        The part of the image.
    labels
        int32 (Y, X): 0 is background, objects count from 1; None where the model failed.
    confidence
        Mean probability over the objects, 0 to 1; None where there are none.
    fit
        How well the piece fits the model; None where it sees nothing at all.
    error
        Why the model failed; None where it did not.
    """

    package: ModelPackage
    piece: Piece
    labels: NDArray[np.int32] | None = None
    confidence: float | None = None
    fit: Fit | None = None
    error: Exception | None = None

    @property
    def count(self) -> int:
        """Number of objects."""
        return 0 if self.labels is None else int(self.labels.max(initial=0))

    @property
    def rank(self) -> float:
        """How well it fits, from 1 down to 0; below that where nothing was found, and last where the model failed."""
        if self.error is not None:
            return -2.0
        return self.fit.score if self.fit is not None and self.count else -1.0


def best_first(trials: Iterable[ModelTrial]) -> list[ModelTrial]:
    """Sort trials by how well the piece fits the model."""
    return sorted(trials, key=lambda trial: trial.rank, reverse=True)


def middle_of(image: Image) -> Image:
    """Take the middle of an image, of a stack that of its middle plane, with all its channels."""
    middle = image.plane(middle_plane(image.stack_shape))
    spans = {axis: middle_span(length, TRIAL_SIDE) for axis, length in zip("YX", middle.shape, strict=True)}
    key = tuple(spans.get(axis, slice(None)) for axis in middle.axes)
    return replace(middle, array=np.asarray(middle.array[key]))


def pieces_of(image: Image) -> list[Piece]:
    """Take from the middle of an image what models are tried on, of a stack from its middle plane.

    Returns
    -------
    list of Piece
        One for each channel, but a single one of a grey or RGB image.
    """
    piece = middle_of(image)
    if "C" not in piece.axes or piece.rgb:
        return [Piece(piece)]
    channels = piece.array.shape[piece.axes.index("C")]
    return [Piece(piece.take_channel(channel), channel) for channel in range(channels)]


def run_trials(
    segment: SegmentPiece,
    packages: Sequence[ModelPackage],
    pieces: Sequence[Piece],
    progress: Progress | None = None,
    cancel: CancelFlag | None = None,
    *,
    together: Piece | None = None,
) -> Iterator[ModelTrial]:
    """Try every model on every piece, model after model, so that few are in memory at a time.

    Parameters
    ----------
    segment
        Segments a piece.
    packages, pieces
        What is tried on what.
    progress
        Called as ``progress(done, total)`` with counts of trials.
    cancel
        Polled before and within each trial.
    together
        All channels, for models that want several; None: they get the pieces, too.

    Yields
    ------
    ModelTrial
        As each is done. Of a model that fails, the error; the others go on.

    Raises
    ------
    Cancelled
        Once `cancel` returned True.
    ComputerGone
        If the server that runs them cannot be reached.
    """
    pairs = [
        (package, piece)
        for package in packages
        for piece in ([together] if together is not None and package.card.wants_channels else pieces)
    ]
    for done, (package, piece) in enumerate(pairs):
        if cancel is not None and cancel():
            raise Cancelled("Cancelled before all models were tried.")
        yield _try(segment, package, piece, cancel)
        if progress is not None:
            progress(done + 1, len(pairs))


def _try(segment: SegmentPiece, package: ModelPackage, piece: Piece, cancel: CancelFlag | None) -> ModelTrial:
    try:
        result = segment(piece.image, model=str(package.source), cancel=cancel)
    except (Cancelled, ComputerGone):
        raise
    except Exception as error:
        return ModelTrial(package, piece, error=error)
    sure = None if result.confidence is None else result.confidence.mask_mean
    # The probabilities are let go: of many trials they would take most of the memory.
    return ModelTrial(package, piece, result.labels, sure, result.fit)

"""From a model and a few corrected images to a better model of the user's own, in minutes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.progress_events import TrainingEvent
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import ModelPackage


class ImproveError(UnetsegError):
    """What was corrected cannot improve the model."""


def never() -> bool:
    """Never ask for a stop."""
    return False


def improve(
    package: ModelPackage,
    images: Sequence[CorrectedImage],
    output: Path,
    checkpoints: Path,
    *,
    minutes: float = 5,
    seed: int = 0,
    display_name: str | None = None,
    device: str = "auto",
    preview: Image | None = None,
    report: Callable[[TrainingEvent], None],
    stop: Callable[[], bool] = never,
) -> ModelCard:
    """Fine-tune a model on corrected images and write the better one as a package of its own.

    Run again with the same arguments after a kill, it goes on from the last checkpoint; an exception out of `report`
    or `stop` leaves one behind, too.

    Parameters
    ----------
    package
        The model; it stays as it is.
    images
        What was corrected; at least one pixel must be annotated. Only what is annotated teaches.
    output
        Folder of the new model package; its name is the name of the model.
    checkpoints
        Folder of what is needed to go on.
    minutes
        Time for it all.
    seed
        Of the crops.
    display_name
        Of the new model; None: "<model>, improved on <images>".
    device
        ``"auto"``, ``"cuda"``, one of several cards such as ``"cuda:1"``, ``"mps"`` or ``"cpu"``.
    preview
        Image of which the labels that the model so far finds are written to `checkpoints` after each validation.
    report
        Called with each event, `Begun` to `Finished`, from the calling thread.
    stop
        Asked at each step; True ends it early with the best so far.

    Raises
    ------
    ImproveError
        If nothing is annotated, or the model cannot be trained.
    OutOfMemory
        If there is not enough.
    UnetsegError
        If a file cannot be used.
    """
    raise NotImplementedError

"""From a model and a few corrected images to a better model of the user's own, in minutes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from napari_unetseg.errors import UnetsegError, out_of_memory_says
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.improvement import Improvement, Stopped
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
    steps: int | None = None,
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

    Where there are four regions or more, a quarter of them is held back: the weights that score best on these are
    kept, and their scores before and after stand on the card. Of fewer all are learnt from, and then each is scored by
    a model that learned from the others (cross-validation; of one region, each half by the other). In either case
    weights are kept only if they are not worse on what they learned from than those of the old model.

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
    steps
        Most steps of the model itself, by which the result is the same on a machine of any speed that has the time.
        None: as many as there is time for.
    seed
        Of the crops.
    display_name
        Of the new model; None: "<model>, improved on <images>".
    device
        ``"auto"``, ``"cuda"``, one of several cards such as ``"cuda:1"``, ``"mps"`` or ``"cpu"``.
    preview
        Image of which the labels that the model so far finds are written to `checkpoints` after each validation; of a
        large one those in its middle.
    report
        Called with each event, `Begun` to `Finished`, from the calling thread.
    stop
        Asked at each step; True ends it early with the best so far.

    Raises
    ------
    ImproveError
        If the model cannot be trained.
    CorrectedImageError
        If nothing is annotated.
    OutOfMemory
        If there is not enough.
    UnetsegError
        If a file cannot be used.
    """
    if package.card.image_size is not None:
        raise ImproveError(
            Sentence(
                "{model} sees every image at {height} x {width} pixels, so it cannot learn from parts of one. Improve "
                "another model.",
                model=package.card.display_name,
                height=package.card.image_size[0],
                width=package.card.image_size[1],
            )
        )
    with out_of_memory_says(Sentence("Memory ran out while the model learned. Close other programs, or images.")):
        run = Improvement(package, images, checkpoints, minutes, steps, seed, device, preview, report, stop)
        try:
            run.learn()
        except Stopped:
            pass
        except BaseException:
            run.save()
            raise
        return run.write(output, display_name)

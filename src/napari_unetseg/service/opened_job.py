"""A job of blocks as a process opens it that works on it but does not lead."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from napari_unetseg.blockwise.job import BlockJob, BlockSource, JobSpec, LabelTarget
from napari_unetseg.blockwise.job_folder import JobFolder
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.language import Sentence
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.provenance import card_fingerprint
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.runner import Runner

_IMAGES_KEPT = 2


@contextmanager
def opened_job(
    runner: "Runner",
    package: ModelPackage,
    folder: JobFolder,
    spec: JobSpec,
    target: LabelTarget,
    is_cancelled: Callable[[], bool],
) -> Iterator[BlockJob]:
    """Open a job until the block ends; image and model stay in the process for the next one.

    Parameters
    ----------
    runner
        Lends the model.
    package
        The model.
    folder, spec, target, is_cancelled
        As of `BlockJob`.

    Raises
    ------
    UnetsegError
        If model or image are not those that were asked for, or cannot be opened here.
    """
    if spec.source is None:
        raise ValueError("The image of this job is in the memory of another process.")
    if (package.card.weights.sha256, card_fingerprint(package.card)) != (spec.sha256, spec.card_sha256):
        raise UnetsegError(
            Sentence(
                "{path}: this is not the model that the run began with. Finish the run with that one, or begin anew.",
                path=package.source,
            )
        )
    options = SegmentOptions.of(**spec.options)
    image = options.plane_of(_image(spec.source), package.card)
    found = {"axes": image.axes, "shape": list(map(int, image.array.shape)), "dtype": str(image.array.dtype)}
    if any(spec.image.get(name) != value for name, value in found.items()):
        raise UnetsegError(
            Sentence(
                "{path}: the image has changed since the run began. Begin anew, in another folder.",
                path=spec.source.path,
            )
        )
    with runner.call_for_blocks(package, image.name) as borrow_network:
        yield BlockJob(
            folder=folder,
            spec=spec,
            image=image,
            card=package.card,
            parameters=options.parameters(package.card),
            target=target,
            borrow_network=borrow_network,
            is_cancelled=is_cancelled,
        )


@lru_cache(_IMAGES_KEPT)
def _image(source: BlockSource) -> Image:
    return read_image(**source.model_dump())

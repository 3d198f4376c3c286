"""The verbs that are the same whether the network runs on this machine or on a server."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.config import Settings
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction, PredictRequest
from napari_unetseg.segment_options import SegmentKeywords, SegmentOptions
from napari_unetseg.service.arguments import check_callbacks, check_images, check_models, check_parts
from napari_unetseg.service.batch_queue import Readable
from napari_unetseg.service.protocols import RunningModel
from napari_unetseg.service.reports import Failure
from napari_unetseg.service.runner import OnStage, Part, Runner
from napari_unetseg.service.segmentation import Segmentation
from napari_unetseg.service.trials import ModelTrial, Piece, middle_of, pieces_of, run_trials
from napari_unetseg.signatures import shows_fields
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.blockwise.job import BlockSource, LabelTarget
    from napari_unetseg.blockwise.local_executor import OnBlock
    from napari_unetseg.blockwise.run import Executor, OnProgress
    from napari_unetseg.postprocessing.blocks import Block
    from napari_unetseg.service.block_segmentation import BlockResult


class Finder(Protocol):
    """Finds the models of a service."""

    own: ModelPackage

    def find(self, model: str | Path | None) -> ModelPackage:
        """Return a model by name or path; None stands for the service's own."""
        ...

    def usable(self) -> list[ModelPackage]:
        """Return all that can be used by name."""
        ...


class SegmentVerbs(ABC):
    """A service that finds models with `_packages` and runs them with `_runner`."""

    settings: Settings
    _packages: Finder
    _runner: Runner

    @abstractmethod
    def close(self) -> None:
        """Free everything."""

    @property
    def package(self) -> ModelPackage:
        """The model that is used where a call names no other."""
        return self._packages.own

    @shows_fields(SegmentOptions, before="progress", left_out="None: the model card's.")
    def segment(
        self,
        image: Image | NDArray[Any],
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
        on_stage: OnStage | None = None,
        **options: Unpack[SegmentKeywords],
    ) -> Segmentation:
        """Find the objects of one image, or of every plane of a stack.

        `min_size` counts pixels of the image, whatever the diameter.

        Parameters
        ----------
        image
            An `Image`, or an array that `Image.of` understands; any size from 1 x 1 pixel. Of a stack, such as
            ``Image(array, "TCZYX")``, each plane is segmented as it would be alone.
        model
            Another model than the service's own, for this call.
        options
            What is wanted of the image; see `napari_unetseg.segment_options.SegmentOptions`. Decoder parameters that
            are left out are the model card's.
        progress
            Called as ``progress(done, total)`` with counts of tiles, each counted eight times with `augment`; in
            the calling thread.
        cancel
            Polled while the network runs; once it returns True the call raises `Cancelled`.
        on_stage
            Called with ``"calibrating"`` where the model is to run in int8 and was never calibrated for that, so that
            it is calibrated on this image first, and then with ``"running"``; in the calling thread.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        UnetsegError
            If the image, the model, the device or a parameter cannot be used, or the service was closed.
        """
        check_callbacks(progress=progress, cancel=cancel, on_stage=on_stage)
        return self._runner.run(self._packages.find(model), image, options, progress, cancel, on_stage)

    @shows_fields(SegmentOptions, before="executor", left_out="None: the model card's.")
    def segment_blocks(
        self,
        image: Image | NDArray[Any],
        folder: Path,
        target: "LabelTarget",
        *,
        model: str | Path | None = None,
        executor: "Executor | None" = None,
        progress: "OnProgress | None" = None,
        cancel: CancelFlag | None = None,
        source: "BlockSource | None" = None,
        focus: "Block | None" = None,
        on_block: "OnBlock | None" = None,
        conclude: "Callable[[BlockResult], None] | None" = None,
        **options: Unpack[SegmentKeywords],
    ) -> "BlockResult":
        """Find the objects of an image that need not fit into memory, block by block.

        Labels are those of `segment`. What was done stays in the folder of the job, so that the same call goes on where
        one was killed, stopped or failed. Two runs never share a folder: the second one is refused.

        Parameters
        ----------
        image
            As `segment` takes it. Of an array that is not in memory, such as that of zarr or dask, what is needed is
            read, from several threads.
        folder
            For what is kept until the end: some 4 bytes for each pixel and each map of the network, and up to 8 for
            each pixel. Beside the labels, on a disk that all processes of the job see.
        target
            Where the labels go; such as what `napari_unetseg.io.ome_zarr` makes.
        model
            Another model than the service's own, for this call.
        options
            As in `segment`.
        executor
            Does the work, such as processes of dask. None: this process, with the model of this service.
        progress
            Called with a `BlockProgress`, in the calling thread.
        cancel
            Polled between tiles; once it returns True the call raises `Cancelled`, and what is done stays.
        source
            Where other processes find the image. None: they cannot open it.
        focus
            Rows and columns that are best done first, such as what somebody looks at.
        on_block
            Called in the calling thread with place of the plane, rows and columns, and int32 (Y, X) labels of a block:
            as soon as the network has seen it (in this process alone), with numbers of no other block, and once more
            when its labels are final and in the target.
        conclude
            Called with the result once all is done, while the folder is still there: the place to move the table and to
            write what the labels say of themselves. Then the folder is removed. None: it stays, for the caller to
            remove it.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        UnetsegError
            If the image, the model, the device or a parameter cannot be used, the folder is another run's or holds
            blocks of another image, model or parameters, or the disk has no room.
        """
        check_callbacks(progress=progress, cancel=cancel, on_block=on_block, conclude=conclude)
        from napari_unetseg.service.block_segmentation import run_blocks

        package = self._packages.find(model)
        return run_blocks(
            self._runner,
            package,
            image,
            folder,
            target,
            options,
            how=self.settings.unet.inference,
            executor=executor,
            progress=progress,
            cancel=cancel,
            source=source,
            focus=focus,
            on_block=on_block,
            conclude=conclude,
        )

    def predict(
        self,
        image: Image,
        *,
        model: str | Path | None = None,
        diameter: float | None = None,
        augment: bool = False,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
        on_stage: OnStage | None = None,
    ) -> tuple[Prediction, RunningModel]:
        """Compute what the network says of one plane, and read no objects off it.

        Parameters
        ----------
        image
            One plane.
        model, diameter, augment, progress, cancel, on_stage
            As in `segment`; without a diameter the network sees the image as it is.

        Returns
        -------
        prediction
            The probabilities.
        model
            What computed them.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        UnetsegError
            If the image, the model, the device or the diameter cannot be used, or the service was closed.
        """
        wanted = PredictRequest(image, diameter, augment, progress, cancel)
        return self._runner.predict(self._packages.find(model), wanted, on_stage)

    @shows_fields(SegmentOptions, before="progress", left_out="None: the model card's.")
    def segment_batch(
        self,
        images: Iterable[Readable | None],
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
        on_stage: OnStage | None = None,
        also: Collection[Part] = (),
        **options: Unpack[SegmentKeywords],
    ) -> list[Segmentation | Failure]:
        """Find the objects of many images; results come in the order of the images.

        An image that cannot be segmented gives a `Failure` in its place and the others go on. Once
        `cancel` returns True, what is finished is returned and the rest are failures that say so.

        Parameters
        ----------
        images
            See `iter_batch`, which keeps fewer results in memory.
        model
            Another model than the service's own, for this call.
        options
            As in `segment`, the same for every image.
        progress
            Called as ``progress(done, total)`` with counts of images.
        cancel
            Polled while the network runs.
        on_stage, also
            As for `iter_batch`.

        Raises
        ------
        UnetsegError
            If the model, the device or a parameter cannot be used, or the service was closed.
        """
        check_images(images)
        check_callbacks(progress=progress)
        images = [image for image in images if image is not None]
        results: list[Segmentation | Failure] = []
        for result in self.iter_batch(images, model=model, cancel=cancel, on_stage=on_stage, also=also, **options):
            results.append(result)
            if progress is not None:
                progress(len(results), len(images))
        return results

    @shows_fields(SegmentOptions, before="progress", left_out="None: the model card's.")
    def iter_batch(
        self,
        images: Iterable[Readable | None],
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
        on_stage: OnStage | None = None,
        also: Collection[Part] = (),
        **options: Unpack[SegmentKeywords],
    ) -> Generator[Segmentation | Failure]:
        """Find the objects of many images, with results in their order.

        Images are read, seen by the network and read off its maps side by side, in threads, a few ahead of the result
        that is asked for. Tiles of several images share the device's batches, unless the setting
        `unet.inference.enable_batch_processing` is off; where there are several devices, all take part.

        Parameters
        ----------
        images
            Images of any sizes, as `segment` takes them, or functions that read one when its turn comes: one after
            the other, in a thread of their own. None among them says that the next one is not there yet, so that what
            is finished is given first; it has no result.
        model
            Another model than the service's own, for this call.
        options
            As in `segment`, the same for every image.
        progress
            Called as ``progress(done, total)`` with counts of tiles, of the images taken in so far; in the calling
            thread, while it waits for a result.
        cancel
            As in `segment_batch`; polled in the calling thread, while it waits for a result.
        on_stage
            As for `segment`; it is the first image that can be read which a model is calibrated on.
        also
            What of a result will be needed: any of ``"contours"``, ``"measurements"`` and ``"confidence"``. They are
            computed in the threads, too, so that it has them at once; what is not named is computed when it is asked
            for.

        Returns
        -------
        Generator of Segmentation or Failure
            One an image, in their order. Its ``close()`` ends a batch that nobody wants to the end.

        Raises
        ------
        UnetsegError
            See `segment_batch`.
        """
        check_images(images)
        check_callbacks(progress=progress, cancel=cancel, on_stage=on_stage)
        check_parts(also)
        package = self._packages.find(model)
        return self._runner.run_many(package, images, SegmentOptions.of(**options), progress, cancel, on_stage, also)

    def try_all(
        self,
        image: Image | NDArray[Any],
        *,
        models: Sequence[str | Path] | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
    ) -> Iterator[ModelTrial]:
        """Try every model on the middle of an image, and on each of its channels, to see which fits.

        Models are loaded one after the other and let go as `with_model` has it. See
        `napari_unetseg.service.trials.best_first` for the order in which to look at them.

        Parameters
        ----------
        image
            As `segment` takes it. Its middle 512 pixels are looked at, of a stack those of the middle plane; an RGB
            image as it is, each channel of another one alone; a model that wants several channels gets them as
            `segment` would.
        models
            Names or paths; None for all that can be used.
        progress
            Called as ``progress(done, total)`` with counts of trials.
        cancel
            Polled before and within each trial; once it returns True `Cancelled` is raised.

        Returns
        -------
        iterator of ModelTrial
            As each is done. Where a model fails its trial says why, and the others go on.

        Raises
        ------
        UnetsegError
            If the image cannot be used, or there is no such model.
        """
        check_models(models)
        check_callbacks(progress=progress, cancel=cancel)
        packages = self._packages.usable() if models is None else [self._packages.find(model) for model in models]
        middle = middle_of(Image.of(image))
        return run_trials(self.segment, packages, pieces_of(middle), progress, cancel, together=Piece(middle))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

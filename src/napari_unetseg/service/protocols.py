"""What faces and the runner rely on, whether a network runs on this machine or on a server."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.config import Settings
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.segment_options import SegmentKeywords
from napari_unetseg.service.reports import Failure, Health, Initialization, ModelInfo
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.blockwise.job import BlockSource, LabelTarget
    from napari_unetseg.blockwise.local_executor import OnBlock
    from napari_unetseg.blockwise.run import Executor, OnProgress
    from napari_unetseg.inference.backends.openvino.int8_store import Calibration
    from napari_unetseg.postprocessing.blocks import Block
    from napari_unetseg.service.batch_queue import Readable
    from napari_unetseg.service.block_segmentation import BlockResult
    from napari_unetseg.service.forecast import Forecast, Workload
    from napari_unetseg.service.runner import OnStage, Part
    from napari_unetseg.service.segmentation import Segmentation
    from napari_unetseg.service.trials import ModelTrial


class RunningModel(Protocol):
    """A model that can be run: one in memory here, or one on a server. Any thread may call any method."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        ...

    @property
    def source(self) -> str:
        """What finds the model again: its name, or a path."""
        ...

    @property
    def facts(self) -> RunFacts:
        """How the network is computed; of a server, as it said with its last answer."""
        ...

    @property
    def server(self) -> dict[str, Any] | None:
        """Which server computes: its ``address``, ``version`` and the ``versions`` of its libraries; None: nobody."""
        ...

    def predict(self, image: Image, options: PredictOptions | None = None) -> Prediction:
        """Compute the probability map of one plane."""
        ...

    def predict_many(
        self, images: Iterable[Image | PredictRequest | Exception], options: PredictOptions | None = None
    ) -> Iterator[Prediction | Exception]:
        """Compute many planes, with results in their order; what is wrong with one takes its place."""
        ...

    def release_memory(self) -> None:
        """Let go of what is kept for the next run."""
        ...


class ModelLender(Protocol):
    """Lends models that can be run."""

    @property
    def workers(self) -> int:
        """Devices that run models side by side, each with its own; most machines have one."""
        ...

    def borrow(self, package: ModelPackage, worker: int = 0) -> AbstractContextManager[RunningModel]:
        """Lend a model on the device of that worker until the block ends."""
        ...

    def unload(self, package: ModelPackage | None = None) -> None:
        """Let a model go, or all."""
        ...


class Segmenter(Protocol):
    """The verbs that every face speaks; `napari_unetseg.service.SegmentationService` explains each."""

    settings: Settings

    @property
    def package(self) -> ModelPackage:
        """The model that is used where a call names no other."""
        ...

    def with_model(self, model: str | Path | None) -> Self:
        """Return this service with another model of its own."""
        ...

    def segment(
        self,
        image: Image | NDArray[Any],
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
        on_stage: "OnStage | None" = None,
        **options: Unpack[SegmentKeywords],
    ) -> "Segmentation":
        """Find the objects of one image, or of every plane of a stack."""
        ...

    def segment_batch(
        self,
        images: "Iterable[Readable | None]",
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
        on_stage: "OnStage | None" = None,
        also: "Collection[Part]" = (),
        **options: Unpack[SegmentKeywords],
    ) -> "list[Segmentation | Failure]":
        """Find the objects of many images; results come in the order of the images."""
        ...

    def iter_batch(
        self,
        images: "Iterable[Readable | None]",
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
        on_stage: "OnStage | None" = None,
        also: "Collection[Part]" = (),
        **options: Unpack[SegmentKeywords],
    ) -> "Generator[Segmentation | Failure]":
        """Find the objects of many images, as results are asked for."""
        ...

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
        """Find the objects of an image that need not fit into memory."""
        ...

    def try_all(
        self,
        image: Image | NDArray[Any],
        *,
        models: Sequence[str | Path] | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
    ) -> "Iterator[ModelTrial]":
        """Try every model on the middle of an image."""
        ...

    def initialize(
        self, force_reload: bool = False, warm_up: bool = True, *, model: str | Path | None = None
    ) -> Initialization:
        """Load a model now, or load it again."""
        ...

    def needs_conversion(self, model: str | Path | None = None) -> bool:
        """Whether loading a model has to convert it first, which takes some seconds."""
        ...

    def calibrate(
        self,
        images: Sequence[Image | NDArray[Any]],
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
    ) -> "Calibration":
        """Bring a model into int8 on images that it is meant for."""
        ...

    def model_info(self, model: str | Path | None = None) -> ModelInfo:
        """Say what a model is; loads nothing."""
        ...

    def forecast(self, work: "Workload", *, model: str | Path | None = None) -> "Forecast":
        """Say what a run will take, about; loads nothing."""
        ...

    def health(self, dummy_inference: bool = True, *, model: str | Path | None = None) -> Health:
        """Check that the service can work; what is wrong is reported, not raised."""
        ...

    def unload(self, model: str | Path | None = None) -> None:
        """Free the memory of a model, or of all."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

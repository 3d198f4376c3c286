"""`SegmentationService`: one loaded model, safe for many callers."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import psutil
from numpy.typing import NDArray

from napari_unetseg.errors import Cancelled, ParameterError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import BACKENDS, CancelFlag
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.service.describe import describe, identify
from napari_unetseg.service.provenance import record
from napari_unetseg.service.reports import Failure, Health, Initialization, MemoryUsage, ModelInfo
from napari_unetseg.service.segmentation import Segmentation, override
from napari_unetseg.service.statistics import RunCounter
from napari_unetseg.zoo.registry import DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    from napari_unetseg.inference.predict import Progress
    from napari_unetseg.service.runtime import Runtime


class SegmentationService:
    """Segment images with one model.

    Nothing is loaded until the first `segment`, `health` or `initialize`, so making a service is
    quick; call those from a worker thread where a window must not wait. Any number of threads may
    call any verb; the device works on one image at a time.

    Parameters
    ----------
    model
        Name of a bundled or user model, or the path of a model package or of a checkpoint; a checkpoint
        is read at once.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    backend
        Runtime of the network: ``"torch"`` or ``"onnxruntime"`` (which the extra ``[onnx]`` installs).
    fallback_to_cpu
        Whether a device that is not there is replaced by the CPU, with a warning.

    Raises
    ------
    ModelError
        If there is no such model or its card is broken.
    ParameterError
        If there is no such backend.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        device: str = "auto",
        backend: str = "torch",
        *,
        fallback_to_cpu: bool = True,
    ) -> None:
        if backend not in BACKENDS:
            raise ParameterError(f"There is no backend {backend!r}. Choose one of {', '.join(BACKENDS)}.")
        self.package = find_model(model)
        self._device_request = device
        self._backend_name = backend
        self._fallback_to_cpu = fallback_to_cpu
        self._loaded: Runtime | None = None
        self._loading = Lock()
        self._working = Lock()
        self._counter = RunCounter()
        self._checked_at: str | None = None

    def segment(
        self,
        image: Image | NDArray[Any],
        *,
        channel: int | None = None,
        threshold: float | None = None,
        min_size: int | None = None,
        split: float | None = None,
        fill_holes: bool | None = None,
        progress: "Progress | None" = None,
        cancel: CancelFlag | None = None,
    ) -> Segmentation:
        """Find the objects of one image.

        Parameters
        ----------
        image
            An `Image`, or an array that `Image.of` understands; any size from 1 x 1 pixel.
        channel
            Segment this channel alone.
        threshold, min_size, split, fill_holes
            Decoder parameters; those left out are the model card's.
        progress
            Called as ``progress(done, total)`` with counts of tiles, in the calling thread.
        cancel
            Polled while the network runs; once it returns True the call raises `Cancelled`.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        UnetsegError
            If the image, the model, the device or a parameter cannot be used.
        """
        try:
            result = self._segment(
                Image.of(image),
                channel,
                {"threshold": threshold, "min_size": min_size, "split": split, "fill_holes": fill_holes},
                progress,
                cancel,
            )
        except Cancelled:
            raise
        except Exception as error:
            self._counter.failed(error, request_id="")
            raise
        self._counter.succeeded(result.provenance.seconds)
        return result

    def _segment(
        self,
        image: Image,
        channel: int | None,
        changes: dict[str, Any],
        progress: "Progress | None",
        cancel: CancelFlag | None,
    ) -> Segmentation:
        card = self.package.card
        parameters = override(card.parameters, changes)
        plane = image if channel is None else image.take_channel(channel)
        started = datetime.now(UTC).astimezone()
        with self._turn(cancel):
            loaded = self._load()
            clock = time.perf_counter()
            prediction = loaded.predict(plane, progress=progress, cancel=cancel)
            seconds = time.perf_counter() - clock
        provenance = record(
            loaded,
            prediction,
            image=image.name,
            channel=channel,
            parameters=parameters,
            started=started,
            seconds=seconds,
        )
        return Segmentation(
            image=plane,
            probability=prediction.probability,
            heads=card.heads,
            parameters=parameters,
            labels=decode(prediction.probability, card.heads, parameters),
            provenance=provenance,
            warnings=(*([loaded.device.warning] if loaded.device.warning else []), *prediction.warnings),
        )

    def segment_batch(
        self,
        images: Iterable[Image | NDArray[Any]],
        *,
        progress: "Progress | None" = None,
        cancel: CancelFlag | None = None,
        **settings: Any,
    ) -> list[Segmentation | Failure]:
        """Find the objects of many images; results come in the order of the images.

        An image that cannot be segmented gives a `Failure` in its place and the others go on. Once
        `cancel` returns True, what is finished is returned and the rest are failures that say so.

        Parameters
        ----------
        images
            Images of any sizes, as `segment` takes them.
        progress
            Called as ``progress(done, total)`` with counts of images.
        cancel
            Polled while the network runs.
        settings
            The other keyword arguments of `segment`, the same for every image.
        """
        images = list(images)
        results: list[Segmentation | Failure] = []
        for index, image in enumerate(images):
            name = image.name if isinstance(image, Image) else f"image {index}"
            try:
                if cancel is not None and cancel():
                    raise Cancelled(f"{name}: not segmented, the run was cancelled.")
                results.append(self.segment(Image.of(image, name=name), cancel=cancel, **settings))
            except Exception as error:
                results.append(Failure(name, error))
            if progress is not None:
                progress(index + 1, len(images))
        return results

    def initialize(self, force_reload: bool = False, warm_up: bool = True) -> Initialization:
        """Load the model now, or load it again.

        If loading fails, the model that was loaded before stays in place.

        Parameters
        ----------
        force_reload
            Read card and weights from disk again even if they are loaded.
        warm_up
            Run the network once, so that the first image does not pay for it.

        Raises
        ------
        ModelError, DeviceError
            If the model or the device cannot be used.
        """
        clock = time.perf_counter()
        self._load(force_reload)
        if warm_up:
            self._dummy_inference()
        info, elapsed_ms = self.model_info(), 1000 * (time.perf_counter() - clock)
        message = f"{info.display_name} is ready on {info.device}."
        return Initialization(True, message, elapsed_ms, service_ready=True, info=info)

    def model_info(self) -> ModelInfo:
        """Say which model this service uses; loads nothing."""
        return describe(self.package, self._loaded)

    def health(self, dummy_inference: bool = True) -> Health:
        """Check that the service can work; never raises.

        Parameters
        ----------
        dummy_inference
            Load the model if needed and run it on a small image. Without it, only what is known
            already is reported.
        """
        problems: list[str] = []
        dummy_ms = None
        if dummy_inference:
            try:
                dummy_ms = self._dummy_inference()
            except UnetsegError as error:
                problems.append(str(error))
            except Exception as error:
                problems.append(f"The network failed on a small test image: {type(error).__name__}: {error}")
        loaded = self._loaded
        if loaded is None and not problems:
            problems.append("The model is not loaded yet; it loads on the first run.")
        if dummy_inference:
            self._checked_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        process = psutil.Process().memory_info().rss / 2**20
        return Health(
            service_healthy=not problems,
            model_loaded=loaded is not None,
            memory_pools_ready=False,
            gpu_available=None,
            last_health_check=self._checked_at,
            model_info=identify(self.package, loaded),
            memory_usage=MemoryUsage(process_mb=process, device_mb=loaded.backend.device_memory_mb if loaded else None),
            performance=self._counter.read(),
            problems=tuple(problems),
            device_reason=loaded.device.reason if loaded else None,
            precision=loaded.backend.precision if loaded else None,
            backend=loaded.backend_name if loaded else None,
            dummy_inference_ms=dummy_ms,
        )

    def unload(self) -> None:
        """Free the model's memory; the next call that needs it loads it again."""
        with self._working, self._loading:
            loaded, self._loaded = self._loaded, None
            if loaded is not None:
                loaded.backend.unload()

    def _load(self, force_reload: bool = False) -> "Runtime":
        # torch is imported here, in whichever thread first needs the model.
        from napari_unetseg.service.runtime import load_runtime

        with self._loading:
            if self._loaded is None or force_reload:
                package = find_model(self.package.source) if force_reload else self.package
                self._loaded = load_runtime(
                    package, self._device_request, self._backend_name, fallback_to_cpu=self._fallback_to_cpu
                )
                self.package = package
            return self._loaded

    def _dummy_inference(self) -> float:
        with self._turn(None):
            return self._load().dummy_inference()

    @contextmanager
    def _turn(self, cancel: CancelFlag | None) -> Iterator[None]:
        """Wait for the device, still listening to `cancel`."""
        while not self._working.acquire(timeout=0.1):
            if cancel is not None and cancel():
                raise Cancelled("Cancelled while another image was being segmented.")
        try:
            yield
        finally:
            self._working.release()

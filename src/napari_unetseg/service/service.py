"""`SegmentationService`: loaded models, safe for many callers."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import gethostname
from threading import Lock
from typing import TYPE_CHECKING, Any, Unpack

from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.config import Settings, load_settings
from napari_unetseg.errors import DeviceError, ModelError, NotCalibrated
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.selection import requested_backend
from napari_unetseg.language import Sentence
from napari_unetseg.segment_options import SegmentKeywords, SegmentOptions
from napari_unetseg.service.arguments import check_callbacks, check_images, check_instance
from napari_unetseg.service.describe import describe
from napari_unetseg.service.forecast import Forecast, Workload, forecast_run
from napari_unetseg.service.health_check import HealthChecker
from napari_unetseg.service.model_cache import ModelCache
from napari_unetseg.service.packages import ModelFinder
from napari_unetseg.service.reports import Health, Initialization, ModelInfo
from napari_unetseg.service.requests import request
from napari_unetseg.service.runner import Runner
from napari_unetseg.service.verbs import SegmentVerbs
from napari_unetseg.signatures import shows_fields
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import dask.array

    from napari_unetseg.blockwise.job import BlockJob, JobSpec, LabelTarget
    from napari_unetseg.blockwise.job_folder import JobFolder
    from napari_unetseg.blockwise.run import Executor
    from napari_unetseg.inference.backends.openvino.int8_store import Calibration
    from napari_unetseg.service.loaded_model import LoadedModel


class SegmentationService(SegmentVerbs):
    """Segment images with one model, or with several.

    Nothing is loaded until the first `segment`, `health` or `initialize` (but see the setting
    `unet.model.eager_loading`), so making a service is quick; call those from a worker thread where a
    window must not wait. Any number of threads may call any verb; the device works for one run at a time,
    in which images of calls that wait share its batches. As a context manager it is closed at the end of
    the block.

    Parameters
    ----------
    model
        Name of a bundled or user model, or the path of a model package or of a checkpoint; a checkpoint
        is read at once. This and the next four: None for what the settings say.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``. Where there are several graphics cards, the first two share
        images out among all of them, and ``"cuda:1"`` is one alone.
    backend
        Runtime of the network: ``"auto"``, ``"torch"``, ``"openvino"`` (which the extra ``[openvino]`` installs) or
        ``"onnxruntime"`` (``[onnx]``).
    precision
        Arithmetic of the network: ``"auto"``, ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"int8"``.
    fallback_to_cpu
        Whether a device that is not there is replaced by the CPU, with a warning.
    settings
        None: those of this machine, as `napari_unetseg.config.load_settings` finds them.

    Attributes
    ----------
    settings
        What it goes by.

    Raises
    ------
    ConfigError
        If the settings of this machine are wrong.
    ModelError
        If there is no such model or its card is broken.
    ParameterError
        If there is no such backend or precision, the backend does not compute in it, or an argument is of a wrong kind.
    """

    _packages: ModelFinder

    def __init__(
        self,
        model: str | Path | None = None,
        device: str | None = None,
        backend: str | None = None,
        *,
        precision: str | None = None,
        fallback_to_cpu: bool | None = None,
        settings: Settings | None = None,
    ) -> None:
        check_instance("settings", settings, Settings)
        check_instance("fallback_to_cpu", fallback_to_cpu, bool)
        self.settings = settings or load_settings().settings
        preferred = self.settings.unet.model
        # Refuses a backend or a precision that there is not.
        self._backend_request = requested_backend(backend, precision, preferred.backend, preferred.precision)
        self._device = device
        self._fallback_to_cpu = fallback_to_cpu
        self._packages = ModelFinder(model, self.settings)
        self._models = ModelCache(self._load, 1e9 * preferred.max_models_gb, self._count_workers)
        self._runner = Runner(self._models, self.settings)
        self._health_checker = HealthChecker(self.settings)
        if preferred.eager_loading:
            with suppress(NotCalibrated):  # `health` says so, and the first run calibrates it
                self.initialize()

    def with_model(self, model: str | Path | None) -> "SegmentationService":
        """Return this service with another model of its own: memory, device, counts and settings are shared.

        Models that neither uses stay in memory as long as all fit into the setting `unet.model.max_models_gb`, so
        that changing back and forth loads none twice. To close one closes both.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        # All is shared but which model is meant: models are loaded as the settings say, which both have.
        # Not by `copy.copy`, which goes by `__reduce__`, as to another process.
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._packages = ModelFinder(model, self.settings)
        return other

    def initialize(
        self, force_reload: bool = False, warm_up: bool = True, *, model: str | Path | None = None
    ) -> Initialization:
        """Load a model now, or load it again.

        If loading fails, or the model fails the check of the setting `unet.health.startup_validation`,
        the one that was loaded before stays in place.

        Parameters
        ----------
        force_reload
            Read card and weights from disk again even if they are loaded.
        warm_up
            Run the network once, so that the first image does not pay for it.
        model
            Another model than the service's own.

        Raises
        ------
        ModelError, DeviceError
            If the model or the device cannot be used.
        """
        clock = time.perf_counter()
        with request():
            package = self._packages.find(model)
            if force_reload:
                package = self._packages.read_again(package)
                self._models.reload(package)
                self._packages.replace(package)
            with self._models.borrow(package) as loaded_model:
                if warm_up:
                    with self._runner.turn():
                        self._health_checker.warm_up(loaded_model)
                info = describe(package, loaded_model)
        elapsed_ms = 1000 * (time.perf_counter() - clock)
        return Initialization(
            success=True,
            message=Sentence("{model} is ready on {device}.", model=info.display_name, device=info.device),
            initialization_time_ms=elapsed_ms,
            service_ready=True,
            info=info,
        )

    @property
    def waiting(self) -> int:
        """Calls of all threads that wait for the device."""
        return self._runner.waiting

    def needs_conversion(self, model: str | Path | None = None) -> bool:
        """Whether loading a model has to convert it for OpenVINO first, which takes some seconds.

        The first call on a machine may take some, too, as it tries whether OpenVINO works.
        """
        from napari_unetseg.inference.backends.device import choose_device
        from napari_unetseg.service.calibrating import needs_conversion

        device = choose_device(self._wanted_device, fallback_to_cpu=True).kind
        return needs_conversion(self._packages.find(model), self._backend_request, device)

    def calibrate(
        self,
        images: Sequence[Image | NDArray[Any]],
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
    ) -> "Calibration":
        """Bring a model into int8 on images that it is meant for, so that it can run with ``precision="int8"``.

        It is kept for later sessions where its masks agree with those in float32 to a Dice of 0.995 or more.

        Parameters
        ----------
        images
            A few that differ. Of a stack some planes are taken.
        model
            Another model than the service's own.
        progress
            Called as ``progress(done, total)`` with counts of images computed, of those known so far to be.
        cancel
            Polled while the network runs.

        Returns
        -------
        Calibration
            ``accepted`` says whether it may be used, ``dice`` and ``outcome`` how well the masks agree.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        UnetsegError
            If the extra ``[openvino]`` is not installed, or the model or an image cannot be used.
        """
        check_images(images)
        check_callbacks(progress=progress, cancel=cancel)
        with request():
            return self._runner.calibrate(self._packages.find(model), images, progress, cancel)

    def model_info(self, model: str | Path | None = None) -> ModelInfo:
        """Say which model this service uses, or what another one is; loads nothing."""
        package = self._packages.find(model)
        return describe(package, self._models.peek(package))

    def forecast(self, work: Workload, *, model: str | Path | None = None) -> Forecast:
        """Say how long a run will take about, how much memory, and on which device; loads nothing.

        Raises
        ------
        UnetsegError
            If the diameter cannot be used with this model or image.
        """
        package = self._packages.find(model)
        return forecast_run(
            package,
            work,
            self.settings,
            self._device,
            backend_request=self._backend_request,
            loaded_model=self._models.peek(package),
            throughput=self._runner.throughput,
        )

    def health(self, dummy_inference: bool = True, *, model: str | Path | None = None) -> Health:
        """Check that the service can work; what is wrong is reported, not raised.

        Parameters
        ----------
        dummy_inference
            Load the model if needed and check it as the settings `unet.health` say: on a small image,
            whose answer is compared with the one stored with the model. Without it, only what is known
            already is reported.
        model
            Another model than the service's own.

        Raises
        ------
        ModelError
            If there is no such other model.
        """
        package = self._packages.find(model)
        failure = None
        if dummy_inference:
            with request():
                try:
                    with self._models.borrow(package) as loaded_model, self._runner.turn():
                        self._health_checker.check(package, loaded_model)
                except Exception as error:
                    failure = error
        return self._health_checker.report(package, self._models, self._runner.counter, failure)

    def unload(self, model: str | Path | None = None) -> None:
        """Free the memory of a model, or of all; the next call that needs it loads it again.

        A model that is in use is freed as soon as it is not; nobody waits for that.
        """
        self._models.unload(None if model is None else self._packages.find(model))

    @shows_fields(SegmentOptions, before="executor", left_out="None: the model card's.")
    def map_blocks(
        self,
        array: "dask.array.Array",
        folder: str | Path | None = None,
        *,
        axes: str | None = None,
        executor: "Executor | None" = None,
        **options: Unpack[SegmentKeywords],
    ) -> "dask.array.Array":
        """Return the labels of a dask array as another one, which computes them when it is computed.

        They are those of `segment`, whatever the chunks: to compute a part of them segments all of the image. Until
        then nothing is read but the array's shape.

        Parameters
        ----------
        array
            One plane or a stack, as `Image` has it.
        folder
            Where image, labels and what is found on the way are kept, on a disk that all workers see under the same
            path. Labels are read from there whenever they are computed anew. None: a temporary folder of this
            machine, until the process ends.
        axes
            What the axes are, such as ``"ZYX"``; None: as `Image.of` has it.
        executor
            Who does the work, such as ``DaskExecutor(service)`` of `napari_unetseg.cluster.dask_executor`: the
            workers of the scheduler that computes the array. None: one process, whichever the scheduler chooses.
        options
            As in `segment`.

        Returns
        -------
        dask.array.Array
            int32, with the axes of `array` but for channels; 0 is background.

        Raises
        ------
        UnetsegError
            If the array cannot be used. What else goes wrong is raised when the labels are computed.
        """
        from napari_unetseg.service.mapped_blocks import map_blocks

        return map_blocks(self, array, folder, axes, executor, SegmentOptions.of(**options))

    def opened_job(
        self, folder: "JobFolder", spec: "JobSpec", target: "LabelTarget", is_cancelled: CancelFlag
    ) -> "AbstractContextManager[BlockJob]":
        """Open a job that another process leads; see `napari_unetseg.service.opened_job.opened_job`."""
        from napari_unetseg.service.opened_job import opened_job

        return opened_job(self._runner, self.package, folder, spec, target, is_cancelled)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process by what it is made of; see `napari_unetseg.service.service.service_here`."""
        own, asked = self.package, self._backend_request
        source = own.name if own.origin == "bundled" else str(own.source)
        how = (self._device, asked.backend, asked.precision, self._fallback_to_cpu)
        return service_here, (source, own.card.weights.sha256, how, self.settings)

    def close(self) -> None:
        """Free everything. Calls that need a model raise `UnetsegError` from now on; those under way end well."""
        self._models.close()

    @property
    def _wanted_device(self) -> str:
        return self.settings.unet.model.device if self._device is None else self._device

    def _count_workers(self) -> int:
        try:
            from napari_unetseg.inference.backends.device import count_workers
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            return 1  # to load a model says what is missing
        return count_workers(self._wanted_device)

    def _load(self, package: ModelPackage, worker: int) -> "LoadedModel":
        # torch is imported here, in whichever thread first needs the model.
        try:
            from napari_unetseg.service.loaded_model import load_model
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise DeviceError(
                Sentence(
                    "PyTorch is not installed, so no model runs on this machine. Choose a server, or install it: "
                    "pip install torch"
                )
            ) from error

        loaded_model = load_model(
            package,
            self.settings,
            device=self._device,
            worker=worker,
            backend_request=self._backend_request,
            fallback_to_cpu=self._fallback_to_cpu,
            let_go=partial(self._models.let_idle_go, package, worker),
        )
        try:
            self._health_checker.validate(package, loaded_model)
        except Exception:
            loaded_model.close()
            raise
        return loaded_model


_services: dict[tuple[Any, ...], SegmentationService] = {}
_making = Lock()


def service_here(
    model: str, sha256: str, how: tuple[str | None, str, str, bool | None], settings: Settings
) -> SegmentationService:
    """Return the service that stands in this process for one of another process; it is made once.

    Parameters
    ----------
    model
        Name of a bundled model, or the path of another one, which both processes see.
    sha256
        Of its weights.
    how
        Device, backend, precision and whether the CPU may step in, as they were given to that service.
    settings
        Those of that service.

    Raises
    ------
    ModelError
        If this process finds no such model, or another one.
    """
    key = (model, sha256, how, settings.model_dump_json())
    with _making:
        if key not in _services:
            device, backend, precision, fallback = how
            service = SegmentationService(
                model, device, backend, precision=precision, fallback_to_cpu=fallback, settings=settings
            )
            if service.package.card.weights.sha256 != sha256:
                raise ModelError(
                    Sentence(
                        "{path}: {machine} has another model of this name than the process that asks for it. Install "
                        "the same version there, or put the model into a folder that both see.",
                        path=service.package.source,
                        machine=gethostname(),
                    )
                )
            _services[key] = service
        return _services[key]

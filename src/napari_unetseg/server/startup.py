"""What a server does before it is ready: find the batch size of its device, and load its model."""

import logging
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

from napari_unetseg.config import Settings
from napari_unetseg.errors import NotCalibrated, OutOfMemory, UnetsegError, one_line, out_of_memory_says
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service import SegmentationService

SIDE = 512
"""Side in pixels of the windows that are measured."""

SLOW_S = 1.0
"""A window that takes longer keeps its device busy alone: no larger batch is tried."""

MOST_TILES = {"cpu": 2, "cuda": 16, "mps": 4}
"""Largest batch that is tried on a device."""

_NO_ROOM = Sentence("The device has too little memory for one tile of the model.")

_REPEATS = 3
_log = logging.getLogger(__name__)


class Startup:
    """Loads the model in a thread, while the server says already that it lives.

    Parameters
    ----------
    service
        Whose model it is.
    settings
        `server.measure_batch` is read.

    Attributes
    ----------
    ready
        Whether the model is loaded and checked.
    failure
        Why it cannot be, in a line; None while that is not known.
    on_failure
        Called once it is; a program that cannot do without the model ends then.
    """

    def __init__(self, service: "SegmentationService", settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self.ready = False
        self.failure: str | None = None
        self.on_failure: Callable[[], None] = lambda: None

    def begin(self) -> Thread:
        """Load the model in a thread, which is returned."""
        thread = Thread(target=self._load, name="startup", daemon=True)
        thread.start()
        return thread

    def _load(self) -> None:
        package = self._service.package
        try:
            if self._settings.server.measure_batch and self._settings.unet.inference.batch_size is None:
                try:
                    measure_batch_size(package, self._settings)
                except OutOfMemory as error:  # the service goes on in smaller steps, or on the CPU
                    _log.warning("the batch size is not measured: %s", error)
            self._service.initialize()
        except NotCalibrated as error:  # the first image calibrates it
            _log.warning("%s", error)
        except Exception as error:
            self.failure = one_line(error)
            _log.error("the model cannot be loaded: %s", self.failure)
            self.on_failure()
            return
        self.ready = True
        _log.info("%s is ready", package.name)


def measure_batch_size(package: ModelPackage, settings: Settings) -> None:
    """Find how many tiles a model's device does best at once, and keep that; nothing, where it is known already.

    Takes seconds. The size is the smallest whose throughput is within 5 % of the best, as that of
    `napari-unetseg benchmark`, which measures windows and memory too.

    Raises
    ------
    ModelError, DeviceError, NotCalibrated, OutOfMemory
        If the model or the device cannot be used.
    """
    from napari_unetseg.benchmark.batch_tuning import Trial, TrialBatch, TuningPlan, doubled, tune
    from napari_unetseg.benchmark.benchmarked_model import load_benchmarked_model
    from napari_unetseg.benchmark.measuring import DeviceBench, tile_shapes
    from napari_unetseg.inference.backends.device import choose_device
    from napari_unetseg.inference.backends.selection import plan_execution, requested_backend
    from napari_unetseg.service.machine_profile import device_name, read_profile, write_profile

    wanted, sha256 = settings.unet.model, package.card.weights.sha256
    request = requested_backend(None, None, wanted.backend, wanted.precision)
    device = choose_device(wanted.device, fallback_to_cpu=wanted.fallback_to_cpu)
    execution = plan_execution(request, package.card, device.kind)
    if read_profile(device_name(device.torch_name), sha256, execution.backend, execution.precision) is not None:
        return
    benchmarked = load_benchmarked_model(
        package,
        wanted.device,
        request,
        fallback_to_cpu=wanted.fallback_to_cpu,
        keeps_memory=settings.unet.memory.keep_freed_memory,
    )
    bench = DeviceBench(benchmarked)

    class WithoutMemory:
        """Times alone: to watch the memory on a CPU takes a process of its own, and longer than all the rest."""

        seconds = staticmethod(bench.seconds)

        def trial(self, size: TrialBatch) -> Trial:
            return Trial(bench.seconds(size), None)

    try:
        (tile,) = tile_shapes(benchmarked.backend, package.card, (SIDE,))
        with out_of_memory_says(_NO_ROOM):
            bench.seconds(TrialBatch(1, tile))  # what is done once, is done here
            is_slow = bench.seconds(TrialBatch(1, tile)) > SLOW_S
        sizes = doubled(1 if is_slow else MOST_TILES[device.kind])
        chosen = tune(WithoutMemory(), TuningPlan((tile,), sizes, _REPEATS, 0, window_is_free=False)).chosen
    finally:
        benchmarked.backend.unload()
    if chosen is None:
        raise OutOfMemory(_NO_ROOM)
    _log.info("batch size of %s on %s: %d, as measured now", package.name, benchmarked.device_name, chosen.batch_size)
    try:
        write_profile(benchmarked.device_name, sha256, chosen, execution.backend, execution.precision)
    except UnetsegError as error:
        _log.warning("the batch size is not kept, and measured again at the next start: %s", error)

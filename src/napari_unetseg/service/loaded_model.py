"""A model in memory: its network on a device, behind a backend. Imports torch; workers load it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from threading import Lock

from napari_unetseg.config import Settings
from napari_unetseg.errors import is_out_of_memory
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import Backend
from napari_unetseg.inference.backends.device import Device, choose_device
from napari_unetseg.inference.backends.make_backend import make_backend
from napari_unetseg.inference.backends.malloc import return_freed_memory
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.selection import BackendRequest, ExecutionPlan, plan_execution
from napari_unetseg.inference.out_of_memory import Limits, MemoryStep
from napari_unetseg.inference.predict import predict, predict_many, tile_limits
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.inference.tiling.plan import TileLimits
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.service.calibrating import refuse_inexact_int8
from napari_unetseg.service.machine_profile import device_name, read_profile
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage

_STEPS_REMEMBERED = 50

_AFTER_FALLBACK = Device(
    "cpu",
    "GPU memory ran out.",
    warning="GPU memory ran out before, so the network runs on the CPU, which is slower, until the model is reloaded.",
)


@dataclass(frozen=True)
class BatchShape:
    """How much the network should see at once: tiles, and side of a window; None for the engine's default."""

    batch_size: int | None = None
    window: int | None = None


class LoadedModel:
    """What is loaded. Any thread may call any method.

    Parameters
    ----------
    card
        Card of the model.
    plan
        How the network is computed.
    backend
        What runs it so; taken over.
    batch_shape_on
        Says what the network should see at once on a device, given its kind and how the network is computed.
    fallback
        Puts the network onto the CPU where the device's memory does not suffice for anything, and says how it
        is computed there; None if it must not.
    parameters_count, bytes_held
        Trainable numbers of the network, and bytes of its weights.
    source
        What finds the model again; None for the name on its card.

    Attributes
    ----------
    limits
        What was found not to fit on a device.
    """

    def __init__(
        self,
        card: ModelCard,
        plan: ExecutionPlan,
        backend: Backend,
        *,
        batch_shape_on: Callable[[str, ExecutionPlan], BatchShape] = lambda _kind, _plan: BatchShape(),
        fallback: Callable[[], tuple[ExecutionPlan, Backend]] | None = None,
        parameters_count: int = 0,
        bytes_held: int = 0,
        source: str | None = None,
    ) -> None:
        self.card = card
        self.source = source or card.name
        self.parameters_count = parameters_count
        self.bytes_held = bytes_held
        self.limits = Limits()
        self._lock = Lock()
        self._plan, self._backend = plan, backend
        self._batch_shape_on = batch_shape_on
        self._batch_shape = batch_shape_on(backend.device.kind, plan)
        self._fallback = fallback
        self._steps: deque[MemoryStep] = deque(maxlen=_STEPS_REMEMBERED)

    @property
    def plan(self) -> ExecutionPlan:
        """How the network is computed, and why so."""
        return self._plan

    @property
    def backend(self) -> Backend:
        """What runs the network."""
        return self._backend

    @property
    def device(self) -> Device:
        """Where it runs."""
        return self._backend.device

    @property
    def facts(self) -> RunFacts:
        """How the network is computed."""
        with self._lock:
            plan, backend = self._plan, self._backend
        device = backend.device
        return RunFacts(
            device=device.kind,
            device_reason=device.reason,
            backend=plan.backend,
            backend_reason=plan.reason,
            precision=backend.precision,
            warnings=tuple(warning for warning in (device.warning, plan.warning) if warning),
        )

    @property
    def server(self) -> None:
        """No server computes."""
        return None

    @property
    def pools(self) -> BufferPools:
        """Buffers that are kept from image to image."""
        return self._backend.pools

    @property
    def memory_steps(self) -> tuple[MemoryStep, ...]:
        """What was done because memory ran out, the last 50 times, oldest first."""
        return tuple(self._steps)

    @property
    def tile_limits(self) -> TileLimits:
        """How much the network may see at once, as far as that is known now."""
        backend, options = self._complete(PredictOptions())
        return tile_limits(options, backend.device)

    def predict(self, image: Image, options: PredictOptions | None = None) -> Prediction:
        """Compute the probability map of an image; see `napari_unetseg.inference.predict.predict`."""
        backend, complete = self._complete(options or PredictOptions())
        return predict(image, self.card, backend, complete)

    def predict_many(
        self, images: Iterable[Image | PredictRequest | Exception], options: PredictOptions | None = None
    ) -> Iterator[Prediction | Exception]:
        """Compute many images together; see `napari_unetseg.inference.predict.predict_many`."""
        backend, complete = self._complete(options or PredictOptions())
        return predict_many(images, self.card, backend, complete)

    def _complete(self, options: PredictOptions) -> tuple[Backend, PredictOptions]:
        """Return the backend, and the options with what is known of it here."""
        with self._lock:
            return self._backend, replace(
                options,
                window=self._batch_shape.window,
                batch_size=self._batch_shape.batch_size,
                limits=self.limits,
                fallback=self._move_to_cpu if self._fallback is not None else None,
                on_step=self._steps.append,
            )

    def _move_to_cpu(self) -> Backend:
        with self._lock:
            if self._fallback is not None:  # else another thread was faster
                (self._plan, self._backend), self._fallback = self._fallback(), None
                self._batch_shape = self._batch_shape_on(self._backend.device.kind, self._plan)
            return self._backend

    def release_memory(self) -> None:
        """Let go of what is kept for the next run."""
        self.backend.release_memory()

    def close(self) -> None:
        """Free the memory of weights and buffers; nothing can be run afterwards."""
        self._backend.unload()
        return_freed_memory()


def load_model(
    package: ModelPackage,
    settings: Settings,
    *,
    device: str | None = None,
    backend_request: BackendRequest | None = None,
    fallback_to_cpu: bool | None = None,
) -> LoadedModel:
    """Load a model's weights onto a device.

    How many tiles of which size the network sees at once is what the settings say, else what was
    measured on this machine (`napari-unetseg benchmark --save`), else the engine's default.

    Parameters
    ----------
    package
        The model.
    settings
        What applies where the other arguments are None.
    device, fallback_to_cpu
        As `choose_device` takes them. With the fallback, the CPU also takes over where the device's
        memory does not suffice for a single small tile.
    backend_request
        What somebody wants of runtime and precision.

    Raises
    ------
    ModelError, DeviceError
        If the model or the device cannot be used.
    """
    preferred, memory = settings.unet.model, settings.unet.memory
    may_fall_back = preferred.fallback_to_cpu if fallback_to_cpu is None else fallback_to_cpu
    if backend_request is None:
        backend_request = BackendRequest(preferred.backend, preferred.precision)
    pools = BufferPools(
        int(1e9 * memory.max_pool_size_gb), memory.pool_size_multiplier, on_devices=memory.enable_gpu_pools
    )

    def put(network: SegmentationNetwork, device: Device) -> tuple[ExecutionPlan, Backend]:
        plan = refuse_inexact_int8(
            plan_execution(backend_request, package.card, device.kind), package.card, device.kind
        )
        keeps = memory.keep_freed_memory
        return plan, make_backend(plan, network, package.card, device, pools, keeps_memory=keeps)

    chosen = choose_device(preferred.device if device is None else device, fallback_to_cpu=may_fall_back)
    network = load_network(package)
    # Counted before the backend takes the network over.
    count, size = _count(network), _bytes(network)
    falls_back = may_fall_back and chosen.kind != "cpu"
    try:
        plan, runner = put(network, chosen)
    except Exception as error:
        if not (falls_back and is_out_of_memory(error)):
            raise
        runner = None
    if runner is None:  # outside the handler: its traceback would hold what fills the device
        plan, runner = put(load_network(package), _AFTER_FALLBACK)
    falls_back = falls_back and runner.device.kind != "cpu"
    return LoadedModel(
        package.card,
        plan,
        runner,
        batch_shape_on=lambda kind, plan: _batch_shape_on(kind, package.card.weights.sha256, plan, settings),
        fallback=(lambda: put(load_network(package), _AFTER_FALLBACK)) if falls_back else None,
        parameters_count=count,
        bytes_held=size,
        source=str(package.source) if package.origin == "path" else package.name,
    )


def _batch_shape_on(kind: str, sha256: str, plan: ExecutionPlan, settings: Settings) -> BatchShape:
    inference = settings.unet.inference
    tuned = read_profile(device_name(kind), sha256, plan.backend, plan.precision)
    if tuned is None:
        return BatchShape(inference.batch_size, inference.window)
    return BatchShape(inference.batch_size or tuned.batch_size, inference.window or tuned.window)


def _count(network: SegmentationNetwork) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _bytes(network: SegmentationNetwork) -> int:
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))

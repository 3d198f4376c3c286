"""A model in memory: its network on a device, behind a backend. Imports torch; workers load it."""

import gc
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.config import Settings
from napari_unetseg.errors import OutOfMemory, is_out_of_memory
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import Backend
from napari_unetseg.inference.backends.device import Device, choose_device, free_cached_memory
from napari_unetseg.inference.backends.make_backend import make_backend
from napari_unetseg.inference.backends.malloc import return_freed_memory
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.selection import BackendRequest, ExecutionPlan, plan_execution
from napari_unetseg.inference.out_of_memory import (
    Limits,
    MemoryStep,
    cpu_took_over,
    make_room,
    no_memory_to_check,
    no_memory_to_load,
)
from napari_unetseg.inference.predict import plan_image, predict, predict_many, tile_limits
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.inference.tiling.plan import TileLimits, TilePlan
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.service.calibrating import refuse_inexact_int8
from napari_unetseg.service.machine_profile import device_name, read_profile
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage

LetGo = Callable[[], bool]
"""Lets models go that nobody uses, and says whether there were any."""

_STEPS_REMEMBERED = 50

_Made = TypeVar("_Made")

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
        Says what the network should see at once on a device, given its PyTorch name and how the network is computed.
    fallback
        Puts the network onto the CPU where the device's memory does not suffice for anything, and says how it
        is computed there; None if it must not.
    let_go
        See `PredictOptions`.
    memory_steps
        What was done already because memory ran out, while it was loaded.
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
        let_go: LetGo | None = None,
        memory_steps: Iterable[MemoryStep] = (),
        parameters_count: int = 0,
        bytes_held: int = 0,
        source: str | None = None,
    ) -> None:
        self.card = card
        self.source = source or card.name
        self.parameters_count = parameters_count
        self.bytes_held = bytes_held
        self.limits = Limits()
        # Reentrant: a run that nobody finished ends whenever Python clears it away.
        self._lock = RLock()
        self._plan, self._backend = plan, backend
        self._batch_shape_on = batch_shape_on
        self._batch_shape = batch_shape_on(backend.device.torch_name, plan)
        self._fallback = fallback
        self._let_go = let_go
        self._steps: deque[MemoryStep] = deque(memory_steps, maxlen=_STEPS_REMEMBERED)
        # Runs that began on a backend: the one that the CPU takes over from is freed after the last of them.
        self._runs: Counter[Backend] = Counter()

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
            device=device.name,
            device_reason=device.reason,
            backend=plan.backend,
            backend_reason=plan.reason,
            precision=backend.precision,
            compilation=backend.compilation,
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
        with self._run(PredictOptions()) as (backend, options):
            return tile_limits(options, backend.device)

    def plan_image(
        self, image: Image, diameter: float | None = None, window: int | None = None, limit: int | None = None
    ) -> TilePlan:
        """Return how a plane would be divided now.

        Parameters
        ----------
        image
            One plane.
        diameter
            By which it is rescaled.
        window
            Largest side of what the network sees at once; None: what the settings or a benchmark of this machine say.
        limit
            Side that fitted into the memory of another process, after a larger one had not.

        Raises
        ------
        ParameterError, ImageError
            If the image cannot be rescaled by this diameter.
        """
        with self._run(PredictOptions()) as (backend, options):
            limits = tile_limits(options, backend.device)
            fitting = [side for side in (limits.limit, limit) if side is not None]
            limits = replace(limits, window=window or limits.window, limit=min(fitting, default=None))
            return plan_image(image, self.card, backend, limits, diameter)

    def predict(self, image: Image, options: PredictOptions | None = None) -> Prediction:
        """Compute the probability map of an image; see `napari_unetseg.inference.predict.predict`."""
        with self._run(options or PredictOptions()) as (backend, complete):
            return predict(image, self.card, backend, complete)

    def predict_many(
        self, images: Iterable[Image | PredictRequest | Exception], options: PredictOptions | None = None
    ) -> Generator[Prediction | Exception]:
        """Compute many images together; see `napari_unetseg.inference.predict.predict_many`."""
        with self._run(options or PredictOptions()) as (backend, complete):
            yield from predict_many(images, self.card, backend, complete)

    def answer(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on one small picture, as it is.

        Where memory runs out that is tried again: without what is kept from other runs, without the models that nobody
        uses, and on the CPU.

        Parameters
        ----------
        pixels
            float32 (C, Y, X), of a size that the network accepts.

        Returns
        -------
        float32 (heads, Y, X)
            Probabilities.

        Raises
        ------
        OutOfMemory
            If nothing of that helped.
        """
        tries = 0
        while True:
            with self._run(PredictOptions()) as (backend, options):
                try:
                    answer: NDArray[np.float32] = backend.run(pixels[np.newaxis])[0]
                    return answer
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                # Outside the handler: the error's traceback would hold what fills the memory.
                backend.release_memory()
                tries += 1
                if tries > 1:
                    self._step_down(backend, options)

    def _step_down(self, backend: Backend, options: PredictOptions) -> None:
        """Make room for a test picture, which has no smaller tiles.

        Raises
        ------
        OutOfMemory
            If there is nothing that could be let go.
        """
        kind = backend.device.kind
        step = make_room(kind, options.let_go)
        if step is None and options.fallback is not None:
            options.fallback()
            step = cpu_took_over(kind)
        if step is None:
            raise OutOfMemory(no_memory_to_check(kind))
        self._steps.append(step)

    @contextmanager
    def _run(self, options: PredictOptions) -> Iterator[tuple[Backend, PredictOptions]]:
        """Lend the backend, and the options with what is known of it here, for a run that begins on it."""
        backend, complete = self._complete(options)
        try:
            yield backend, complete
        finally:
            with self._lock:
                self._runs[backend] -= 1
                is_left = not self._runs[backend] and backend is not self._backend
                if not self._runs[backend]:
                    del self._runs[backend]
            if is_left:
                backend.unload()

    def _complete(self, options: PredictOptions) -> tuple[Backend, PredictOptions]:
        with self._lock:
            self._runs[self._backend] += 1
            return self._backend, replace(
                options,
                window=self._batch_shape.window,
                batch_size=self._batch_shape.batch_size,
                limits=self.limits,
                fallback=self._move_to_cpu if self._fallback is not None else None,
                let_go=self._let_go,
                on_step=self._steps.append,
            )

    def _move_to_cpu(self) -> Backend:
        with self._lock:
            if self._fallback is not None:  # else another thread was faster
                (self._plan, self._backend), self._fallback = self._fallback(), None
                self._batch_shape = self._batch_shape_on(self._backend.device.torch_name, self._plan)
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
    worker: int = 0,
    backend_request: BackendRequest | None = None,
    fallback_to_cpu: bool | None = None,
    let_go: LetGo | None = None,
) -> LoadedModel:
    """Load a model's weights onto a device.

    Where its memory does not suffice, models that nobody uses are let go, then the CPU takes over.

    How many tiles of which size the network sees at once is what the settings say, else what was
    measured on this machine (`napari-unetseg benchmark --save`), else the engine's default.

    Parameters
    ----------
    package
        The model.
    settings
        What applies where the other arguments are None.
    device, worker, fallback_to_cpu
        As `choose_device` takes them. With the fallback, the CPU also takes over where the device's
        memory does not suffice for a single small tile.
    backend_request
        What somebody wants of runtime and precision.
    let_go
        See `PredictOptions`.

    Raises
    ------
    ModelError, DeviceError
        If the model or the device cannot be used.
    OutOfMemory
        If there is not enough, whatever was tried.
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
            plan_execution(backend_request, package.card, device.torch_name), package.card, device.kind
        )
        keeps, compiles = memory.keep_freed_memory, preferred.compile
        backend = make_backend(plan, network, package.card, device, pools, keeps_memory=keeps, compiles=compiles)
        return plan, backend

    chosen = choose_device(preferred.device if device is None else device, fallback_to_cpu=may_fall_back, worker=worker)
    steps: list[MemoryStep] = []

    def load(onto: Device) -> tuple[int, int, ExecutionPlan, Backend]:
        network = load_network(package)
        # Counted before the backend takes the network over.
        count, size = network.numbers, network.bytes_held
        return count, size, *put(network, onto)

    def load_on_cpu() -> tuple[int, int, ExecutionPlan, Backend]:
        loaded = _with_room(lambda: load(_AFTER_FALLBACK), "cpu", let_go, steps)
        if loaded is None:
            raise OutOfMemory(no_memory_to_load(package.name))
        return loaded

    loaded = _with_room(lambda: load(chosen), chosen.kind, let_go, steps)
    if loaded is None:
        if chosen.kind == "cpu" or not may_fall_back:
            raise OutOfMemory(no_memory_to_load(package.name))
        steps.append(cpu_took_over(chosen.kind))
        loaded = load_on_cpu()
    count, size, plan, runner = loaded
    return LoadedModel(
        package.card,
        plan,
        runner,
        batch_shape_on=lambda where, plan: _batch_shape_on(where, package.card.weights.sha256, plan, settings),
        fallback=(lambda: load_on_cpu()[2:]) if may_fall_back and runner.device.kind != "cpu" else None,
        let_go=let_go,
        memory_steps=steps,
        parameters_count=count,
        bytes_held=size,
        source=str(package.source) if package.origin == "path" else package.name,
    )


def _with_room(make: Callable[[], _Made], kind: str, let_go: LetGo | None, steps: list[MemoryStep]) -> _Made | None:
    """Make something, letting idle models go as long as memory runs out and there are any; None where it still does."""
    while True:
        try:
            return make()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler, whose traceback would hold what fills the memory; a half-moved network is in a circle.
        gc.collect()
        free_cached_memory()
        step = make_room(kind, let_go)
        if step is None:
            return None
        steps.append(step)


def _batch_shape_on(where: str, sha256: str, plan: ExecutionPlan, settings: Settings) -> BatchShape:
    inference = settings.unet.inference
    tuned = read_profile(device_name(where), sha256, plan.backend, plan.precision)
    if tuned is None:
        return BatchShape(inference.batch_size, inference.window)
    return BatchShape(inference.batch_size or tuned.batch_size, inference.window or tuned.window)

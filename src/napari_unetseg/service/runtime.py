"""A model in memory: its network on a device, behind a backend. Imports torch; workers load it."""

import time
from dataclasses import dataclass

import numpy as np

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import Backend, CancelFlag
from napari_unetseg.inference.backends.choice import make_backend
from napari_unetseg.inference.device import Device, choose_device, total_memory
from napari_unetseg.inference.predict import Prediction, Progress, pixels_that_fit, predict
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.loading import load_network
from napari_unetseg.zoo.registry import ModelPackage

_DUMMY_SIDE = 64


@dataclass(frozen=True)
class Runtime:
    """What is loaded.

    Attributes
    ----------
    card
        Card of the model.
    backend_name, backend, device
        What runs the network, and where.
    parameters_count
        Trainable numbers of the network.
    """

    card: ModelCard
    backend_name: str
    backend: Backend
    device: Device
    parameters_count: int

    def predict(
        self, image: Image, *, progress: Progress | None = None, cancel: CancelFlag | None = None
    ) -> Prediction:
        """Compute the probability map of an image; see `napari_unetseg.inference.predict.predict`."""
        return predict(
            image,
            self.card,
            self.backend,
            largest_whole=pixels_that_fit(total_memory(self.device)),
            progress=progress,
            cancel=cancel,
        )

    def dummy_inference(self) -> float:
        """Run a small ramp through the network and return the milliseconds it took.

        Raises
        ------
        UnetsegError
            If the network gives values that are not numbers.
        """
        ramp = np.linspace(0, 1, _DUMMY_SIDE**2, dtype=np.float32).reshape(_DUMMY_SIDE, _DUMMY_SIDE)
        clock = time.perf_counter()
        prediction = self.predict(Image(ramp, name="test image"))
        elapsed_ms = 1000 * (time.perf_counter() - clock)
        if not np.isfinite(prediction.probability).all():
            raise UnetsegError(
                f"Model {self.card.name} gives values that are not numbers on a test image; "
                "its weights are damaged or do not belong to this architecture."
            )
        return elapsed_ms


def load_runtime(package: ModelPackage, device: str, backend: str, *, fallback_to_cpu: bool) -> Runtime:
    """Load a model's weights onto a device.

    Raises
    ------
    ModelError, DeviceError
        If the model or the device cannot be used.
    """
    chosen = choose_device(device, fallback_to_cpu=fallback_to_cpu)
    network = load_network(package)
    # Counted before the backend takes the network over.
    count = sum(parameter.numel() for parameter in network.parameters())
    runner = make_backend(backend, network, package.card, chosen)
    return Runtime(package.card, backend, runner, runner.device, count)

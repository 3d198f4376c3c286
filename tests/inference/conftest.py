"""Networks whose answers are known, on the CPU."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_unetseg.inference.backends import Backend, Pending, WindowSource
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.onnx_backend import OnnxBackend
from napari_unetseg.inference.backends.onnx_export import export_onnx
from napari_unetseg.inference.backends.openvino.network_conversion import (
    MODEL_FILE,
    convert_network,
    save,
    write_folder,
)
from napari_unetseg.inference.backends.openvino.openvino_backend import OpenVinoBackend
from napari_unetseg.inference.backends.pools import BufferPools
from napari_unetseg.inference.backends.run_at_once import run_at_once
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.networks import SegmentationNetwork, UNet, build, hrnet
from napari_unetseg.zoo.card import Architecture, Head, ModelCard, WeightsFile

CPU = Device("cpu", "Tests run on the CPU.")
HEADS = (Head(name="foreground"), Head(name="distance"))
NARROW = {
    "unet": {"features": [4, 6, 8], "norm": "instance"},
    "cbam_resunet": {"features": [4, 6]},
    "hrnet": {"widths": [4, 5, 6, 7]},
    "attention_unet": {"base_channels": 4, "depth": 2},
    "subpixel_unet": {"features": [4, 6, 8], "block": 4},
}


def make_card(heads: tuple[Head, ...] = HEADS, channels: int = 3) -> ModelCard:
    return ModelCard(
        name="tiny",
        display_name="Tiny",
        description="A network for tests.",
        architecture=Architecture(name="unet"),
        input_channels=channels,
        outputs=heads,
        decoder="seeded_watershed" if len(heads) > 1 else "threshold",
        weights=WeightsFile(sha256="0" * 64),
        licence="CC0-1.0",
    )


def make_network(features: tuple[int, ...] = (4, 8, 8), norm: str = "batch", outputs: int = 2) -> UNet:
    """Random weights, and scales and statistics as training leaves them: logits of a few units."""
    torch.manual_seed(1)
    network = UNet(3, outputs, features, norm)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1
            nn.init.normal_(layer.weight, 1, 0.3)
            nn.init.normal_(layer.bias, 0, 0.3)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight)
    with torch.no_grad():
        network.train()(torch.rand(2, 3, 64, 64))
    return network.eval()


def make_shifting_network(depth: int) -> UNet:
    """A network that answers each pixel with what stands as far up and left of it as it can see.

    Each convolution passes on its upper left neighbour, and only the way through the bottleneck is
    open; so the output is a coarse copy of the input, moved by nearly the receptive radius.
    """
    network = UNet(3, 2, (1,) * (depth + 1)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.ConvTranspose2d):
                layer.weight.fill_(1)
            elif isinstance(layer, nn.Conv2d):
                # Of [skip, risen], only what rose from below; of three colours, the last.
                layer.weight[:, -1, 0, 0] = 1
    return network


def make_backend(network: UNet, heads: tuple[Head, ...] = HEADS) -> TorchBackend:
    return TorchBackend(network, heads, CPU)


class CountingBackend:
    """A backend that answers at once, remembers what it saw, and does not know of cancelling.

    Out of `room` pixels its memory ends, however they are spread over a batch.
    """

    receptive_radius: int | None = 5
    in_bands = False
    grid = 4
    precision = "float32"
    device_memory_mb = None

    def __init__(self, room: float = math.inf, device: Device = CPU) -> None:
        self.room = room
        self.device = device
        self.pools = BufferPools()
        self.shapes: list[tuple[int, ...]] = []
        self.released = 0

    @contextmanager
    def buffers(self, shape: tuple[int, int, int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        answer = shape[0], 2, *shape[2:]
        with self.pools.input.lease(shape) as windows, self.pools.output.lease(answer) as probabilities:
            yield windows.numpy(), probabilities.numpy()

    def run(
        self, batch: np.ndarray, cancel: Callable[[], bool] | None = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        self.shapes.append(batch.shape)
        if batch[:, 0].size > self.room:
            raise MemoryError("nothing is left")
        result = np.empty((len(batch), 2, *batch.shape[2:]), np.float32) if out is None else out
        result[:] = 0.75
        return result

    def start(
        self,
        channels: int,
        windows: Sequence[WindowSource],
        cancel: Callable[[], bool] | None = None,
        out: np.ndarray | None = None,
    ) -> Pending:
        return run_at_once(self, channels, windows, cancel, out)

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // 4) * 4, -(-width // 4) * 4

    def release_memory(self) -> None:
        self.released += 1

    def unload(self) -> None:
        pass


@pytest.fixture
def card() -> ModelCard:
    return make_card()


@pytest.fixture(scope="session")
def backend() -> TorchBackend:
    return make_backend(make_network())


def fingerprint(network: SegmentationNetwork) -> str:
    state = b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())
    return hashlib.sha256(str(network).encode() + state).hexdigest()


@pytest.fixture(scope="session")
def openvino_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[SegmentationNetwork], Path]:
    """Bring a network into OpenVINO's form, once, and return its file."""
    place = tmp_path_factory.mktemp("openvino")

    def write(network: SegmentationNetwork) -> Path:
        folder = place / fingerprint(network)
        if not folder.is_dir():
            write_folder(folder, lambda inside: save(convert_network(network), inside))
        return folder / MODEL_FILE

    return write


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[SegmentationNetwork], Path]:
    """Export a network, which takes seconds, once, and return its file."""
    place = tmp_path_factory.mktemp("onnx")

    def write(network: SegmentationNetwork) -> Path:
        file = place / f"{fingerprint(network)}.onnx"
        return file if file.is_file() else export_onnx(network, make_card(), file).path

    return write


@pytest.fixture(scope="session", params=["torch", "openvino", "onnxruntime"])
def runtime(
    request: pytest.FixtureRequest,
    openvino_file: Callable[[SegmentationNetwork], Path],
    onnx_file: Callable[[SegmentationNetwork], Path],
) -> Callable[..., Backend]:
    """Each installed runtime in turn: a function that puts a network and its heads behind it."""
    if request.param == "torch":
        return make_backend
    pytest.importorskip(request.param)
    if request.param == "openvino":
        return lambda network, heads=HEADS: OpenVinoBackend(openvino_file(network), network, heads, CPU)
    return lambda network, heads=HEADS: OnnxBackend(onnx_file(network), network, heads, CPU)


@pytest.fixture
def batch() -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, 32, 48)).astype(np.float32)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], SegmentationNetwork]:
    """Build a network of an architecture with one output and few channels."""
    # HRNet repeats the same blocks some two hundred times, and exporting all of them takes a minute.
    monkeypatch.setattr(hrnet, "_MODULES_PER_STAGE", (1, 1, 1))
    monkeypatch.setattr(hrnet, "_BLOCKS_PER_BRANCH", 1)

    def make(architecture: str) -> SegmentationNetwork:
        torch.manual_seed(0)
        return build(architecture, {"in_channels": 3, "out_channels": 1, **NARROW[architecture]}).eval()

    return make


@pytest.fixture
def counting() -> CountingBackend:
    return CountingBackend()


@pytest.fixture(scope="session")
def counting_backend() -> type[CountingBackend]:
    return CountingBackend


class Make:
    """What the tests build themselves."""

    heads = HEADS
    card = staticmethod(make_card)
    network = staticmethod(make_network)
    shifting_network = staticmethod(make_shifting_network)
    backend = staticmethod(make_backend)


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make

"""Keep the tests off the user's settings, models, keys and windows.

The environment is set while this file is imported: napari and platformdirs read it when they are
first imported, before any fixture runs.
"""

import gc
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import numpy as np
    import torch

    from napari_unetseg.networks import UNet

_HOME = tempfile.TemporaryDirectory(prefix="napari-unetseg-tests-", ignore_cleanup_errors=True)

for _variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "JUPYTER_CONFIG_DIR"):
    os.environ[_variable] = str(Path(_HOME.name) / _variable.lower())
os.environ["NAPARI_CONFIG"] = str(Path(_HOME.name) / "napari.yaml")
# Inside a notebook napari would start an event loop that ipykernel 7 waits for without end.
os.environ["NAPARI_APPLICATION_IPY_INTERACTIVE"] = "0"
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
# Many tests know a network's numbers exactly. Without this: test_selection.py and test_loaded_model.py.
os.environ["UNET_MODEL_PRECISION"] = "float32"


def pytest_collection_finish() -> None:
    """Let Python never again look for garbage among the thousands of tests: a single one that asks for it took 44 s."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Remove the borrowed home."""
    _HOME.cleanup()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Top folder of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout, without network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(repository)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def bright_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package whose objects are exactly the pixels above half of the normalised intensity.

    A U-Net with one pooling whose weights hand the first channel through: foreground and distance
    are both sigmoid(20 * intensity - 10), so its label images are known without training.
    """
    import hashlib

    import torch
    from safetensors.torch import save

    from napari_unetseg.networks import build

    arguments = {"in_channels": 3, "out_channels": 2, "features": [4, 8], "norm": "batch"}
    network = build("unet", arguments)
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                value.fill_(1.0 if "running_var" in key or (value.ndim == 1 and key.endswith("weight")) else 0.0)
        for block in (network.init_conv, network.decoder_blocks[0]):
            block.double_conv[0].weight[0, 0, 1, 1] = 1
            block.double_conv[4].weight[0, 0, 1, 1] = 1
        network.final_conv.weight[:, 0] = 20
        network.final_conv.bias[:] = -10
    content = save(network.state_dict())
    folder = tmp_path_factory.mktemp("models") / "bright"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(content)
    (folder / "model.yaml").write_text(
        f"""
name: bright
display_name: Bright objects
description: Pixels above half of the normalised intensity.
architecture: {{name: unet, arguments: {arguments}}}
object_size: 12
normalisation: {{kind: percentile, low: 0, high: 100}}
outputs: [{{name: foreground}}, {{name: distance}}]
decoder: seeded_watershed
parameters: {{threshold: 0.5, min_size: 4, split: 0.5, fill_holes: true}}
weights: {{sha256: {hashlib.sha256(content).hexdigest()}}}
licence: CC0-1.0
""",
        encoding="utf-8",
    )
    return folder


@dataclass(frozen=True)
class RunningServer:
    """A process of `napari-unetseg serve`.

    Attributes
    ----------
    url
        Its address, such as ``"http://127.0.0.1:40321"``.
    process
        The process; what it says on stderr is in `log`.
    log
        A file.
    """

    url: str
    process: "subprocess.Popen[str]"
    log: Path


@contextmanager
def running_server(folder: Path, *words: object, **environment: str) -> "Iterator[RunningServer]":
    """Start `napari-unetseg serve --port 0` and wait until it answers; at the end it is stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-m", "napari_unetseg", "serve", "--port", "0", *map(str, words)]
    own = {"UNET_SERVER_MEASURE_BATCH": "false", "UNET_SERVER_JOBS_DIR": str(folder / "jobs"), "OMP_NUM_THREADS": "1"}
    log = folder / "server.log"
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, **own, **environment}
        )
    try:
        assert process.stdout is not None
        announced = process.stdout.readline()
        assert announced.startswith("Listening on "), log.read_text(encoding="utf-8")
        yield RunningServer(announced.split()[2], process, log)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()


@pytest.fixture
def two_inputs_model(tmp_path: Path) -> Path:
    """A model whose objects are where the channel of the nuclei is bright and that of the cytoplasm is not."""
    import hashlib

    import torch
    import yaml
    from safetensors.torch import save

    from napari_unetseg.networks import build

    arguments = {"in_channels": 2, "out_channels": 2, "features": [4, 8], "norm": "batch"}
    network = build("unet", arguments)
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                value.fill_(1.0 if "running_var" in key or (value.ndim == 1 and key.endswith("weight")) else 0.0)
        for block in (network.init_conv, network.decoder_blocks[0]):
            block.double_conv[0].weight[0, 0, 1, 1] = 1
            block.double_conv[4].weight[0, 0, 1, 1] = 1
        network.init_conv.double_conv[0].weight[0, 1, 1, 1] = -0.5
        network.final_conv.weight[:, 0] = 20
        network.final_conv.bias[:] = -10
    folder = tmp_path / "pair"
    folder.mkdir()
    content = save(network.state_dict())
    (folder / "weights.safetensors").write_bytes(content)
    card = {
        "name": "pair",
        "display_name": "Pairs",
        "description": "Nuclei that are in no cytoplasm.",
        "architecture": {"name": "unet", "arguments": arguments},
        "input_channels": 2,
        "channel_roles": ["nucleus", "cytoplasm"],
        "normalisation": {"kind": "percentile", "low": 0, "high": 100},
        "outputs": [{"name": "foreground"}, {"name": "distance"}],
        "decoder": "threshold",
        "weights": {"sha256": hashlib.sha256(content).hexdigest()},
        "licence": "CC0-1.0",
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return folder


@pytest.fixture(scope="session")
def server(bright_model: Path, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[RunningServer]":
    """A server of `bright_model` for all tests, which leave it as it is."""
    with running_server(tmp_path_factory.mktemp("server"), "--model", bright_model) as running:
        yield running


@pytest.fixture
def start_server(bright_model: Path, tmp_path: Path) -> "Iterator[Callable[..., RunningServer]]":
    """Start a server of `bright_model` with words of the command and variables of the environment of its own.

    ``start_server("--no-keys", UNET_SERVER_QUEUE_SIZE="1")``; at the end of the test it is stopped.
    """
    with ExitStack() as stack:

        def start(*words: object, **environment: str) -> RunningServer:
            folder = tmp_path / f"server{len(started)}"
            started.append(folder)
            return stack.enter_context(running_server(folder, "--model", bright_model, *words, **environment))

        started: list[Path] = []
        yield start


@pytest.fixture
def write_czi() -> "Callable[..., Path]":
    """Write a CZI file by Zeiss's own writer: a scene for each image, (Y, X) or (Z, Y, X), uint8 or uint16.

    Scenes are called ``Scene 0``, ``Scene 1`` and so on. A pixel is 0.5 µm wide, and the channel is called DAPI.
    """
    from tests.io.microscope import written_czi

    def write(path: Path, *scenes: "np.ndarray") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        tiles = [
            (plane[..., None], {"T": 0, "C": 0, "Z": z}, number, (1000 * number, 0))
            for number, planes in enumerate(scenes)
            for z, plane in enumerate(planes if planes.ndim == 3 else [planes])
        ]
        written_czi.write_czi(path, tiles, channel_names={0: "DAPI"}, scale_x=5e-7, scale_y=5e-7)
        return path

    return write


@pytest.fixture
def published_checkpoint() -> "Callable[[Path], UNet]":
    """Write a small SpheroHQ checkpoint as training leaves it, and return its network.

    Besides the weights there are the dead block, the prefix of data parallel training, the optimizer's state and
    the settings as a Namespace.
    """

    def write(path: Path) -> "UNet":
        import argparse

        import torch

        from napari_unetseg.networks import UNet

        torch.manual_seed(3)
        network = UNet(3, 1, (4, 8, 16), "instance").eval()
        with torch.no_grad():
            # About half of the pixels are foreground.
            network.final_conv.weight[0, :, 0, 0] = torch.tensor([3.0, -3.0, 3.0, -3.0])
            network.final_conv.bias.zero_()
        state = {f"module.{key}": value for key, value in network.state_dict().items()}
        for key, value in network.bottleneck.state_dict().items():
            state[f"module.downs.1.{key}"] = torch.rand_like(value)
        moments = {index: {"exp_avg": torch.zeros_like(value)} for index, value in enumerate(state.values())}
        optimizer = {"state": moments, "param_groups": [{"lr": 1e-4}]}
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"epoch": 9, "model_state_dict": state, "optimizer_state_dict": optimizer}
        torch.save(content | {"args": argparse.Namespace(batch=4, out=Path("runs"))}, path)
        return network

    return write


@pytest.fixture
def processor_with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> "Iterator[None]":
    """A processor that has instructions for bfloat16, whatever this one is."""
    from napari_unetseg.inference.backends.processor import computes_bfloat16

    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    computes_bfloat16.cache_clear()
    yield
    computes_bfloat16.cache_clear()


class Golden:
    """What the published networks answer, with weights that anyone can make again."""

    seed = 7
    data = Path(__file__).parent / "data"

    def shapes(self, name: str) -> "dict[str, tuple[int, ...]]":
        """Shape of each entry of the published checkpoint."""
        listed = json.loads((self.data / f"{name}.json").read_text(encoding="utf-8"))
        return {key: tuple(shape) for key, shape in listed.items()}

    def tensors(self, shapes: "dict[str, tuple[int, ...]]") -> "dict[str, torch.Tensor]":
        """The values that state-dict entries had when the golden vectors were computed."""
        import torch

        return {key: torch.from_numpy(self._value(key, shape)) for key, shape in shapes.items()}

    def vectors(self, name: str) -> "tuple[torch.Tensor, torch.Tensor]":
        """Input and output, float32 (N, C, H, W)."""
        import numpy as np
        import torch

        with np.load(self.data / f"{name}.npz") as file:
            return torch.from_numpy(file["x"]), torch.from_numpy(file["y"])

    def _value(self, key: str, shape: tuple[int, ...]) -> "np.ndarray":
        import numpy as np

        if key.endswith("num_batches_tracked"):
            return np.zeros((), np.int64)
        noise = np.random.default_rng([self.seed, zlib.crc32(key.encode())]).standard_normal(shape)
        if key.endswith("running_var"):
            value = 1 + 0.1 * np.abs(noise)
        elif key.endswith(("running_mean", "bias")):
            value = 0.1 * noise
        elif len(shape) <= 1:
            value = 1 + 0.1 * noise
        else:
            value = noise * np.sqrt(2 / np.prod(shape[1:]))
        return value.astype(np.float32)


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden()


@pytest.fixture(scope="session")
def fuzz_corpus() -> "ModuleType":
    """`tests/api/fuzz_corpus.py`, which makes bad and odd image files: ``fuzz_corpus.odd_files(2000)``."""
    path = Path(__file__).parent / "api" / "fuzz_corpus.py"
    spec = importlib.util.spec_from_file_location("fuzz_corpus", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look themselves up there.
    sys.modules["fuzz_corpus"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def torchscript() -> "Callable[[torch.nn.Module], bytes]":
    """Writes a module as a TorchScript file."""
    import io
    import warnings

    import torch

    def content(module: torch.nn.Module) -> bytes:
        buffer = io.BytesIO()
        # PyTorch would have people write other files, but those who have these still share them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(torch.jit.script(module), buffer)
        return buffer.getvalue()

    return content


@pytest.fixture(scope="session")
def foreign_content(torchscript: "Callable[[torch.nn.Module], bytes]") -> "Callable[[str], bytes]":
    """The file of a network that another program wrote, ``"onnx_graph"`` or ``"torchscript"``.

    It answers (N, 1, H, W) with (N, 2, H, W): in both channels sigmoid(20 * m - 10), m being the mean of 5 x 5 pixels.
    """
    import numpy as np
    import torch

    weight, bias = np.full((2, 1, 5, 5), 20 / 25, np.float32), np.full(2, -10, np.float32)

    def content(kind: str) -> bytes:
        if kind == "torchscript":
            blur = torch.nn.Conv2d(1, 2, 5, padding=2)
            blur.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
            return torchscript(torch.nn.Sequential(blur, torch.nn.Sigmoid()))
        from onnx import TensorProto, helper, numpy_helper

        nodes = [
            helper.make_node("Conv", ["raw", "w", "b"], ["logits"], pads=[2, 2, 2, 2]),
            helper.make_node("Sigmoid", ["logits"], ["maps"]),
        ]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
            for name, channels in (("raw", 1), ("maps", 2))
        ]
        held = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
        graph = helper.make_graph(nodes, "blur", ends[:1], ends[1:], held)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()

    return content


@pytest.fixture
def foreign_model(foreign_content: "Callable[[str], bytes]", tmp_path: Path) -> "Callable[..., Path]":
    """Writes a package of `foreign_content`, which is then allowed to run; further arguments are the architecture's."""

    def write(kind: str = "onnx_graph", changes: "dict[str, object] | None" = None, **arguments: object) -> Path:
        from napari_unetseg.zoo.packaging import write_foreign_package

        fields: dict[str, object] = {
            "name": f"blur_{kind}",
            "display_name": "Blurred",
            "description": "Pixels whose neighbourhood is bright.",
            "architecture": {"name": kind, "arguments": {"in_channels": 1, "out_channels": 2, **arguments}},
            "input_channels": 1,
            "normalisation": {"kind": "min_max"},
            "outputs": [{"name": name, "activation": "sigmoid"} for name in ("foreground", "distance")],
            "decoder": "seeded_watershed",
            "parameters": {"threshold": 0.5, "min_size": 4},
            "licence": "CC0-1.0",
        }
        folder = tmp_path / f"blur_{kind}"
        write_foreign_package(folder, fields | (changes or {}), foreign_content(kind))
        return folder

    return write

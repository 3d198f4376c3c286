"""One measurement for `peers.py`, in a process of its own: an image of one size, through one model, in one way.

All ways are handed the same pixels in memory and end with a label image: they differ in what computes the network, on
which windows, and in what that costs. Ours normalise by the same rules and decode by the same functions as theirs.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Labels = Any
"""int32 (Y, X)."""


def restrict(threads: int) -> None:
    """Let this process use so many cores; before any library is imported, since each looks at them once."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["OMP_NUM_THREADS"] = str(threads)


def memory(key: str) -> float:
    """Read a size of this process from the kernel, in MiB; 0 where there is no such kernel."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    return int(status.read_text(encoding="ascii").split(f"{key}:")[1].split()[0]) / 1024


def ours(package: Any, precision: str | None, backend: str | None = None) -> Callable[[Any], Labels]:
    """Segment with the service, as a user's click does."""
    from napari_unetseg import Image, SegmentationService

    service = SegmentationService(package.source, "cpu", backend, precision=precision)
    return lambda pixels: service.segment(Image(pixels)).labels


def whole(package: Any) -> Callable[[Any], Labels]:
    """Show plain PyTorch the whole image."""
    forward = _forward(package)
    return lambda pixels: _decode(package, _probabilities(package, forward, *_input(package, pixels)))


def monai(package: Any, *, in_bands: bool) -> Callable[[Any], Labels]:
    """Slide a window over the image with MONAI, one at a time, a quarter overlapping.

    It is the window that we use for a network that has bands, or for one that has none.
    """
    import torch
    from monai.inferers.utils import sliding_window_inference

    network, forward = _network(package), _forward(package)

    def segment(pixels: Any) -> Labels:
        batch, shape = _input(package, pixels)
        window = _window(package, network, shape, in_bands=in_bands)

        def slide(batch: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():
                found = sliding_window_inference(batch, window, sw_batch_size=1, predictor=forward, overlap=0.25)
            assert isinstance(found, torch.Tensor)  # noqa: S101
            return found

        return _decode(package, _probabilities(package, slide, batch, shape))

    return segment


def resized(package: Any) -> Callable[[Any], Labels]:
    """Do what the published services do: stretch to one size, run, stretch the probabilities back, cut at 0.5."""
    import numpy as np
    import torch
    from torch.nn.functional import interpolate

    from napari_unetseg.zoo.published import PUBLISHED

    size = PUBLISHED[package.name].image_size
    forward = _forward(package)

    def segment(pixels: Any) -> Labels:
        batch, shape = _input(package, pixels)
        with torch.inference_mode():
            small = interpolate(batch, size, mode="bilinear", align_corners=False)
            back = interpolate(forward(small).sigmoid(), shape, mode="bilinear", align_corners=False)
            return (back[0, 0] >= 0.5).numpy().astype(np.int32)

    return segment


def prepare(way: str, package: Any) -> Callable[[Any], Labels]:
    """Load the model in one of the ways of `peers.py`."""
    if way == "plain, memory kept":
        from napari_unetseg.inference.backends.malloc import keep_freed_memory

        if not keep_freed_memory():
            raise RuntimeError("This C library cannot be asked to keep freed memory.")
    makers: dict[str, Callable[[], Callable[[Any], Labels]]] = {
        "plain": lambda: whole(package),
        "plain, memory kept": lambda: whole(package),
        "monai": lambda: monai(package, in_bands=True),
        "monai, small windows": lambda: monai(package, in_bands=False),
        "published": lambda: resized(package),
        "onnxruntime": lambda: ours(package, "float32", "onnxruntime"),
        "ours, float32": lambda: ours(package, "float32", "torch"),
        "ours": lambda: ours(package, None),
    }
    return makers[way]()


def _network(package: Any) -> Any:
    from napari_unetseg.zoo.network_loading import load_network

    return load_network(package).eval()


def _forward(package: Any) -> Callable[[Any], Any]:
    import torch

    network = _network(package)

    def forward(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = network(batch)
        return logits

    return forward


def _input(package: Any, pixels: Any) -> tuple[Any, tuple[int, int]]:
    """Normalise as the card says; return a tensor (1, C, Y, X) and its height and width."""
    import torch

    from napari_unetseg.image import Image
    from napari_unetseg.inference.normalisation import normalise

    card = package.card
    batch = torch.from_numpy(normalise(Image(pixels), card.normalisation, card.input_channels).array[None])
    return batch, (batch.shape[-2], batch.shape[-1])


def _window(package: Any, network: Any, shape: tuple[int, int], *, in_bands: bool) -> tuple[int, int]:
    """Return the window into which we divide an image of this shape."""
    from napari_unetseg.inference.backends.device import Device, total_memory
    from napari_unetseg.inference.tiling.plan import TileLimits, pixels_that_fit, plan_tiling

    network_only: Any = SimpleNamespace(
        receptive_radius=network.receptive_radius,
        grid=2**network.depth,
        accepted_size=network.accepted_size,
        in_bands=in_bands and network.in_bands,
    )
    room = TileLimits(None, pixels_that_fit(total_memory(Device("cpu", ""))))
    found: tuple[int, int] = plan_tiling(shape, package.card, network_only, room).tiles[0].read_shape
    return found


def _probabilities(package: Any, forward: Callable[[Any], Any], batch: Any, shape: tuple[int, int]) -> Any:
    import torch
    from torch.nn.functional import pad

    from napari_unetseg.inference.backends.activation import to_probabilities

    grid = 32
    below, right = (-length % grid for length in shape)
    logits = forward(pad(batch, (0, right, 0, below), mode="reflect") if below or right else batch)
    result = torch.empty((1, len(package.card.outputs), *shape))
    to_probabilities(logits, package.card.outputs, result)
    return result[0].numpy()


def _decode(package: Any, probabilities: Any) -> Labels:
    from napari_unetseg.postprocessing.decoding import decode

    heads = tuple(head.name for head in package.card.outputs)
    return decode(probabilities, heads, package.card.parameters)


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up once, then segment `task["runs"]` times; return seconds, and MiB above what importing everything took.

    The warm-up is on the image itself up to 512 pixels, and on that much of larger ones.
    """
    import numpy as np
    import torch
    from drawn_images import draw_image
    from peer_models import find_network

    if task["way"].startswith("monai"):
        import monai.inferers  # noqa: F401
    torch.set_num_threads(task["threads"])
    package, pixels = find_network(task["network"], Path(task["models"])), draw_image(task["side"])
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")  # the peak so far is forgotten
    base = memory("VmRSS")
    segment = prepare(task["way"], package)
    segment(pixels[:512, :512])
    seconds, worked = [], []
    for _ in range(task["runs"]):
        clock, processor = time.perf_counter(), time.process_time()
        labels = segment(pixels)
        seconds.append(time.perf_counter() - clock)
        worked.append(time.process_time() - processor)
    np.save(task["mask"], np.packbits(labels > 0))
    return {
        "seconds": seconds,
        "processor_s": worked,
        "peak_mb": memory("VmHWM") - base if base else None,
        "base_mb": base or None,
        "objects": int(labels.max()),
        "foreground": float((labels > 0).mean()),
    }


if __name__ == "__main__":
    _task = json.loads(sys.argv[1])
    restrict(_task["threads"])
    sys.stdout.write(json.dumps(measure(_task)) + "\n")

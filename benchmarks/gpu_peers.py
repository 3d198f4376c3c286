"""What a GPU can do, and what others make of it: the ceilings and the peers of `gpu.py`.

The peers compute the same networks, with the same weights, on the same images:

* the network alone, eager in float32 (convolutions in TF32, as PyTorch has it), under autocast in bfloat16 and in
  float16, and compiled by `torch.compile` in bfloat16, on a batch that lies on the device;
* ``plain``: batches of eight images go up as uint8, are normalised on the device, seen by the eager network under
  autocast(bfloat16), and come back as masks;
* ``sliding window``: MONAI's `sliding_window_inference` under autocast(bfloat16), or, where MONAI is not installed,
  what its documentation describes: windows a quarter of which overlaps, the last ones of a row and column moved
  inwards, four of them at once, and the mean where several cover a pixel. Before it pixels are normalised and after it
  objects are read off on the host, as this package does both.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_images import colour_images, draw_image, masks_agree
from numpy.typing import NDArray
from peer_models import find_network
from torch import Tensor, nn

FEW = 8
OVERLAP = 0.25
AT_ONCE = 4
"""Windows of the sliding window that the network sees together."""


class Clock:
    """Takes times on a device."""

    def __init__(self, device: str, times: int) -> None:
        self.device = device
        self.times = times
        self._on_cuda = device.startswith("cuda")

    def synchronise(self) -> None:
        """Wait until the device has nothing to do."""
        if self._on_cuda:
            torch.cuda.synchronize()
        elif self.device == "mps":
            torch.mps.synchronize()

    def on_device(self, act: Callable[[], Any]) -> float:
        """Return the median of the seconds that the device works for a call, by events; by the clock without CUDA."""
        if not self._on_cuda:
            return statistics.median(self.whole(act, self.times))
        for _ in range(3):
            act()
        pairs = []
        for _ in range(self.times):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            act()
            end.record()
            pairs.append((begin, end))
        torch.cuda.synchronize()
        return statistics.median(begin.elapsed_time(end) for begin, end in pairs) / 1e3

    def whole(self, act: Callable[[], Any], times: int = 3, warm_up: int = 1) -> list[float]:
        """Return the seconds of whole calls, from the first line to an idle device."""
        for _ in range(warm_up):
            act()
        self.synchronise()
        found = []
        for _ in range(times):
            begin = time.perf_counter()
            act()
            self.synchronise()
            found.append(time.perf_counter() - begin)
        return found


class Peers:
    """The ceilings and the peers on one device.

    Parameters
    ----------
    task
        As for `gpu_service.Measurements`; ``peer_masks`` is where masks are left.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.device = task["device"]
        self.clock = Clock(self.device, task["times"])
        self.small = self.device == "cpu"

    # The parts

    def ceilings(self) -> dict[str, Any]:
        """Copy within the device, to it and from it, and multiply matrices."""
        side, size = (1024, 2**26) if self.small else (8192, 2**31)
        source = torch.empty(size, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        found = {"copy_gb_s": 2 * size / self.clock.on_device(lambda: target.copy_(source)) / 1e9}
        part = size // 8
        host = torch.empty(part, dtype=torch.uint8, pin_memory=self.device.startswith("cuda"))
        up = self.clock.on_device(lambda: target[:part].copy_(host, non_blocking=True))
        down = self.clock.on_device(lambda: host.copy_(target[:part], non_blocking=True))
        found |= {"upload_gb_s": part / up / 1e9, "download_gb_s": part / down / 1e9}
        for kind in (torch.bfloat16, torch.float16, torch.float32):
            one, other = (torch.randn(side, side, device=self.device).to(kind) for _ in range(2))
            seconds = self.clock.on_device(lambda one=one, other=other: one @ other)
            found[f"matrix_tflops_{str(kind).removeprefix('torch.')}"] = 2 * side**3 / seconds / 1e12
        return found

    def network(self) -> dict[str, Any]:
        """Time the SpheroHQ network alone, on batches of eight and on one image, in images a second."""
        network, _ = self._network("unet_spherohq")
        found: dict[str, Any] = {}
        for count in (self.task["together"], 1):
            batch = torch.randn(count, 3, self.task["side"], self.task["side"], device=self.device)
            for name, kind in (("float32", None), ("bfloat16", torch.bfloat16), ("float16", torch.float16)):
                seconds = self.clock.on_device(lambda batch=batch, kind=kind: self._forward(network, batch, kind))
                found[f"eager {name}, {count}"] = count / seconds
        with torch.inference_mode():
            found["gflop_an_image"] = self._gflop(network)
        return found

    def compiled(self) -> dict[str, Any]:
        """Time the same compiled, and say how long compiling takes."""
        network, _ = self._network("unet_spherohq")
        compiled = torch.compile(network, dynamic=False)
        batch = torch.randn(self.task["together"], 3, self.task["side"], self.task["side"], device=self.device)
        batch = batch.to(memory_format=torch.channels_last)
        begin = time.perf_counter()
        self._forward(compiled, batch, torch.bfloat16)
        self.clock.synchronise()
        compiling = time.perf_counter() - begin
        seconds = self.clock.on_device(lambda: self._forward(compiled, batch, torch.bfloat16))
        return {"images_per_s": self.task["together"] / seconds, "compiling_s": compiling}

    def plain(self) -> dict[str, Any]:
        """Take images in and masks out in the plainest way, many of them and one."""
        network, package = self._network("unet_spherohq")
        shift, scale = self._card_range(package.card)
        images = colour_images(self.task["batch"], self.task["side"])

        def masks(some: Sequence[NDArray[np.uint8]]) -> NDArray[np.bool_]:
            found = []
            for at in range(0, len(some), self.task["together"]):
                batch = (
                    torch.from_numpy(np.stack(some[at : at + self.task["together"]]))
                    .to(self.device)
                    .permute(0, 3, 1, 2)
                )
                pixels = (batch.float() / 255 - shift) / scale
                found.append((self._forward(network, pixels, torch.bfloat16).float().sigmoid() >= 0.5).cpu().numpy())
            return np.concatenate(found)[:, 0]

        many = self.clock.whole(lambda: masks(images), 3)
        one = self.clock.whole(lambda: masks(images[:1]), self.task["repeats"], 3)
        np.save(self.task["peer_masks"], np.packbits(masks(images[:FEW])))
        return {"seconds": many, "images_per_s": len(images) / min(many), "one_ms": 1e3 * statistics.median(one)}

    def sliding(self) -> dict[str, Any]:
        """Slide a window over large images of nuclei, with normalisation before and our decoding after it."""
        from napari_unetseg.image import Image
        from napari_unetseg.inference.normalisation import normalise
        from napari_unetseg.postprocessing.decoding import decode

        network, package = self._network("nuclei")
        card = package.card
        heads = tuple(head.name for head in card.outputs)
        found: dict[str, Any] = {"by": "MONAI" if _monai() else "this script"}
        for side in self.task["sizes"]:
            image = draw_image(side)

            def segment(image: NDArray[Any] = image) -> dict[str, float]:
                times = [time.perf_counter()]
                pixels = normalise(Image(image), card.normalisation, card.input_channels)
                batch = torch.from_numpy(np.ascontiguousarray(pixels.array[None]))
                times.append(time.perf_counter())
                with torch.inference_mode():
                    wide = batch.to(self.device)
                    logits = self._slide(network, wide, self.task["window"])
                    maps = logits[0].float().sigmoid().cpu().numpy()
                times.append(time.perf_counter())
                labels = decode(maps, heads, card.parameters)
                times.append(time.perf_counter())
                steps = zip(("normalise", "network", "decode"), np.diff(times), strict=True)
                return {name: float(taken) for name, taken in steps} | {
                    "seconds": times[-1] - times[0],
                    "objects": int(labels.max()),
                }

            segment()
            runs = [segment() for _ in range(2)]
            found[str(side)] = min(runs, key=lambda run: run["seconds"])
        return found

    def let_go(self) -> None:
        """Leave the memory of the device to others."""
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    # What they are made of

    def _network(self, name: str) -> tuple[nn.Module, Any]:
        from napari_unetseg.zoo.network_loading import load_network

        package = find_network(name, Path(self.task["models"]))
        return load_network(package).eval().to(self.device), package

    def _forward(self, network: Callable[[Tensor], Tensor], batch: Tensor, kind: torch.dtype | None) -> Tensor:
        cast = torch.autocast(torch.device(self.device).type, dtype=kind or torch.bfloat16, enabled=kind is not None)
        with torch.inference_mode(), cast:
            return network(batch)

    def _slide(self, network: nn.Module, batch: Tensor, window: int) -> Tensor:
        monai = _monai()
        if monai is None:
            return slide(batch, window, lambda part: self._forward(network, part, torch.bfloat16))
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16):
            logits: Tensor = monai(batch, (window, window), AT_ONCE, network, overlap=OVERLAP)
        return logits

    def _card_range(self, card: Any) -> tuple[Tensor, Tensor]:
        shift, scale = (
            torch.tensor(one, device=self.device) for one in (card.normalisation.mean, card.normalisation.std)
        )
        return shift[:, None, None], scale[:, None, None]

    def _gflop(self, network: nn.Module) -> float:
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, self.task["side"], self.task["side"], device=self.device))
        return float(counter.get_total_flops()) / 1e9


def slide(batch: Tensor, window: int, forward: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the mean of what the network says of overlapping windows, (1, heads, H, W), of an image (1, C, H, W)."""
    height, width = batch.shape[-2:]
    tall, wide = min(window, height), min(window, width)
    places = [(top, left) for top in _starts(height, tall) for left in _starts(width, wide)]
    total: Tensor | None = None
    count = torch.zeros(1, 1, height, width, device=batch.device)
    for at in range(0, len(places), AT_ONCE):
        some = places[at : at + AT_ONCE]
        parts = torch.cat([batch[..., top : top + tall, left : left + wide] for top, left in some])
        for (top, left), answer in zip(some, forward(parts), strict=True):
            if total is None:
                total = torch.zeros(1, len(answer), height, width, device=batch.device)
            total[0, :, top : top + tall, left : left + wide] += answer
            count[..., top : top + tall, left : left + wide] += 1
    assert total is not None  # noqa: S101 (an image has pixels)
    return total / count


def _starts(length: int, window: int) -> list[int]:
    step = max(int(window * (1 - OVERLAP)), 1)
    return sorted({min(start, length - window) for start in range(0, max(length - window, 0) + step, step)})


def _monai() -> Callable[..., Any] | None:
    try:
        from monai.inferers.utils import sliding_window_inference
    except ImportError:
        return None
    found: Callable[..., Any] = sliding_window_inference
    return found


def compare_masks(one: Path, other: Path) -> float | None:
    """Compare packed masks of ours and of a peer; None where either is missing."""
    if not (one.exists() and other.exists()):
        return None
    return masks_agree(*(np.unpackbits(np.load(path)).astype(bool) for path in (one, other)))

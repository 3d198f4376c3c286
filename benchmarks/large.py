"""Segment squares up to 16,384 pixels a side from a memory-mapped file, and measure time and memory.

Run with ``python benchmarks/large.py``; ``--sides 16384 --model nuclei`` for the largest alone. An image of uint8 with
one bright round object on each 46 x 46 pixels (some 127,000 at 16,384) is written to a temporary folder, and each
size is segmented in a process of its own. Memory is the most that the process held (VmHWM, so Linux only), less
what it held after importing everything and loading the model; pages of mapped files count as long as they are
held. ``--model tiny`` puts a network of next to no work in the place of the real one, so that the rest shows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import as_markdown, describe_machine
from peer_process import memory

SIDES = (1024, 2048, 4096, 8192, 16384)
SPACING = 46


def write_image(path: Path, side: int) -> None:
    """Write round bright objects of radius 9 to 15 on a jittered grid, blurred at the edge and noisy, as uint8."""
    rng = np.random.default_rng(0)
    image = np.lib.format.open_memmap(path, "w+", np.uint8, (side, side))
    reach = 20
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    stamps = [(150 * np.clip(radius - np.hypot(y, x) + 0.5, 0, 1)).astype(np.uint8) for radius in range(9, 16)]
    for centre in np.ndindex(side // SPACING, side // SPACING):
        at = np.array(centre) * SPACING + SPACING // 2 + rng.integers(-9, 10, 2)
        first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, side)
        box, part = (tuple(map(slice, first - shift, last - shift)) for shift in (0, at - reach))
        image[box] = np.maximum(image[box], stamps[rng.integers(len(stamps))][part])
    for top in range(0, side, 512):
        rows = image[top : top + 512]
        rows += rng.integers(5, 45, rows.shape, np.uint8)


def write_tiny_model(folder: Path) -> None:
    """Write a model with next to no work to do: objects are brighter than half of the normalised intensity."""
    from napari_unetseg.networks import build
    from napari_unetseg.zoo.packaging import write_package

    arguments = {"in_channels": 3, "out_channels": 2, "features": [1, 1], "norm": "batch"}
    network = build("unet", arguments)
    state = {key: value * 0 + float("running_var" in key) for key, value in network.state_dict().items()}
    for block in ("init_conv", "decoder_blocks.0"):
        for layer in (0, 4):
            state[f"{block}.double_conv.{layer}.weight"][0, 0, 1, 1] = 1
            state[f"{block}.double_conv.{layer + 1}.weight"][0] = 1
    state["final_conv.weight"][:, 0] = 10
    state["final_conv.bias"][:] = -5
    fields: dict[str, Any] = {
        "name": "tiny",
        "display_name": "Tiny",
        "description": "Pixels above half of the normalised intensity.",
        "architecture": {"name": "unet", "arguments": arguments},
        "input_channels": 3,
        "object_size": 24,
        "normalisation": {"kind": "percentile", "low": 1, "high": 99.8},
        "outputs": [{"name": "foreground"}, {"name": "distance"}],
        "decoder": "seeded_watershed",
        "parameters": {"threshold": 0.5, "min_size": 30, "split": 0.5},
        "licence": "CC0-1.0",
    }
    write_package(folder, fields, state)


def segment(path: Path, model: str, *, everything: bool) -> dict[str, Any]:
    """Segment one image in this process; return seconds by stage, memory in MiB and what was found."""
    import scipy.ndimage  # noqa: F401
    import torch

    from napari_unetseg import Image, SegmentationService

    service = SegmentationService(model, "cpu")
    service.initialize()
    image = Image(np.load(path, mmap_mode="r"), "YX", name=path.name)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    base = memory("VmRSS")
    clock, spent = time.perf_counter(), time.process_time()
    result = service.segment(image)
    told: dict[str, Any] = {
        "total": time.perf_counter() - clock,
        "processor": time.process_time() - spent,
        "network": result.provenance.seconds,
        "peak": memory("VmHWM") - base,
        "base": base,
        "objects": result.count,
        "tiles": result.provenance.tiles,
        "precision": f"{result.provenance.backend} {result.provenance.precision}",
        "threads": torch.get_num_threads(),
        "sampled": result.provenance.sampled,
    }
    if everything:
        stages: list[tuple[str, Callable[[], Any]]] = [
            ("confidence", lambda: result.confidence),
            ("table", lambda: result.measurements),
            ("contours", lambda: result.contours),
        ]
        for name, work in stages:
            clock = time.perf_counter()
            work()
            told |= {name: time.perf_counter() - clock, f"peak with {name}": memory("VmHWM") - base}
    return told


def main() -> None:
    """Measure and print, one line a size."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--model", default="nuclei", help="name or folder of a model, or tiny")
    parser.add_argument("--everything", action="store_true", help="confidence, table and contours, too")
    parser.add_argument("--folder", help="where images are written")
    parser.add_argument("--image", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.image:
        say(json.dumps(segment(arguments.image, arguments.model, everything=arguments.everything)))
        return
    machine = describe_machine()
    say(f"{machine['date']}\n{as_markdown(machine)}\n")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        model = arguments.model
        if model == "tiny":
            model = str(folder / "tiny")
            write_tiny_model(Path(model))
        for side in arguments.sides:
            path = folder / f"{side}.npy"
            write_image(path, side)
            command = [sys.executable, __file__, "--model", model, "--image", str(path)]
            command += ["--everything"] * arguments.everything
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            told = json.loads(done.stdout.splitlines()[-1])
            path.unlink()
            figures = ", ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in told.items()
            )
            say(f"{side} x {side}: {figures}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

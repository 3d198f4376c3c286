"""What keeping buffers saves: the same images with pools, and with pools that keep nothing.

Run with ``python benchmarks/pools.py [MODEL]``. Both ways are timed in turns in one process, on the
device that the settings choose, so that whatever slows the machine slows both alike; the ratio of a
turn compares neighbours in time, and below 1 pooling is faster. On a CPU the time is that of the
processor, which other work on the machine disturbs less. Page faults show what would be saved there:
memory that went back to the system is handed out anew page by page.
"""

import resource
import sys
import time
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from napari_unetseg.config import Settings, load_settings
from napari_unetseg.image import Image
from napari_unetseg.service.loaded_model import LoadedModel, load_model
from napari_unetseg.zoo.registry import DEFAULT_MODEL, find_model

SIDES = (256, 1024)
TURNS = 9


@dataclass
class Side:
    """One of the two ways, and what its runs took."""

    runtime: LoadedModel
    seconds: list[float] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)

    def run(self, image: Image) -> None:
        """Compute an image, and note time and page faults."""
        now = time.process_time if self.runtime.device.kind == "cpu" else time.perf_counter
        faults, clock = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, now()
        self.runtime.predict(image)
        self.seconds.append(now() - clock)
        self.faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)


def compare(pooled: LoadedModel, unpooled: LoadedModel, image: Image) -> tuple[Side, Side]:
    """Time both ways in turns; the first turn warms both up and does not count."""
    sides = Side(pooled), Side(unpooled)
    for turn in range(TURNS + 1):
        for side in sides if turn % 2 else reversed(sides):
            side.run(image)
        if turn == 0:
            for side in sides:
                side.seconds.clear()
                side.faults.clear()
    return sides


def without_pools(settings: Settings) -> Settings:
    """Return the same settings, but with pools that keep nothing."""
    memory = settings.unet.memory.model_copy(update={"max_pool_size_gb": 0.0})
    return settings.model_copy(update={"unet": settings.unet.model_copy(update={"memory": memory})})


def main() -> None:
    """Write a table and what follows from it."""
    package = find_model(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_MODEL)
    settings = load_settings().settings
    pooled, unpooled = load_model(package, settings), load_model(package, without_pools(settings))
    write(f"{package.card.name} on {pooled.device.kind}, {TURNS} turns")
    write(
        f"{'image':>11} {'pooled ms':>10} {'unpooled ms':>12} {'ratio (quartiles)':>20} {'page faults':>18} {'hits':>6}"
    )
    saves = False
    for side in SIDES:
        image = Image(np.random.default_rng(0).integers(0, 65536, (side, side)).astype(np.uint16))
        kept, anew = compare(pooled, unpooled, image)
        ratios = [one / other for one, other in zip(kept.seconds, anew.seconds, strict=True)]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        saves = saves or high < 1
        write(
            f"{f'{side} x {side}':>11} {1000 * median(kept.seconds):>10.1f} {1000 * median(anew.seconds):>12.1f} "
            f"{f'{middle:.3f} ({low:.3f}-{high:.3f})':>20} {median(kept.faults):>8.0f} /{median(anew.faults):>8.0f} "
            f"{hit_rate(pooled):>6.0%}"
        )
    write(
        "Pooling saves time here."
        if saves
        else "Pooling saves no time here: what the network takes, and allocates for its own layers, is far more."
    )


def hit_rate(runtime: LoadedModel) -> float:
    """Return the share of leases, of both pools, that found a buffer."""
    reports = runtime.pools.input.report(), runtime.pools.output.report()
    return sum(one.hits for one in reports) / sum(one.hits + one.misses for one in reports)


def write(line: str) -> None:
    """Write a line of the report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

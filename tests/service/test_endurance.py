"""A service runs for weeks: nothing fails and nothing piles up. Takes many minutes: `pytest -m nightly`."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from napari_unetseg import SegmentationService

THREADS = 4
STEP = 100
MAX_MB_PER_STEP = 5


def images(count: int = 8, side: int = 512) -> list[np.ndarray]:
    """Noisy discs, no two images alike."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    made = []
    for _ in range(count):
        image = rng.normal(200, 20, (side, side))
        for cy, cx, radius in rng.uniform((0, 0, 6), (side, side, 16), (60, 3)):
            image[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] += 1500
        made.append(image.clip(0).astype(np.uint16))
    return made


def memory_mb() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def endure(runs: int, step: int = STEP) -> tuple[list[float], SegmentationService]:
    """Segment from several threads; return the process's memory after each step, and the service."""
    pictures = images()
    service = SegmentationService("nuclei", "cpu")
    expected = [service.segment(picture).count for picture in pictures]

    def work(index: int) -> None:
        picture = index % len(pictures)
        assert service.segment(pictures[picture]).count == expected[picture]

    memory = []
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, runs, step):
            list(pool.map(work, range(start, start + step)))
            memory.append(memory_mb())
    return memory, service


def slope(memory: list[float]) -> float:
    """MB a step, by least squares, after the first step."""
    later = memory[1:]
    return float(np.polyfit(np.arange(len(later)), later, 1)[0])


@pytest.mark.nightly
def test_a_thousand_images_from_four_threads():
    memory, service = endure(1000)
    reported = service.health()
    assert reported.service_healthy
    assert reported.performance.failures == 0
    assert reported.memory_usage.input_pool_utilization == reported.memory_usage.output_pool_utilization == 0
    usage = reported.memory_usage
    assert usage.input_pool_hits >= 0.9 * (usage.input_pool_hits + usage.input_pool_misses)
    assert slope(memory) < MAX_MB_PER_STEP, memory

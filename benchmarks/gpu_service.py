"""What `gpu.py` measures of this package, in a process of one checkout, so that two builds can be compared.

Each part prints a line of JSON as soon as it is done: ``{"part": name, ...}`` with what it found, or with ``failed``.
"""

import gc
import inspect
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from checkout import say
from drawn_images import colour_images, draw_image, masks_agree, microscope_images
from lean import use_stand_ins
from stack_samples import sampled

FEW = 8
PARTS = ("contours", "measurements")
COMPILING_S = 45.0
"""Seconds that a compilation may take before measuring goes on without it."""


class Measurements:
    """The parts, in the order of `ORDER`, on one device.

    Parameters
    ----------
    task
        From `gpu.py`: ``device``, ``models`` (folder of the seeded network), ``sizes``, ``batch``, ``many``, ``side``,
        ``masks`` (where to leave masks to be compared), ``where`` (whether to say where time goes) and ``repeats``.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        from napari_unetseg import SegmentationService

        self.task = task
        self.make = SegmentationService
        self.spheroids = str(Path(task["models"]) / "unet_spherohq")
        self.services: dict[str, Any] = {}

    def service(self, model: str) -> Any:
        """Return the service of a model, which stays from part to part."""
        if model not in self.services:
            self.services[model] = self.make(model, self.task["device"])
        return self.services[model]

    def where(self, act: Callable[[], Any]) -> dict[str, Any]:
        """Say where the threads are while something is done once more; nothing where that is not wanted."""
        if not self.task["where"]:
            return {}
        with sampled() as found:
            act()
        return found()

    # The parts

    def start(self) -> dict[str, Any]:
        """Load the SpheroHQ network, and say how long that and the first image take."""
        began = time.perf_counter()
        service = self.service(self.spheroids)
        service.initialize()
        loaded = time.perf_counter()
        service.segment(colour_images(1, self.task["side"])[0])
        first = time.perf_counter()
        return {"load_s": loaded - began, "first_image_s": first - loaded, "facts": facts(service)}

    def batch(self) -> dict[str, Any]:
        """Segment the images of the issue's first row, in one call; wait for a compilation before the clock runs."""
        service = self.service(self.spheroids)
        images = colour_images(self.task["batch"], self.task["side"])
        eager = seconds_of(lambda: service.segment_batch(images), 1)
        service.segment_batch(images)
        compiling = wait_until_compiled([service])
        service.segment_batch(images)
        taken = seconds_of(lambda: service.segment_batch(images), 3)
        results = service.segment_batch(images)
        failures = [str(result) for result in results if not hasattr(result, "labels")]
        if failures:
            raise RuntimeError(failures[0])
        save_masks(Path(self.task["masks"]), [result.foreground >= 0.5 for result in results[:FEW]])
        return {
            "images": len(images),
            "seconds": taken,
            "images_per_s": len(images) / min(taken),
            "first_call_images_per_s": len(images) / eager[0],
            "objects": sum(result.count for result in results),
            "compiling": compiling,
            "facts": facts(service),
            "where": self.where(lambda: service.segment_batch(images)),
        }

    def one(self) -> dict[str, Any]:
        """Segment one image at a time."""
        service = self.service(self.spheroids)
        image = colour_images(1, self.task["side"])[0]
        for _ in range(5):
            service.segment(image)
        compiling = wait_until_compiled([service])
        service.segment(image)
        taken = seconds_of(lambda: service.segment(image), self.task["repeats"])
        where = self.where(lambda: [service.segment(image) for _ in range(self.task["repeats"])])
        return {
            "ms": 1e3 * statistics.median(taken),
            "least_ms": 1e3 * min(taken),
            "compiling": compiling,
            "where": where,
        }

    def large(self) -> dict[str, Any]:
        """Segment images of growing sizes with `nuclei`, from pixels to labels."""
        service = self.service("nuclei")
        found: dict[str, Any] = {}
        for side in self.task["sizes"]:
            image = draw_image(side)
            for _ in range(2):  # what is seen once is not compiled
                service.segment(image)
            compiling = wait_until_compiled([service])
            taken = seconds_of(lambda image=image: service.segment(image), 3 if side <= 4096 else 2)
            result = service.segment(image)
            where = self.where(lambda image=image: service.segment(image))
            tiles = result.provenance.as_dict().get("tiles")
            found[str(side)] = {"seconds": min(taken), "all": taken, "objects": result.count, "tiles": tiles}
            found[str(side)] |= {"compiling": compiling, "where": where, "warnings": list(map(str, result.warnings))}
        return {"sizes": found, "facts": facts(service)}

    def many(self) -> dict[str, Any]:
        """Take images from memory to labels, tables and contours with `nuclei`."""
        service = self.service("nuclei")
        images = microscope_images(self.task["many"], self.task["side"])
        # Builds that have no such pipeline compute both when they are asked for.
        known = "also" in inspect.signature(service.iter_batch).parameters
        extra: Any = {"also": PARTS} if known else {}
        through(service.iter_batch(images[: 4 * FEW], **extra))
        compiling = wait_until_compiled([service])
        through(service.iter_batch(images[:FEW], **extra))
        clock, worked = time.perf_counter(), time.process_time()
        objects = through(service.iter_batch(images, **extra))
        seconds, cpu = time.perf_counter() - clock, time.process_time() - worked
        where = self.where(lambda: through(service.iter_batch(images[: 8 * FEW], **extra)))
        told = {"images": len(images), "seconds": seconds, "images_per_s": len(images) / seconds, "objects": objects}
        return told | {"processor_s": cpu, "compiling": compiling, "where": where}

    def labels(self) -> dict[str, Any]:
        """Compare labels with those of the CPU in float32, of every bundled model on the samples."""
        from napari_unetseg.samples import SAMPLES

        models = {"nuclei": "nuclei", "tissue": "nuclei", "cells": "cells", "spheroids": "spheroids", "hand": "nails"}
        found = {}
        for sample, model in models.items():
            image = SAMPLES[sample]()
            ours = self.make(model, self.task["device"]).segment(image)
            with self.make(model, "cpu", "torch", precision="float32") as plain:
                theirs = plain.segment(image)
            found[f"{model} on {sample}"] = {
                "dice": masks_agree(ours.labels > 0, theirs.labels > 0),
                "objects": [ours.count, theirs.count],
                "precision": ours.provenance.as_dict().get("precision"),
            }
        return {"pairs": found, "least_dice": min(one["dice"] for one in found.values())}

    def memory(self) -> dict[str, Any]:
        """Say what is held on the device while models are loaded, and after they were let go."""
        before = device_memory(self.task["device"])
        for service in self.services.values():
            service.unload()
            service.close()
        self.services.clear()
        gc.collect()
        return {"loaded": before, "unloaded": device_memory(self.task["device"])}

    def cards(self) -> dict[str, Any]:
        """Use all cards at once, where there are several."""
        import torch

        if not self.task["device"].startswith("cuda") or torch.cuda.device_count() < 2:
            return {"skipped": "There is one device."}
        images = colour_images(4 * self.task["batch"], self.task["side"])
        found = {}
        for device in ("cuda:0", "cuda"):
            with self.make(self.spheroids, device) as service:
                service.segment_batch(images)
                wait_until_compiled([service])
                found[device] = len(images) / min(seconds_of(lambda at=service: at.segment_batch(images), 2))
        return {"cards": torch.cuda.device_count(), "images_per_s": found}


ORDER = ("start", "batch", "one", "large", "many", "labels", "memory", "cards")


def seconds_of(act: Callable[[], Any], times: int) -> list[float]:
    """Return what each of some calls took."""
    found = []
    for _ in range(times):
        clock = time.perf_counter()
        act()
        found.append(time.perf_counter() - clock)
    return found


def through(results: Iterator[Any]) -> int:
    """Ask for labels, contours and table of all results; return how many objects there are."""
    objects = 0
    for result in results:
        if not hasattr(result, "labels"):
            raise RuntimeError(str(result))
        _ = result.contours, result.measurements
        objects += result.count
    return objects


def wait_until_compiled(services: Iterable[Any]) -> dict[str, Any]:
    """Wait until nothing is compiled in the background any more; return how long that took, and what it says then.

    A service does not tell when that is, as nobody who uses one need wait for it: the networks are asked. They are not
    looked for among all objects of Python, as that disturbs what other threads are making, such as what is compiled.
    """
    models = [model for service in services for model in service._models.loaded_models]
    networks = [getattr(model.backend, "_compiled", None) for model in models]
    compiled = [network for network in networks if network is not None]
    clock = time.perf_counter()
    for network in compiled:
        network.wait(max(COMPILING_S - (time.perf_counter() - clock), 0.1))
    return {"waited_s": time.perf_counter() - clock, "says": [str(network.compilation) for network in compiled]}


def facts(service: Any) -> dict[str, Any]:
    """Return how the network is computed, as the model's description says it."""
    told = service.model_info().as_dict()
    names = ("device", "device_reason", "precision", "backend", "backend_reason", "compilation")
    return {name: str(told[name]) for name in names if told.get(name) is not None}


def device_memory(device: str) -> dict[str, float] | None:
    """Return MiB that PyTorch holds on the device, and how much of it tensors take; None where it is the CPU's."""
    import torch

    if not device.startswith("cuda"):
        return None
    at = torch.device(device)
    held = {"tensors_mb": torch.cuda.memory_allocated(at), "held_mb": torch.cuda.memory_reserved(at)}
    return {name: size / 2**20 for name, size in (held | {"most_mb": torch.cuda.max_memory_allocated(at)}).items()}


def save_masks(path: Path, masks: list[Any]) -> None:
    """Leave masks to be compared with a peer's."""
    import numpy as np

    np.save(path, np.packbits(np.stack(masks)))


def main() -> None:
    """Measure what the first argument asks for."""
    use_stand_ins()
    task = json.loads(sys.argv[1])
    end = time.monotonic() + task["seconds"]
    measurements = Measurements(task)
    file = str(sys.modules["napari_unetseg"].__file__)
    for name in task["parts"]:
        clock = time.monotonic()
        try:
            if clock > end:
                raise TimeoutError("the time was over")
            told = getattr(measurements, name)()
        except Exception as error:  # whatever it is, the other parts are measured
            told = {"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
        say(json.dumps({"part": name, **told, "took_s": time.monotonic() - clock, "file": file}) + "\n")


if __name__ == "__main__":
    main()

"""Whether two checkouts find the same objects and say the same; `compare_checkouts.py` explains it."""

import csv
import hashlib
import json
import os
import shutil
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkout import Checkout, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COMMANDS = ("segment", "models", "health", "train", "evaluate", "convert", "export", "config", "benchmark", "demo")
FOLDERS = ("tests/data", "docs/images")
"""Folders of BEFORE whose files are read, and segmented where they are images."""
AXES = {"stack.ome.tif": "ZYX", "time.tif": "TCYX"}
"""Axes to read a made-up file with."""
SETTINGS: tuple[dict[str, Any], ...] = (
    {"threshold": 0.3},
    {"threshold": 0.8, "min_size": 150},
    {"min_size": 0, "min_confidence": 0.0},
    {"split": 0.0},
    {"split": 1.0},
    {"fill_holes": False},
    {"smoothing": 3},
    {"min_confidence": 0.8},
    {"diameter": 18.0},
    {"diameter": 70.0},
    {"channel": 0},
    {"augment": True},
    {"threshold": 1.5},
    {"smoothing": -1},
    {"diameter": -3.0},
    {"channel": 7},
)
"""Keyword arguments of `segment`; the last four are to be refused."""
RELABELLED: tuple[dict[str, Any], ...] = (
    {},
    {"threshold": 0.25, "split": 0.9},
    {"min_size": 300, "fill_holes": False, "smoothing": 2},
    {"min_confidence": 0.75, "threshold": 0.4},
    {"split": 2.0},
)
"""Keyword arguments of `relabel`; the last is to be refused."""
VOLATILE = {"started", "seconds", "request_id", "versions"}
"""Parts of a provenance that runs need not have in common."""

HOURS = {"seconds", "finished"}
"""Columns of a table that no two runs have in common."""
SIDE = 320
"""Side in pixels of the part of a sample that is segmented with many settings."""
WINDOW = 128
"""Side in pixels of a window with which that part is segmented, too."""


Found = dict[str, str]
"""Parts of what one case gave, by name, as digests."""


# Made-up images


def draw_discs(height: int, width: int, seed: int) -> "NDArray[np.uint16]":
    """Draw bright discs over noise, some of them touching, (height, width)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    image = rng.normal(300, 30, (height, width))
    y, x = np.mgrid[:height, :width]
    for _ in range(height * width // 2500):
        centre_y, centre_x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(6, 14)
        image += rng.uniform(400, 1500) * (np.hypot(y - centre_y, x - centre_x) < radius)
    return image.clip(0, 65535).astype(np.uint16)


def write_images(folder: Path) -> None:
    """Write images in many kinds of files, and some that are to be refused."""
    import imagecodecs
    import imageio.v3 as imageio
    import numpy as np
    import tifffile

    grey = draw_discs(230, 310, 1)
    bytes_ = (grey // 16).clip(0, 255).astype(np.uint8)
    colours = np.stack([bytes_, 255 - bytes_, np.roll(bytes_, 9, 1)], axis=-1)
    planes = np.stack([draw_discs(120, 140, seed) for seed in range(3)])
    tifffile.imwrite(
        folder / "grey.tif", grey, imagej=True, resolution=(2.5, 2.5), metadata={"unit": "um", "axes": "YX"}
    )
    tifffile.imwrite(folder / "tiled.tif", draw_discs(500, 620, 2), tile=(128, 128), compression="zlib")
    tifffile.imwrite(folder / "two_channels.ome.tif", planes[:2], metadata={"axes": "CYX"})
    tifffile.imwrite(folder / "stack.ome.tif", planes, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5})
    tifffile.imwrite(folder / "time.tif", np.stack([planes[:2], planes[1:]]), imagej=True, metadata={"axes": "TCYX"})
    tifffile.imwrite(folder / "unnamed_stack.tif", planes, photometric="minisblack")
    imageio.imwrite(folder / "colours.png", colours)
    imageio.imwrite(folder / "colours.jpg", colours)
    imageio.imwrite(folder / "grey.bmp", bytes_)
    imageio.imwrite(folder / "clear.png", np.dstack([colours, bytes_]))
    deep = np.ascontiguousarray(np.dstack([grey, grey[::-1], grey[:, ::-1]]))
    (folder / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    imageio.imwrite(folder / "moving.gif", np.stack([bytes_, bytes_[::-1]]))
    real = grey.astype(np.float32)
    real[20:60, 30:50], real[0, 0] = np.nan, np.inf
    for name, array in {"real": real, "mask": grey > 700, "flat": np.full((64, 80), 7), "pixel": grey[:1, :1]}.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "complex.npy", grey.astype(np.complex64))
    np.save(folder / "five_axes.npy", np.zeros((2, 2, 12, 13, 14)))
    (folder / "empty.png").touch()
    (folder / "damaged.tif").write_bytes((folder / "grey.tif").read_bytes()[:6])
    (folder / "words.txt").write_text("No image.", encoding="utf-8")


# Labels, in a process of one checkout


def digest(*values: Any) -> str:
    """Return a digest of arrays, with their types and shapes, and of plain values."""
    import numpy as np

    total = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray) and value.dtype != object:
            total.update(f"{value.dtype} {value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            total.update(repr(value).encode())
    return total.hexdigest()[:16]


def describe(result: Any) -> Found:
    """Return the digest of each part of a segmentation; of a failure in a batch its sentence."""
    if not hasattr(result, "labels"):
        return {"refused": str(getattr(result, "error", result))}
    rings = [ring for one in result.contours for ring in (one.label, one.exterior, *one.holes)]
    sure = result.confidence
    told = {name: value for name, value in result.provenance.as_dict().items() if name not in VOLATILE}
    return {
        "count": str(result.count),
        "tiles": str(told["tiles"]),
        "labels": digest(result.labels),
        "probability": digest(result.probability, result.heads, result.agreement),
        "contours": digest(*rings),
        "measurements": digest(*(part for column in result.measurements.items() for part in column)),
        "confidence": digest(*vars(sure).values()) if sure else "none",
        "provenance": json.dumps(told, default=str),
        "warnings": " ".join(map(str, result.warnings)),
    }


def attempt(act: Callable[[], Any]) -> Found:
    """Describe what comes of a call: a result, a refusal, or a crash."""
    from napari_unetseg import UnetsegError

    try:
        return describe(act())
    except UnetsegError as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    except Exception as error:
        return {"crashed": f"{type(error).__name__}: {error}"}


def measure_labels(models: list[str], files: list[Path]) -> Iterator[tuple[str, Found]]:
    """Read all files and segment everything with every model; yield the name of each case and what was found."""
    from napari_unetseg.samples import SAMPLES

    images: dict[str, Any] = {name: sample() for name, sample in SAMPLES.items()}
    for path in files:
        image, found = attempt_to_read(path)
        yield f"read / {path.name}", found
        if image is not None:
            images[path.name] = image
    for model in models:
        for name, found in (*use_images(model, images), *use_settings(model, images), *use_stacks(model, images)):
            yield f"{model} / {name}", found


def use_images(model: str, images: dict[str, Any]) -> Iterator[tuple[str, Found]]:
    """Segment each image as it is, and some in one batch."""
    from napari_unetseg import SegmentationService

    service = SegmentationService(model)
    for name, image in images.items():
        yield name, attempt(partial(service.segment, image))
    chosen = ("nuclei", "grey.tif", "complex.npy", "stack.ome.tif", "tissue", "colours.png", "pixel.npy")
    batch = [images.get(name, b"no image") for name in chosen]
    for name, result in zip(chosen, service.segment_batch(batch), strict=True):
        yield f"{name} in a batch", attempt(partial(as_it_is, result))


def as_it_is(value: Any) -> Any:
    """Return what is given."""
    return value


def use_settings(model: str, images: dict[str, Any]) -> Iterator[tuple[str, Found]]:
    """Segment parts of the samples with many settings, in windows, and with each backend."""
    from napari_unetseg import SegmentationService

    service = SegmentationService(model)
    for name in ("nuclei", "tissue"):
        part = replace(images[name], array=images[name].array[:SIDE, :SIDE])
        for options in SETTINGS:
            yield f"{name} {options}", attempt(partial(service.segment, part, **options))
        result = service.segment(part)
        for options in RELABELLED:
            yield f"{name} relabelled {options}", attempt(partial(result.relabel, **options))
        os.environ["UNET_INFERENCE_WINDOW"] = str(WINDOW)
        yield f"{name} in windows", attempt(partial(SegmentationService(model).segment, part))
        del os.environ["UNET_INFERENCE_WINDOW"]
    for backend in ("torch", "openvino", "onnxruntime"):
        yield f"{backend}, float32", attempt(partial(segment_by, model, backend, part))


def segment_by(model: str, backend: str, image: Any) -> Any:
    """Segment with a backend in float32."""
    from napari_unetseg import SegmentationService

    return SegmentationService(model, "cpu", backend, precision="float32").segment(image)


def use_stacks(model: str, images: dict[str, Any]) -> Iterator[tuple[str, Found]]:
    """Segment stacks whose objects are to keep their numbers."""
    from napari_unetseg import SegmentationService

    service = SegmentationService(model)
    for name in AXES:
        for options in ({"link": True}, {"link": True, "channel": 1}, {"link": True, "augment": True}):
            yield f"{name} {options}", attempt(partial(service.segment, images[name], **options))


def attempt_to_read(path: Path) -> tuple[Any, Found]:
    """Return an image and its description; None, and why, where a file is refused."""
    import numpy as np

    from napari_unetseg import UnetsegError
    from napari_unetseg.io import read_image

    try:
        image = read_image(path, AXES.get(path.name))
    except UnetsegError as error:
        return None, {"refused": f"{type(error).__name__}: {error}"}
    told = (image.axes, image.rgb, image.scale, image.unit, image.name, image.path)
    return image, {"image": digest(np.asarray(image.array)), "meaning": repr(told)}


# Labels, compared


def compare_labels(sides: list[Checkout]) -> bool:
    """Segment with both, print a table, name what differs; return whether nothing does."""
    images = sides[0].scratch / "images"
    images.mkdir()
    write_images(images)
    for name in FOLDERS:
        # Copies, so that the paths in messages are the same for both.
        shutil.copytree(sides[0].folder / name, images / Path(name).name)
    models = [one["name"] for one in json.loads(sides[0].command("models", "--json").stdout) if one["usable"]]
    files = [str(path) for path in sorted(images.rglob("*")) if path.is_file()]
    found = [collect_labels(side, models, files) for side in sides]
    names = list(dict.fromkeys(name for cases in found for name in cases))
    before, after = found
    differing = [name for name in names if before.get(name) != after.get(name)]
    crashed = [name for name in names if any("crashed" in cases.get(name, ()) for cases in found)]
    print_labels(names, found, set(differing))
    for name in differing:
        say(f"\n* differs: {name}\n{tell_difference(before.get(name, {}), after.get(name, {}))}")
    for name in crashed:
        say(f"\n* crashed: {name}: {[cases.get(name, {}).get('crashed') for cases in found]}\n")
    return not differing and not crashed


def collect_labels(side: Checkout, models: list[str], files: list[str]) -> dict[str, Found]:
    """Return what one checkout finds, by the name of the case."""
    clock = time.perf_counter()
    process = side.start("labels")
    told, _ = process.communicate(json.dumps([models, files]))
    if process.returncode:
        raise SystemExit(f"{side.side}: the process ended with {process.returncode}.")
    found = dict(json.loads(line) for line in told.splitlines() if line.startswith("["))
    found |= dict(run_commands(side, models[0]))
    say(f"{side.side}: {len(found)} cases in {time.perf_counter() - clock:.0f} s\n")
    return {name: {part: side.plain(value) for part, value in parts.items()} for name, parts in found.items()}


def run_commands(side: Checkout, model: str) -> Iterator[tuple[str, Found]]:
    """Run commands; yield what each says, and digests of the files that `segment` writes."""
    for arguments in ((), *((command,) for command in COMMANDS)):
        yield command_says(side, *arguments, "--help")
    for arguments in (("models",), ("models", "--json"), ("config", "--json"), ("segment", "no_such_file.tif")):
        yield command_says(side, *arguments)
    output, images = side.scratch / side.side / "output", side.scratch / "images"
    chosen = [str(images / name) for name in ("grey.tif", "colours.png", "stack.ome.tif", "damaged.tif")]
    run = side.command("segment", *chosen, "--model", model, "--save", "all", "--output", str(output))
    yield (
        "command / segment, files",
        {"status": str(run.returncode)}
        | {str(path.relative_to(output)): digest_of_file(path) for path in sorted(output.rglob("*")) if path.is_file()},
    )


def command_says(side: Checkout, *arguments: str) -> tuple[str, Found]:
    """Run a command that takes no time; return its name and what it says."""
    run = side.command(*arguments)
    return f"command / {' '.join(arguments)}", {"says": run.stdout + run.stderr, "status": str(run.returncode)}


def digest_of_file(path: Path) -> str:
    """Return a digest of what a result holds, without the hour at which it was written."""
    import imageio.v3 as imageio
    import tifffile

    if path.suffix in (".tif", ".png"):
        return digest(imageio.imread(path) if path.suffix == ".png" else tifffile.imread(path))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as file:
            return digest(*((name, file.read(name)) for name in file.namelist()))
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as table:
            rows = [{name: value for name, value in row.items() if name not in HOURS} for row in csv.DictReader(table)]
        return digest(*rows)
    return digest(path.read_bytes()) if path.suffix == ".geojson" else "written"


def tell_difference(before: Found, after: Found) -> str:
    """Name the parts of a case that are not the same, with the beginning of both."""
    parts = [part for part in {**before, **after} if before.get(part) != after.get(part)]
    return "".join(f"  * {part}: {shorten(before.get(part))} | {shorten(after.get(part))}\n" for part in parts)


def shorten(text: str | None, most: int = 300) -> str:
    """Return a text, or its beginning."""
    return "nothing" if text is None else text if len(text) <= most else f"{text[:most]}..."


def print_labels(names: list[str], found: list[dict[str, Found]], differing: set[str]) -> None:
    """Print how many cases of each model were compared, and how many are not the same."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        parts = found[0].get(name, {})
        counts[name.partition(" / ")[0]] += Counter(
            cases=1,
            refused="refused" in parts,
            tiled=int(parts.get("tiles", 0)) > 1,
            objects=int(parts.get("count", 0)),
            different=name in differing,
        )
    titles = ("cases", "refused", "tiled", "objects", "different")
    say(f"\n| | {' | '.join(titles)} |\n| --- |{' ---: |' * len(titles)}\n")
    for group, told in counts.items():
        say(f"| {group} | {' | '.join(str(told[title]) for title in titles)} |\n")

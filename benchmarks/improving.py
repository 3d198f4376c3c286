"""What a model gains from a few corrected regions, and what it forgets: a simulated user on images it does not know.

Run with ``python benchmarks/improving.py DATA`` where DATA holds the folders ``nuclei``, ``cells`` and ``spheroids``
of images and masks as the command ``train`` takes them. Only images that the bundled models never saw are used. The
masks of 1, 3 and 5 of them (of the large images of cells: of squares of 512 pixels) stand for what a user corrected;
the model learns from these in some steps, and is scored, as its users get it, on the other images of the kind, on
what was corrected, and on images of the sort that it knew. Beside it, a network of the same size learns from the same
regions without any weights to begin with, in as many steps.

Each case is a row of a JSON file under ``results``, written as soon as it is there; run again, it goes on. With
``--jobs 2`` two cases run side by side, of one thread each.

How far images are degraded was chosen by how the bundled model does on them, before any was improved: blurred or a
quarter of the size, they score about half of what they score as they are, or less. Inverted and half the size, they
trouble it less; then improving has less to gain, and must not spoil anything.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from held_out import held_out
from machine import describe_machine, short_name
from numpy.typing import NDArray
from scipy import ndimage

from napari_unetseg import SegmentationService
from napari_unetseg.cores import usable_cores
from napari_unetseg.image import Image
from napari_unetseg.training.corrected_images import NOT_ANNOTATED, CorrectedImage
from napari_unetseg.training.corrected_regions import find_regions, with_parts_numbered
from napari_unetseg.training.corruptions import as_type, bin_pixels, invert, with_planes
from napari_unetseg.training.dataset import find_pairs, read_pair
from napari_unetseg.training.improve import improve
from napari_unetseg.training.lessons import sample_of
from napari_unetseg.training.loop import fit
from napari_unetseg.training.progress_events import Told, TrainingEvent
from napari_unetseg.training.scores import average_precision, dice_score, iou_matrix
from napari_unetseg.training.state import BEST_FILE
from napari_unetseg.training.training_recipe import Augmentation, Source, TrainingRecipe
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import ModelPackage, bundled_model_folder, read_package

REGIONS = (3, 1, 5)
"""The usual number first."""
LOOKS = {"fluo": "fluorescent nuclei", "stained": "stained nuclei"}
KNOWN_EVERY = 5
"""Of the images that the model knew one in so many is scored."""
MOST_IMAGES = 24
SIDE = 512
"""Of the regions that are corrected in large images."""
MOST_POOL = 8
"""Images of a kind from which corrected ones are drawn; on the others it is scored."""

Labelled = tuple[str, Image, NDArray[np.int32]]


@dataclass(frozen=True)
class Kind:
    """A kind of image.

    Attributes
    ----------
    corrected
        Images, one of which a user may have corrected.
    unseen
        Images that nobody corrects.
    known
        Images of the sort that the model knew.
    """

    name: str
    model: str
    metric: str
    corrected: Sequence[Labelled]
    unseen: Sequence[Labelled]
    known: Sequence[Labelled]


def main() -> None:
    """Run what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=100, help="of each model; five minutes have several times more")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--regions", type=int, nargs="+", default=REGIONS)
    parser.add_argument("--kinds", nargs="+", default=[""], help="parts of the names of kinds; left out, all")
    parser.add_argument("--jobs", type=int, default=1, help="cases side by side; each has its share of the cores")
    parser.add_argument("--output", type=Path, help="JSON file; left out, one of this day and machine")
    arguments = parser.parse_args()
    machine = describe_machine()
    path = arguments.output or Path(__file__).parent / "results" / (
        f"{machine['date']}-{short_name(machine)}-improving.json"
    )
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    names = [name for name in kinds(arguments.data) if any(part in name for part in arguments.kinds)]
    cases = [
        {"kind": kind, "regions": regions, "seed": seed, "steps": arguments.steps}
        for regions, seed, kind in product(arguments.regions, arguments.seeds, names)
    ]
    wanted = [case for case in cases if not any(case.items() <= row.items() for row in rows)]
    threads = max(1, usable_cores() // arguments.jobs)
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn"), torch.set_num_threads, (threads,)) as pool:
        for done in as_completed([pool.submit(run, arguments.data, case) for case in wanted]):
            rows.append(done.result())
            sys.stdout.write(f"{json.dumps(rows[-1])}\n")
            sys.stdout.flush()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    sys.stdout.write(table(rows))


@cache
def kinds(data: Path) -> dict[str, Kind]:
    """Read the images of each kind."""
    found = []
    discs = [
        (stem, image, labels) for stem, image, labels in read(data / "spheroids", None) if stem.startswith("disc_")
    ]
    nuclei = read(data / "nuclei", "nuclei")
    looks = kinds_of(data / "nuclei", "nuclei")
    known = nuclei[::KNOWN_EVERY]
    found.append(Kind("imaginal discs", "nuclei", "dice", discs[::2], discs[1::2], known))
    for look, name in LOOKS.items():
        # Of one large group of like images some are enough.
        same = [one for one, its in zip(nuclei, looks, strict=True) if its == look]
        some = same[:: max(1, round(len(same) / MOST_IMAGES))]
        for what, change in CHANGES.items():
            changed = [(stem, *change(image, labels)) for stem, image, labels in some]
            pool = changed[:: max(1, len(changed) // MOST_POOL)][:MOST_POOL]
            rest = [one for one in changed if all(one[0] != other[0] for other in pool)]
            found.append(Kind(f"{name}, {what}", "nuclei", "ap50", pool, rest, known))
    cells = read(data / "cells", "cells")
    first, second = cells[:6], cells[6:]
    found.append(Kind("cells, experiment 9 to 14", "cells", "ap50", squares(first[:3]), first[3:], second))
    found.append(Kind("cells, experiment 42 to 45", "cells", "ap50", squares(second[:2]), second[2:], first))
    return {kind.name: kind for kind in found}


def blur(image: Image, labels: NDArray[np.int32], sigma: float) -> tuple[Image, NDArray[np.int32]]:
    """Blur an image by a standard deviation in pixels."""
    values = ndimage.gaussian_filter(image.channels_first.astype(np.float64), (0, sigma, sigma), mode="nearest")
    return with_planes(image, as_type(values, image.array.dtype)), labels


def turn_dark(image: Image, labels: NDArray[np.int32]) -> tuple[Image, NDArray[np.int32]]:
    """Invert an image."""
    return with_planes(image, as_type(invert(image.channels_first.astype(np.float64)), image.array.dtype)), labels


CHANGES: dict[str, Callable[[Image, NDArray[np.int32]], tuple[Image, NDArray[np.int32]]]] = {
    "inverted": turn_dark,
    "blurred": lambda image, labels: blur(image, labels, 5.0),
    "half the size": bin_pixels,
    "a quarter of the size": lambda image, labels: bin_pixels(*bin_pixels(image, labels)),
}


def read(folder: Path, model: str | None) -> list[Labelled]:
    """Read the images of a folder that a model held out; all without a model. Colours without alpha."""
    pairs = find_pairs(folder)
    held = None if model is None else held_out(model, pairs)
    found = []
    for pair in pairs:
        if held is None or pair.stem in held:
            image, labels = read_pair(pair)
            opaque = with_planes(image, image.channels_first[:3]) if image.rgb else image
            found.append((pair.stem, opaque, with_parts_numbered(labels)))
    return found


def kinds_of(folder: Path, model: str) -> list[str]:
    """Return the kinds of the images that `read` returns."""
    pairs = find_pairs(folder)
    held = held_out(model, pairs)
    return [pair.kind for pair in pairs if pair.stem in held]


def squares(images: Sequence[Labelled]) -> list[Labelled]:
    """Leave the labels of one square in each corner of images, and say of all else that nobody looked at it."""
    found = []
    for corner in ((0, 0), (-SIDE, -SIDE), (0, -SIDE), (-SIDE, 0)):
        for stem, image, labels in images:
            rows, columns = (slice(start, start + SIDE or None) for start in corner)
            kept = np.full_like(labels, NOT_ANNOTATED)
            kept[rows, columns] = labels[rows, columns]
            found.append((f"{stem}{corner}", image, kept))
    return found


def run(data: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Improve a model on some corrected images, train another on the same, and score both."""
    kind, regions, seed, steps = kinds(data)[case["kind"]], case["regions"], case["seed"], case["steps"]
    order = np.random.default_rng(seed).permutation(len(kind.corrected))
    chosen = [kind.corrected[place] for place in order[:regions]]
    corrected = [CorrectedImage(stem, image, labels) for stem, image, labels in chosen]
    package = read_package(bundled_model_folder() / kind.model, "bundled")
    row: dict[str, Any] = {**case, "model": kind.model, "metric": kind.metric}
    row["before"], row["known_before"] = first_scores(data, kind.name)
    with SegmentationService(kind.model, "cpu") as service:
        row["corrected_before"] = mean_score(service, chosen, kind.metric)
    with tempfile.TemporaryDirectory() as folder:
        work, events = Path(folder), list[TrainingEvent]()
        began = time.monotonic()
        improved = improve(
            package,
            corrected,
            work / "improved",
            work / "run",
            minutes=60,
            steps=steps,
            seed=seed,
            device="cpu",
            report=events.append,
        )
        row["seconds"] = round(time.monotonic() - began, 1)
        row["said"] = [event.text for event in events if isinstance(event, Told)]
        row["card"] = {name: improved.scores[name] for name in ("before", "after", "improved")}
        with SegmentationService(str(work / "improved"), "cpu") as service:
            row["after"] = mean_score(service, kind.unseen, kind.metric)
            row["corrected_after"] = mean_score(service, chosen, kind.metric)
            row["known_after"] = mean_score(service, kind.known, "ap50")
        from_nothing(package, corrected, work / "scratch", steps, seed)
        with SegmentationService(str(work / "scratch"), "cpu") as service:
            row["from_scratch"] = mean_score(service, kind.unseen, kind.metric)
    return row


@cache
def first_scores(data: Path, name: str) -> tuple[float, float]:
    """Return what the old model scores on images that nobody corrects, and on images that it knew."""
    kind = kinds(data)[name]
    with SegmentationService(kind.model, "cpu") as service:
        return mean_score(service, kind.unseen, kind.metric), mean_score(service, kind.known, "ap50")


def mean_score(service: SegmentationService, images: Sequence[Labelled], metric: str) -> float:
    """Return the mean score of what a model finds where images are annotated."""
    scores = []
    for _, image, labels in images:
        known = labels > NOT_ANNOTATED
        found, true = np.where(known, service.segment(image).labels, 0), np.where(known, labels, 0)
        if metric == "dice":
            scores.append(dice_score(found > 0, true > 0))
        else:
            scores.append(average_precision(iou_matrix(found, true)))
    return round(float(np.mean(scores)), 4)


def from_nothing(package: ModelPackage, images: Sequence[CorrectedImage], folder: Path, steps: int, seed: int) -> None:
    """Train a network like that of a package on the same regions, in as many steps, and write its package."""
    card = package.card
    arguments = card.architecture.arguments
    samples = [sample_of(region, card) for region in find_regions(images, card)]
    recipe = TrainingRecipe(
        name="scratch",
        display_name="From scratch",
        description="Learned from corrected regions alone.",
        data=Source(name="corrections"),
        architecture="subpixel_unet",
        features=arguments["features"],
        block=arguments["block"],
        heads=card.heads,
        augmentation=Augmentation(invert=0, shuffle=0, grey=0, tint=0, on_object=0.5),
        parameters=card.parameters,
        steps=steps,
        warm_up=20,
        validate_every=max(20, steps // 4),
        average=0.97,
        seed=seed,
    )
    weights = np.full(len(samples), 1 / len(samples))
    fit(samples, weights, samples, recipe, folder, device=torch.device("cpu"))
    best = torch.load(folder / BEST_FILE, map_location="cpu", weights_only=True)
    fields = card.model_dump(exclude={"weights"}) | {"name": "scratch", "object_sizes": None}
    write_package(folder, fields, best)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a table of means over seeds."""
    lines = [
        "| images | regions | before | improved | from scratch | on the corrected: before | improved "
        "| on what it knew: before | improved |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(row["kind"] for row in rows):
        for regions in sorted(REGIONS):
            same = [row for row in rows if row["kind"] == name and row["regions"] == regions]
            if not same:
                continue
            names = ("before", "after", "from_scratch", "corrected_before", "corrected_after", "known_before")
            figures = [float(np.mean([row[figure] for row in same])) for figure in (*names, "known_after")]
            measure = "Dice" if same[0]["metric"] == "dice" else "AP@0.5"
            cells = " | ".join(f"{figure:.3f}" for figure in figures)
            lines.append(f"| {name} ({measure}) | {regions} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

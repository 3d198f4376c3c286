"""Improving a small model of bright discs on dark ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unetseg.image import Image
from napari_unetseg.service import SegmentationService
from napari_unetseg.training import improve as module
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.corrected_regions import find_regions
from napari_unetseg.training.improve import ImproveError, improve, plan_stages
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, TrainingEvent, Validated
from napari_unetseg.training.scores import dice_score
from napari_unetseg.zoo.registry import ModelPackage, find_model, read_package

from .conftest import draw_discs

SIDE = 96


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


def dark_discs(seed: int) -> tuple[Image, np.ndarray]:
    """Draw discs as the bundled model has never seen any: dark holes in a bright, striped ground."""
    rng = np.random.default_rng(seed)
    labels = draw_discs(rng, SIDE, count=9)
    stripes = 120 + 60 * np.sin(np.arange(SIDE) / 2)
    grey = np.where(labels > 0, 60, stripes) + rng.normal(0, 4, labels.shape)
    return Image(grey.clip(0, 255).astype(np.uint8), name=f"dark{seed}"), labels


def corrected(*seeds: int) -> list[CorrectedImage]:
    return [CorrectedImage(image.name, image, labels) for image, labels in map(dark_discs, seeds)]


@pytest.fixture(scope="module")
def spheroids() -> ModelPackage:
    """The smallest of the bundled models."""
    return find_model("spheroids")


def run(
    package: ModelPackage, images: list[CorrectedImage], folder: Path, steps: int = 6, **options: object
) -> list[TrainingEvent]:
    events: list[TrainingEvent] = []
    report = options.pop("report", events.append)
    improve(
        package,
        images,
        folder / "better",
        folder / "run",
        minutes=60,
        steps=steps,
        device="cpu",
        report=report,
        **options,
    )
    return events


def test_a_model_learns_what_it_did_not_know_and_keeps_the_old_package(spheroids: ModelPackage, tmp_path: Path) -> None:
    before = spheroids.weights.read_bytes()
    events = run(spheroids, corrected(1, 2, 3, 4, 5), tmp_path, steps=40)
    unseen, labels = dark_discs(9)
    with SegmentationService(spheroids.name, "cpu") as old, SegmentationService(tmp_path / "better", "cpu") as new:
        known, learnt = (dice_score(one.segment(unseen).labels > 0, labels > 0) for one in (old, new))
    assert learnt > known + 0.2
    assert spheroids.weights.read_bytes() == before
    done = events[-1]
    assert isinstance(done, Finished)
    assert done.after["dice"] > done.before["dice"]
    card = read_package(tmp_path / "better", "path").card
    assert card.scores["before"] == done.before
    assert card.scores["after"] == done.after
    assert "1 corrected regions held back" in card.scores["split"]
    assert card.scores["improved"]["learnt_from"] == 4
    assert card.name == "better"
    assert card.display_name == "Spheroids, improved on dark1, dark2 and 3 more"
    assert card.training_data[-1].images == 5
    assert card.training_data[:-1] == spheroids.card.training_data
    assert not (tmp_path / "run" / module.RUN_FILE).exists()

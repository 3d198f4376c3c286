"""Small data sets of discs: two looks, bright on dark and dark on bright."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetseg.training.training_recipe import Augmentation, Source, TrainingRecipe


def draw_discs(rng: np.random.Generator, side: int = 64, count: int = 5) -> np.ndarray:
    """Label image, int32 (side, side), of discs that do not overlap."""
    labels = np.zeros((side, side), np.int32)
    y, x = np.mgrid[:side, :side]
    for label in range(1, count + 1):
        centre, radius = rng.uniform(6, side - 6, 2), rng.uniform(4, 7)
        disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        if not labels[disc].any():
            labels[disc] = label
    return labels


def write_dataset(folder: Path, count: int = 8) -> Path:
    """Write a data set whose odd images are dark on bright and of kind `dark`, the others `bright`."""
    rng = np.random.default_rng(5)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rows = ["stem,kind"]
    for number in range(count):
        labels = draw_discs(rng)
        grey = 30 + 150 * (labels > 0) + rng.normal(0, 5, labels.shape)
        dark = number % 2 == 1
        image = (255 - grey if dark else grey).clip(0, 255).astype(np.uint8)
        # Within each kind, the last images are RGB and so of another look.
        if number >= count - 2:
            image = np.stack([image, image * 0.9, image * 0.8], axis=-1).astype(np.uint8)
        iio.imwrite(folder / "images" / f"field{number}.png", image)
        iio.imwrite(folder / "masks" / f"field{number}.png", labels.astype(np.uint16))
        rows.append(f"field{number},{'dark' if dark else 'bright'}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "discs")


@pytest.fixture
def recipe() -> TrainingRecipe:
    """A recipe so small that it trains in seconds."""
    return TrainingRecipe(
        name="discs",
        display_name="Discs",
        description="Synthetic discs.",
        data=Source(name="discs", licence="CC0 1.0"),
        features=(8, 16),
        augmentation=Augmentation(scale=(0.8, 1.25)),
        crop=32,
        batch=2,
        steps=4,
        warm_up=1,
        average=0.5,
        validate_every=2,
    )

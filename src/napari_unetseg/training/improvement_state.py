"""What changes in the course of an improvement, and the file from which it goes on after a kill."""

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from napari_unetseg.io.atomic import whole_file
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.state import CheckpointError
from napari_unetseg.zoo.card import ModelCard


@dataclass
class Best:
    """The best weights of a stage so far; None are those of the old model."""

    scores: dict[str, float]
    weights: dict[str, torch.Tensor] | None = None


@dataclass
class Progress:
    """What changes in the course of a run, and is kept in its checkpoint."""

    seconds: float = 0.0
    stage: int = 0
    began: float = 0.0
    best: Best | None = None
    share: float = 1.0
    parameters: dict[str, Any] = field(default_factory=dict)
    folds: list[tuple[dict[str, float], list[dict[str, float]]]] = field(default_factory=list)


def fingerprint(card: ModelCard, images: Sequence[CorrectedImage], arguments: tuple[object, ...]) -> str:
    """Return what tells one run from others: model, corrections and arguments."""
    content = hashlib.sha256(repr((card.weights.sha256, *arguments)).encode())
    for image in images:
        content.update(image.labels.tobytes())
        content.update(repr((image.name, image.image.shape)).encode())
    return content.hexdigest()


def write_checkpoint(file: Path, key: str, progress: Progress, student: dict[str, Any] | None) -> None:
    """Write the course of the run that a fingerprint names, and the state of a network that is learning."""
    kept = {name: value for name, value in vars(progress).items() if name != "best"}
    best = None if progress.best is None else vars(progress.best)
    with whole_file(file) as path:
        torch.save({"key": key, "progress": {**kept, "best": best}, "student": student}, path)


def read_checkpoint(file: Path, key: str) -> tuple[Progress, dict[str, Any] | None] | None:
    """Read what `write_checkpoint` wrote; None if there is nothing, or only of another run.

    Raises
    ------
    CheckpointError
        If the file cannot be read.
    """
    if not file.exists():
        return None
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{file}: the checkpoint cannot be read. Delete it to start anew.") from error
    if content["key"] != key:
        return None
    kept = content["progress"]
    best = kept.pop("best")
    return Progress(**kept, best=None if best is None else Best(**best)), content["student"]

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import imageio.v3 as iio
import pytest

from napari_unetseg.errors import UnetsegError
from napari_unetseg.training.learning_curves import draw_curves, open_tensorboard, require_tensorboard
from napari_unetseg.training.train import train
from napari_unetseg.training.training_recipe import TrainingRecipe

HISTORY = [
    {"step": 10.0, "loss": 2.0, "dice": 0.5, "ap": 0.1, "ap50": 0.2, "ap50 fluo": 0.3},
    {"step": 20.0, "loss": 1.0, "dice": 0.7, "ap": 0.3, "ap50": 0.4, "ap50 fluo": 0.5},
]


def test_curves_are_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "new" / "curves.png"
    draw_curves(HISTORY, path)
    one = iio.imread(path)
    assert one.shape[0] > 300
    assert one.shape[1] > 900
    draw_curves([HISTORY[0], {**HISTORY[1], "dice": 0.9}], path)
    assert (iio.imread(path) != one).any()


def test_without_scores_the_loss_is_drawn_alone(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "curves.png"
    draw_curves([{"step": row["step"], "loss": row["loss"]} for row in HISTORY], path)
    assert iio.imread(path).shape[0] > 300
    assert list(recwarn) == []  # such as of a legend of nothing


class RecordingWriter:
    """Stands for TensorBoard's writer, which need not be installed."""

    scalars: dict[str, list[tuple[int, Any]]]
    folder: str
    is_open = False

    def __init__(self, log_dir: str) -> None:
        type(self).scalars, type(self).folder = {}, log_dir

    def __enter__(self) -> "RecordingWriter":
        type(self).is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        type(self).is_open = False

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.scalars.setdefault(tag, []).append((global_step, scalar_value))

    def flush(self) -> None:
        assert self.is_open


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[RecordingWriter]]:
    module = ModuleType("torch.utils.tensorboard")
    vars(module)["SummaryWriter"] = RecordingWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    yield RecordingWriter
    assert not RecordingWriter.is_open


def test_rows_become_curves(installed: type[RecordingWriter], tmp_path: Path) -> None:
    with open_tensorboard(tmp_path) as log:
        log({"step": 10.0, "loss": 0.5, "dice": 0.8, "ap50 dark field": 0.7})
        log({"step": 20.0, "loss": 0.4, "dice": 0.9, "ap50 dark field": 0.6})
    assert installed.folder == str(tmp_path)
    assert installed.scalars == {
        "training/loss": [(10, 0.5), (20, 0.4)],
        "validation/dice": [(10, 0.8), (20, 0.9)],
        "validation/ap50/dark field": [(10, 0.7), (20, 0.6)],
    }


def test_each_validation_is_logged(
    installed: type[RecordingWriter], dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    train(dataset, tmp_path / "model", tmp_path / "checkpoints", recipe, device="cpu", tensorboard=tmp_path / "board")
    require_tensorboard()
    assert [step for step, _ in installed.scalars["training/loss"]] == [2, 4]
    assert {"validation/dice", "validation/ap50", "validation/ap50/dark"} <= installed.scalars.keys()


def test_missing_tensorboard_is_said_before_training(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UnetsegError, match="pip install tensorboard"):
        train(dataset, tmp_path / "model", tmp_path / "checkpoints", recipe, tensorboard=tmp_path / "board")
    assert not (tmp_path / "checkpoints").exists()
    assert not (tmp_path / "board").exists()

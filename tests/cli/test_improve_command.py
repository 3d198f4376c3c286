from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from napari_unetseg.cli.improve_command import improve_command
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.zoo.card import CARD_FILE, read_card


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(improve_command)
    return app


@pytest.fixture
def corrected(tmp_path: Path) -> Path:
    """Two folders of two images and their labels: squares, in grey on black."""
    for name in ("images", "masks"):
        (tmp_path / "corrected" / name).mkdir(parents=True)
    for number in range(2):
        labels = np.zeros((96, 96), np.uint16)
        for label, corner in enumerate(range(8, 80, 24), start=1):
            labels[corner : corner + 12, corner : corner + 12] = label
        image = (40 + 100 * (labels > 0) + np.random.default_rng(number).normal(0, 4, labels.shape)).astype(np.uint8)
        iio.imwrite(tmp_path / "corrected" / "images" / f"field{number}.png", image)
        iio.imwrite(tmp_path / "corrected" / "masks" / f"field{number}.tif", labels)
    return tmp_path / "corrected"


def test_a_model_is_improved_and_both_scores_are_said(
    command: typer.Typer, corrected: Path, bright_model: Path, tmp_path: Path
) -> None:
    words = [bright_model, corrected / "images", corrected / "masks", "--output", tmp_path / "better"]
    words += ["--checkpoints", tmp_path / "run", "--minutes", "0.1", "--title", "Better squares", "--device", "cpu"]
    words += ["--preview", corrected / "images" / "field0.png"]
    result = CliRunner().invoke(command, list(map(str, words)))
    assert result.exit_code == 0, result.output
    card = read_card(tmp_path / "better" / CARD_FILE)
    assert card.display_name == "Better squares"
    said = result.output.splitlines()[-1]
    assert said.startswith(f"{tmp_path / 'better'}: model 'better', Better squares. On corrected regions")
    for name, title in (("ap50", "AP@0.5"), ("dice", "Dice")):
        before, after = card.scores["before"][name], card.scores["after"][name]
        assert f"{title} {before:.3f} before, {after:.3f} after" in said


def test_the_options_reach_the_engine(
    command: typer.Typer, corrected: Path, bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: dict[str, Any] = {}

    def improve(package: Any, images: list[CorrectedImage], output: Path, checkpoints: Path, **options: Any) -> Any:
        heard.update(options, images=images, checkpoints=checkpoints)
        return read_card(bright_model / CARD_FILE)

    monkeypatch.setattr("napari_unetseg.training.improve.improve", improve)
    words = [bright_model, corrected / "images" / "field1.png", corrected / "masks" / "field1.tif"]
    words += ["--output", tmp_path / "My new model", "--minutes", "2.5", "--seed", "7", "--device", "cpu"]
    result = CliRunner().invoke(command, list(map(str, words)))
    assert result.exit_code == 0, result.output
    assert [image.name for image in heard["images"]] == ["field1"]
    assert (heard["minutes"], heard["seed"], heard["device"]) == (2.5, 7, "cpu")
    assert heard["preview"] is heard["display_name"] is None
    assert heard["checkpoints"].name == "my_new_model"
    assert "Nothing was held back" in result.output


@pytest.mark.parametrize(
    ("model", "labels", "words"),
    [("no_such_model", "masks", "There is no model 'no_such_model'"), (None, "nowhere", "nowhere")],
)
def test_what_is_missing_is_said_in_a_line(
    command: typer.Typer,
    corrected: Path,
    bright_model: Path,
    tmp_path: Path,
    model: str | None,
    labels: str,
    words: str,
) -> None:
    line = [model or bright_model, corrected / "images", corrected / labels, "-o", tmp_path / "better"]
    result = CliRunner().invoke(command, [*map(str, line), "--checkpoints", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert words in result.output
    assert not (tmp_path / "better").exists()

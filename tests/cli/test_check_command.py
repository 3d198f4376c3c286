"""What the check of masks prints, and with which status it ends."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from napari_unetseg.cli.main import app


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    numbers = np.zeros((24, 40), np.uint8)
    numbers[4:14, 4:14], numbers[4:14, 20:30] = 1, 2
    Pillow.fromarray(numbers).save(folder / "sound.png")
    numbers[20, 35] = 1
    Pillow.fromarray(numbers).save(folder / "speck.png")
    return folder


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", *map(str, words)])
    return result.exit_code, result.output


def test_faults_are_printed_for_each_mask_and_in_all(masks: Path) -> None:
    status, text = run(masks)
    assert status == 1
    assert "speck.png: Specks: 1 extra pieces, 1 pixels in all, of 1 objects (1)." in text
    assert "specks: in 1 of 2 masks, 1 in all, 1 pixels" in text
    assert "1 of 2 masks have no fault." in text


def test_sound_masks_end_with_status_0(masks: Path) -> None:
    status, text = run(masks / "sound.png")
    assert status == 0
    assert "1 of 1 masks have no fault." in text


def test_mended_copies_go_where_they_are_told_to(masks: Path, tmp_path: Path) -> None:
    status, text = run(masks, "--fix", "specks", "-o", tmp_path / "out")
    assert status == 0
    assert "speck.png: mended specks 1 pixels" in text
    assert "1 of 2 masks mended" in text
    assert run(tmp_path / "out")[0] == 0


def test_a_fault_that_was_not_mended_ends_with_status_1(masks: Path, tmp_path: Path) -> None:
    assert run(masks, "--fix", "holes", "-o", tmp_path / "out")[0] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fix", "specks"], "belong together"),
        (["--fix", "warts", "-o", "out"], "warts"),
        (["--images", "nowhere"], "nowhere"),
    ],
)
def test_wrong_options_are_named(masks: Path, words: list[str], said: str) -> None:
    status, text = run(masks, *words)
    assert status != 0
    assert said in text


def test_a_folder_without_masks_is_said_to_have_none(tmp_path: Path) -> None:
    status, text = run(tmp_path)
    assert status != 0
    assert "no masks" in text

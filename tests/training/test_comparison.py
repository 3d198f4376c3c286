import csv
import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.training.comparison import Comparison
from napari_unetseg.training.dataset import Pair, find_pairs
from napari_unetseg.training.evaluate import OTSU, Failed, Method, are_masks
from napari_unetseg.training.report import comparison_as_dict, comparison_lines, write_files


def parts_above_half(image: Image) -> np.ndarray:
    from scipy import ndimage

    return ndimage.label(image.channels_first[0] > 127)[0].astype(np.int32)


HALF = Method("half", parts_above_half, divides=False)


@pytest.fixture
def pairs(dataset: Path) -> list[Pair]:
    return find_pairs(dataset)


def test_contenders_stand_in_one_table_by_kind(pairs: list[Pair]) -> None:
    comparison = Comparison([HALF, OTSU], pairs, masks=False)
    comparison.score()
    reported = "\n".join(comparison_lines(comparison))
    assert "half: 8 of 8 images scored; objects are those that the label images number." in reported
    rows = [line.split() for line in reported.splitlines() if line.startswith("half  ")]
    assert [(row[1], row[2]) for row in rows] == [("all", "8"), ("bright", "4"), ("dark", "4")]
    assert len([line for line in reported.splitlines() if line.startswith("Otsu + watershed  ")]) == 3
    summary = comparison_as_dict(comparison)["contenders"]
    assert summary["half"]["per_kind"]["bright"]["ap50"] > 0.9
    assert summary["half"]["per_kind"]["dark"]["dice"] < 0.5
    assert summary["Otsu + watershed"]["per_kind"]["dark"]["dice"] > 0.9
    assert "robustness" not in comparison_as_dict(comparison)


def test_masks_without_numbers_say_nothing_of_division(pairs: list[Pair]) -> None:
    for pair in pairs:
        iio.imwrite(pair.mask, np.where(iio.imread(pair.mask), 255, 0).astype(np.uint8))
    comparison = Comparison([HALF, OTSU], pairs, are_masks(pairs))
    comparison.score()
    reported = comparison_lines(comparison)
    assert "connected parts count as objects" in reported[0]
    assert "only foregrounds are compared" in reported[1]
    summary = comparison_as_dict(comparison)["contenders"]
    assert summary["half"]["compared"] == "parts"
    assert "ap50" in summary["half"]
    assert summary["Otsu + watershed"]["compared"] == "foreground"
    assert "ap50" not in summary["Otsu + watershed"]
    assert next(line for line in reported if line.startswith("Otsu + watershed  ")).split()[-1] == "-"


def test_a_failure_is_told_once_for_all_contenders(pairs: list[Pair]) -> None:
    pairs[1].image.write_bytes(b"no image")
    reported: list[Failed] = []
    comparison = Comparison([HALF, OTSU], pairs, masks=False, report=reported.append)
    comparison.score()
    comparison.score_corruptions(seed=0)
    assert [failed.stem for failed in reported] == ["field1"]
    assert comparison.failures == reported
    assert comparison_as_dict(comparison)["failures"] == [{"stem": "field1", "reason": str(reported[0].error)}]
    assert {len(scores) for scores in comparison.scores.values()} == {7}


def test_files_hold_every_image_and_every_corruption(pairs: list[Pair], tmp_path: Path) -> None:
    comparison = Comparison([HALF, OTSU], pairs, masks=False)
    comparison.score()
    comparison.score_corruptions(seed=0)
    write_files(comparison, 2, tmp_path / "out")
    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert rows[0]["contender"] == "half"
    assert int(rows[0]["found"]) - int(rows[0]["annotated"]) == int(rows[0]["count_bias"])
    assert float(rows[0]["dice"]) == pytest.approx(comparison.scores["half"][0].dice, rel=1e-6)
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == comparison_as_dict(comparison)
    with (tmp_path / "out" / "robustness.csv").open(newline="") as file:
        corruptions = {row["corruption"]: row for row in csv.DictReader(file)}
    assert corruptions["channels swapped"]["images"] == "2"
    assert float(corruptions["rotated by 90 degrees"]["ap50_of_clean"]) == 1
    assert (tmp_path / "out" / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    reported = "\n".join(comparison_lines(comparison))
    assert "half on corrupted images" in reported
    assert any(line.startswith("gaussian blur") for line in reported.splitlines())


def test_nothing_but_failures_is_still_a_report(pairs: list[Pair], tmp_path: Path) -> None:
    for pair in pairs:
        pair.mask.unlink()
    comparison = Comparison([HALF], pairs, masks=are_masks(pairs))
    comparison.score()
    comparison.score_corruptions(seed=0)
    write_files(comparison, 2, tmp_path / "out")
    assert len(comparison.failures) == 8
    assert comparison_as_dict(comparison)["contenders"] == {}
    assert "half: 0 of 8 images scored" in comparison_lines(comparison)[0]
    assert not (tmp_path / "out" / "contact_sheet.png").exists()

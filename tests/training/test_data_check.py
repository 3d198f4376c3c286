from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.training.data_check import CheckedPair, DataReport, check_data, thumbnail

Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def grid(count: int = 4, radius: int = 8, side: int = 128) -> np.ndarray:
    """Label image, int32 (side, side), of count x count discs that touch nothing."""
    labels = np.zeros((side, side), np.int32)
    y, x = np.mgrid[:side, :side]
    step = side // count
    for number in range(count * count):
        row, column = divmod(number, count)
        disc = (y - (row + 0.5) * step) ** 2 + (x - (column + 0.5) * step) ** 2 < radius**2
        labels[disc] = number + 1
    return labels


def look_like(labels: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 6, labels.shape)
    return (40 + 120 * (labels > 0) + noise).clip(0, 255).astype(np.uint8)


def check(tmp_path: Path, change: Change = lambda image, labels: (image, labels), others: int = 5) -> DataReport:
    """Check a set of like pairs and one, `odd`, that was changed."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(others + 1):
        labels = grid()
        image = look_like(labels, number)
        if number == others:
            image, labels = change(image, labels)
        name = "odd" if number == others else f"field{number}"
        iio.imwrite(tmp_path / "images" / f"{name}.tif", image)
        iio.imwrite(tmp_path / "masks" / f"{name}.tif", labels)
    return check_data(tmp_path / "images", tmp_path / "masks")


def odd(report: DataReport) -> CheckedPair:
    return next(pair for pair in report.pairs if pair.name == "odd")


def test_pairs_without_fault_are_good(tmp_path: Path) -> None:
    report = check(tmp_path)
    assert report.usable
    assert report.suggested == "touching"
    assert report.findings == ()
    assert [pair.status for pair in report.pairs] == 6 * ["good"]
    assert {pair.remarks for pair in report.pairs} == {()}
    assert {(pair.shape, pair.objects) for pair in report.pairs} == {((128, 128), 16)}
    assert odd(report).diameter == pytest.approx(16, abs=0.5)
    assert odd(report).annotated == 1


def merged_pair(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:128, :128]
    for centre in (48, 63):
        labels[(y - 48) ** 2 + (x - centre) ** 2 < 64] = 6
    labels[labels == 7] = 0
    return image, labels


def torn(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels[labels == 9] = 4
    return image, labels


def specks(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels[0, 0], labels[0, 3:5] = 100, 101
    return image, labels


def blank(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, np.zeros_like(labels)


def one_number(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, np.minimum(labels, 1)


def large(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, grid(2, 28)


def dark(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image // 8, labels


def inverted(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 255 - image, labels


def constant(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full_like(image, 7), labels


def without_a_value(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(image.shape, np.nan, np.float32), labels


def of_truths(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image > 100, labels


def overexposed(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(labels > 0, 255, image), labels


def coloured(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.stack(3 * [image], axis=-1), labels


def repeated(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return look_like(grid(), 2), labels


def barely_marked(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, np.where(labels == 1, 1, 0).astype(np.int32)


def unlooked(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, np.full_like(labels, -1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (merged_pair, "may be several objects joined: 6."),
        (torn, "on several pieces: 4."),
        (specks, "Specks of at most 2 pixels: 2."),
        (blank, "No object is marked"),
        (one_number, "All objects have one number"),
        (barely_marked, "Far less is marked"),
        (unlooked, "Nothing of it is annotated"),
        (large, "Objects are 3.6 times as wide"),
        (dark, "Far darker than most"),
        (inverted, "darker than their surroundings, unlike"),
        (constant, "one intensity everywhere"),
        (without_a_value, "one intensity everywhere"),
        (of_truths, "only 2 different intensities"),
        (overexposed, "overexposed"),
        (coloured, "Another kind of file than most (uint8, channels: 3)"),
        (repeated, "The image is the same as field2."),
    ],
)
def test_what_is_odd_is_said_of_that_pair_alone(tmp_path: Path, change: Change, words: str) -> None:
    report = check(tmp_path, change)
    assert odd(report).status == "doubtful"
    assert any(words in remark for remark in odd(report).remarks), odd(report).remarks
    assert {pair.status for pair in report.pairs if pair.name != "odd"} == {"good"}
    assert report.usable


def test_an_elongated_cell_is_not_taken_for_several(tmp_path: Path) -> None:
    def stretch(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels[(labels == 5) | (labels == 6)] = 0
        labels[43:53, 4:60] = 6
        return image, labels

    assert not any("joined" in remark for remark in odd(check(tmp_path, stretch)).remarks)


def cropped(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image[:100], labels


def a_stack(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([image] * 40), labels


def fractions(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, labels.astype(np.float32)


def colours(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, np.stack(3 * [labels.astype(np.uint8)], axis=-1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cropped, "The mask has 128 x 128 pixels, its image 100 x 128."),
        (a_stack, "odd.tif"),
        (fractions, "holds fractions"),
        (colours, "several colours"),
    ],
)
def test_what_training_would_stop_at_is_unusable(tmp_path: Path, change: Change, words: str) -> None:
    report = check(tmp_path, change)
    assert odd(report).status == "unusable"
    assert any(words in remark for remark in odd(report).remarks), odd(report).remarks
    assert not report.usable
    assert report.findings[0].startswith("1 of 6 cannot be used: odd.")


def test_lonely_files_are_named(tmp_path: Path) -> None:
    check(tmp_path)
    (tmp_path / "masks" / "field1.tif").unlink()
    (tmp_path / "images" / "field2.tif").unlink()
    (tmp_path / "images" / "notes.txt").write_text("no image")
    report = check_data(tmp_path / "images", tmp_path / "masks")
    lonely = {pair.name: pair for pair in report.pairs if pair.status == "unusable"}
    assert lonely.keys() == {"field1", "field2"}
    assert lonely["field1"].mask is None
    assert lonely["field2"].image is None
    assert "2 of 6" in report.findings[0]


def test_masks_that_number_nothing_suggest_an_area(tmp_path: Path) -> None:
    check(tmp_path)
    for path in (tmp_path / "masks").iterdir():
        iio.imwrite(path, np.where(grid() > 0, 255, 0).astype(np.uint8))
    report = check_data(tmp_path / "images", tmp_path / "masks")
    assert report.suggested == "area"
    assert any("choose 'area'" in finding for finding in report.findings)
    assert {pair.objects for pair in report.pairs} == {16}


def test_a_lossy_mask_is_doubtful(tmp_path: Path) -> None:
    check(tmp_path, others=3)
    (tmp_path / "masks" / "odd.tif").unlink()
    iio.imwrite(tmp_path / "masks" / "odd.jpg", np.where(grid() > 0, 255, 0).astype(np.uint8))
    pair = odd(check_data(tmp_path / "images", tmp_path / "masks"))
    assert pair.status == "doubtful"
    assert ".jpg" in pair.remarks[0]


def test_progress_is_told_and_a_cancel_heeded(tmp_path: Path) -> None:
    check(tmp_path)
    told: list[tuple[int, int]] = []
    check_data(tmp_path / "images", tmp_path / "masks", lambda done, known: told.append((done, known)))
    assert told == [(done, 6) for done in range(7)]
    with pytest.raises(Cancelled):
        check_data(tmp_path / "images", tmp_path / "masks", cancel=lambda: True)


def test_a_missing_or_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnetsegError, match="there is no such folder"):
        check_data(tmp_path / "images", tmp_path / "masks")
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    report = check_data(tmp_path / "images", tmp_path / "masks")
    assert not report.usable
    assert "there are no images" in report.findings[0]


def test_a_thumbnail_shows_outlines_and_what_is_not_annotated(tmp_path: Path) -> None:
    def half(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels[:, 64:] = -1
        return image, labels

    pair = odd(check(tmp_path, half))
    assert pair.annotated == 0.5
    small = thumbnail(pair, 64)
    assert small.shape == (64, 64, 3)
    assert small.dtype == np.uint8
    coloured = small.max(axis=-1).astype(int) - small.min(axis=-1)
    assert coloured[:, :32].max() > 100
    assert coloured[:, 33:].max() == 0
    assert small[:, :32].mean() > 1.5 * small[:, 32:].mean()


def test_of_small_objects_a_thumbnail_shows_a_part(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    labels = grid(40, 4, 800)
    iio.imwrite(tmp_path / "images" / "wide.tif", look_like(labels, 0))
    iio.imwrite(tmp_path / "masks" / "wide.tif", labels)
    (pair,) = check_data(tmp_path / "images", tmp_path / "masks").pairs
    assert thumbnail(pair, 160).shape[0] >= 100
    outlined = np.ptp(thumbnail(pair, 160).astype(int), axis=-1) > 60
    assert 0.05 < outlined.mean() < 0.6  # the insides are seen


def test_what_cannot_be_read_has_a_black_thumbnail(tmp_path: Path) -> None:
    pair = CheckedPair("gone", tmp_path / "gone.tif", None, "unusable")
    assert not thumbnail(pair, 32).any()

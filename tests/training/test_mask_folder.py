"""Files of masks: what each kind of file is read as, and that copies are what was asked for and no more."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.training.mask_folder import CheckedMask, check_masks, find_masks, mend_masks
from napari_unetseg.training.mask_reading import read_numbers

NUMBERS = np.zeros((24, 40), np.uint8)
NUMBERS[4:14, 4:14] = 1
NUMBERS[4:14, 20:30] = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    masks = tmp_path / "masks"
    masks.mkdir()
    return masks


def check(file: Path, images: Path | None = None) -> CheckedMask:
    return check_masks([file], images)[0]


def kinds(mask: CheckedMask) -> list[str]:
    return [fault.kind for fault in mask.faults]


def png(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    picture = Pillow.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path)
    return path


def test_a_sound_mask_is_described(folder: Path) -> None:
    found = check(png(folder / "a.png", NUMBERS))
    assert (found.shape, found.objects, found.faults, found.repairs) == ((24, 40), 2, (), ())
    assert found.diameter == pytest.approx(np.sqrt(400 / np.pi))


def test_a_palette_is_told_and_goes_with_the_numbers_kept(folder: Path, tmp_path: Path) -> None:
    picture = Pillow.fromarray(NUMBERS).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(folder / "a.png")
    found = check(folder / "a.png")
    assert kinds(found) == ["palette"]
    (mended,) = mend_masks([found], ["palette"], tmp_path / "out")
    with Pillow.open(mended.file) as copy:
        assert copy.mode == "L"
        np.testing.assert_array_equal(np.asarray(copy), NUMBERS)


def test_each_colour_of_a_picture_is_an_object(folder: Path, tmp_path: Path) -> None:
    colours = np.array([[0, 0, 0], [200, 10, 10], [10, 200, 10]], np.uint8)[NUMBERS]
    found = check(png(folder / "a.png", colours))
    assert (kinds(found), found.objects) == (["colours"], 2)
    (mended,) = mend_masks([found], ["colours"], tmp_path / "out")
    # Colours count from red to blue, so the green one comes first.
    expected = np.array([0, 2, 1])[NUMBERS]
    np.testing.assert_array_equal(read_numbers(mended.file), expected)
    assert mended.pixels == {"colours": 200}


def test_without_black_the_most_frequent_colour_is_background(folder: Path) -> None:
    colours = np.array([[255, 255, 255], [0, 0, 200], [0, 200, 0]], np.uint8)[NUMBERS]
    np.testing.assert_array_equal(read_numbers(png(folder / "a.png", colours)), NUMBERS)


def test_a_photo_is_refused_as_a_mask(folder: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    found = check(png(folder / "photo.png", photo))
    assert "photo.png" in found.unreadable
    assert "too many" in found.unreadable


def test_a_lossy_file_is_told_with_its_blended_edges(folder: Path) -> None:
    Pillow.fromarray((NUMBERS > 0).astype(np.uint8) * 255).resize((160, 96), Pillow.Resampling.BICUBIC).save(
        folder / "a.jpg", quality=90
    )
    assert kinds(check(folder / "a.jpg")) == ["lossy", "edges"]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((4, 4), 0.5, np.float32), "fractions"),
        (np.full((4, 4), np.nan, np.float32), "fractions"),
        (np.zeros((5, 12, 12), np.uint8), "several planes"),
    ],
)
def test_what_is_no_mask_is_said_to_be_none(folder: Path, array: np.ndarray, said: str) -> None:
    axes = {"axes": "ZYX"} if array.ndim == 3 else None
    tifffile.imwrite(folder / "a.tif", array, metadata=axes)
    found = check(folder / "a.tif")
    assert said in found.unreadable
    assert found.objects is None


def test_whole_numbers_stored_as_fractions_are_numbers(folder: Path) -> None:
    tifffile.imwrite(folder / "a.tif", NUMBERS.astype(np.float32))
    np.testing.assert_array_equal(read_numbers(folder / "a.tif"), NUMBERS)


def test_sizes_are_compared_with_the_images(folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    png(images / "a.png", NUMBERS[:, :30])
    for name in ("a.png", "b.png"):
        png(folder / name, NUMBERS)
    first, second = check_masks(find_masks(folder), images)
    assert "24 x 40" in first.faults[0].text
    assert "24 x 30" in first.faults[0].text
    assert "no image" in second.faults[0].text


def test_copies_are_the_same_byte_for_byte_but_for_what_was_mended(folder: Path, tmp_path: Path) -> None:
    speck = NUMBERS.copy()
    speck[20, 35] = 1
    png(folder / "speck.png", speck)
    png(folder / "sound.png", NUMBERS)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    sound, mended = mend_masks(check_masks(find_masks(folder)), ["specks", "holes"], tmp_path / "out")
    assert sound.pixels == {}
    assert sound.file.read_bytes() == before["sound.png"]
    assert mended.pixels == {"specks": 1}
    np.testing.assert_array_equal(read_numbers(mended.file), NUMBERS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_numbers_that_png_cannot_hold_are_kept_as_tiff(folder: Path, tmp_path: Path) -> None:
    array = NUMBERS.astype(np.int32)
    array[array == 2] = 100_000
    array[:, -2:] = -1
    array[8, 8] = 0
    tifffile.imwrite(folder / "a.tif", array)
    (mended,) = mend_masks(check_masks(find_masks(folder)), ["holes"], tmp_path / "out")
    array[8, 8] = 1
    np.testing.assert_array_equal(read_numbers(mended.file), array)


def test_a_folder_that_holds_something_is_not_written_into(folder: Path) -> None:
    png(folder / "a.png", NUMBERS)
    with pytest.raises(UnetsegError, match="holds something"):
        mend_masks(check_masks(find_masks(folder)), ["specks"], folder)


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnetsegError, match="nowhere"):
        find_masks(tmp_path / "nowhere")
    with pytest.raises(UnetsegError, match="elsewhere"):
        check_masks([], tmp_path / "elsewhere")


def test_progress_is_told_and_a_check_can_be_cancelled(folder: Path) -> None:
    for name in "abc":
        png(folder / f"{name}.png", NUMBERS)
    seen: list[tuple[int, int]] = []
    check_masks(find_masks(folder), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    with pytest.raises(Cancelled):
        check_masks(find_masks(folder), cancel=lambda: True)


def test_masks_that_differ_in_their_endings_alone_do_not_take_each_others_place(folder: Path, tmp_path: Path) -> None:
    png(folder / "a.png", NUMBERS)
    Pillow.fromarray(NUMBERS).save(folder / "a.bmp")
    with pytest.raises(UnetsegError, match=r"a\.bmp"):
        mend_masks(check_masks(find_masks(folder)), ["specks"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [np.uint64, np.float64])
def test_numbers_that_would_wrap_are_told(folder: Path, kind: type) -> None:
    tifffile.imwrite(folder / "a.tif", NUMBERS.astype(kind) * kind(2**63))
    assert "too large" in check(folder / "a.tif").unreadable


def test_an_unreadable_image_is_no_fault_of_how_the_mask_reads(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    found = check(png(folder / "a.png", NUMBERS), tmp_path / "images")
    assert (kinds(found), found.objects, found.unreadable) == (["size"], 2, "")

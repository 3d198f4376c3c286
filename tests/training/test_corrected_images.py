import sys
from pathlib import Path
from subprocess import run

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.output_files import ENDINGS
from napari_unetseg.image import Image
from napari_unetseg.io import write_labels
from napari_unetseg.io.suffixes import IMAGE_SUFFIXES
from napari_unetseg.training.corrected_images import (
    _OTHER_ENDINGS,
    LABELS_ENDING,
    CorrectedImage,
    CorrectedImageError,
    plain_numbers,
    read_corrected_images,
    write_corrected_image,
)

RNG = np.random.default_rng(0)
LABELS = RNG.integers(-1, 5, (30, 40)).astype(np.int32)


@pytest.mark.parametrize(
    "image",
    [
        Image(RNG.integers(0, 60000, (30, 40)).astype(np.uint16), scale=(0.3, 0.4), unit="micrometer"),
        Image(RNG.integers(0, 255, (30, 40, 3)).astype(np.uint8), "YXC", rgb=True),
        Image(RNG.integers(0, 25500, (3, 30, 40)).astype(np.uint16), "CYX", rgb=True),
        Image(RNG.random((5, 30, 40)).astype(np.float32), "CYX"),
        Image(RNG.random((30, 40, 2)), "YXC"),
        Image(RNG.integers(-9, 9, (30, 40))),
        Image(RNG.random((30, 40)) > 0.5),
    ],
    ids=lambda image: f"{image.axes} {image.array.dtype}",
)
def test_what_is_written_is_read_back(image: Image, tmp_path: Path) -> None:
    path = write_corrected_image(tmp_path, CorrectedImage("field", image, LABELS))
    (found,) = read_corrected_images(tmp_path / "images", tmp_path / "masks")
    assert (found.name, found.path) == ("field", path)
    assert np.array_equal(found.labels, LABELS)
    assert np.array_equal(found.image.channels_first, image.channels_first)
    assert (found.image.rgb, found.image.scale, found.image.unit) == (image.rgb, image.scale, image.unit)
    assert np.array_equal(found.annotated, LABELS >= 0)


def test_names_of_layers_become_names_of_files_of_their_own(tmp_path: Path) -> None:
    image = CorrectedImage("plate 1/A:3", Image(np.zeros((30, 40), np.uint8)), LABELS)
    names = [write_corrected_image(tmp_path, image).name for _ in range(2)]
    assert names == ["plate 1_A_3.tif", "plate 1_A_3_2.tif"]
    assert len(read_corrected_images(tmp_path / "images", tmp_path / "masks")) == 2


def test_labels_find_their_images_by_name_and_images_without_labels_are_left_out(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "results"
    images.mkdir()
    for name in ("a", "b", "c"):
        iio.imwrite(images / f"{name}.png", np.zeros((30, 40), np.uint8))
    write_labels(labels / "b_labels.tif", np.maximum(LABELS, 0))
    iio.imwrite(labels / "c.png", np.maximum(LABELS, 0).astype(np.uint8))
    found = read_corrected_images(images, labels)
    assert [one.name for one in found] == ["b", "c"]
    assert all(one.annotated.all() for one in found)
    (alone,) = read_corrected_images(images / "a.png", labels / "c.png")
    assert alone.name == "a"


def test_labels_are_found_among_other_results_and_beside_their_images(tmp_path: Path) -> None:
    numbers = np.maximum(LABELS, 0).astype(np.uint8)
    for name in ("a.tif", "b.tif", "a_labels.tif", "a_labels.ome.tif", "a_confidence.tif", "a_overlay.png"):
        iio.imwrite(tmp_path / name, numbers if "labels" in name else np.zeros_like(numbers))
    (found,) = read_corrected_images(tmp_path, tmp_path)
    assert found.name == "a"
    assert found.path == tmp_path / "a.tif"
    assert np.array_equal(found.labels, numbers)


def test_every_result_that_may_be_read_as_an_image_is_known() -> None:
    stems = {f"_{Path(ending).stem}" for ending in ENDINGS.values() if Path(ending).suffix in IMAGE_SUFFIXES}
    assert stems == {LABELS_ENDING, *_OTHER_ENDINGS}


def write(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / name, array)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"other.tif": LABELS}, "no image of this name"),
        ({"a.tif": LABELS[:20]}, "must agree"),
        ({"a.tif": LABELS.astype(np.float32)}, "no label image"),
        ({"a.tif": np.full((30, 40), 2**32 - 1, np.uint32)}, "too large"),
        ({"a.tif": LABELS, "a_labels.tif": LABELS}, "same image"),
        ({"a.tif": LABELS, "a.tiff": LABELS}, "same name"),
        ({}, "there are no labels"),
    ],
)
def test_what_does_not_belong_together_is_refused(labels: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    write(tmp_path / "images", "a.tif", np.zeros((30, 40), np.uint8))
    (tmp_path / "labels").mkdir()
    for name, array in labels.items():
        write(tmp_path / "labels", name, array)
    with pytest.raises(CorrectedImageError, match=words):
        read_corrected_images(tmp_path / "images", tmp_path / "labels")


def test_stacks_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorrectedImageError, match="is a stack"):
        CorrectedImage("stack", Image(np.zeros((4, 30, 40), np.uint8), "ZYX"), LABELS)
    with pytest.raises(CorrectedImageError, match="is no folder"):
        read_corrected_images(tmp_path / "nowhere", tmp_path)


def test_neither_torch_nor_tifffile_is_loaded_before_something_is_read() -> None:
    code = (
        "import napari_unetseg.training.corrected_images, sys; sys.exit(bool({'torch', 'tifffile'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("numbers", [[9, 2**31 - 1], [2**20, 2**24]])
def test_large_numbers_become_small_ones(numbers: list[int], tmp_path: Path) -> None:
    labels = np.array([[-7, 0, numbers[0]], [0, *numbers]])
    assert plain_numbers(labels).tolist() == [[-1, 0, 1], [0, 1, 2]]
    for folder, pixels in (("images", np.ones((2, 3), np.uint8)), ("masks", labels.astype(np.int32))):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "field.tif", pixels)
    (found,) = read_corrected_images(tmp_path / "images", tmp_path / "masks")
    assert found.labels.tolist() == [[-1, 0, 1], [0, 1, 2]]


def test_numbers_beyond_int32_are_told_apart() -> None:
    labels = np.array([[0, 10**12, 2 * 10**12, 2**32 + 10**12]], np.uint64)
    assert plain_numbers(labels).tolist() == [[0, 1, 3, 2]]

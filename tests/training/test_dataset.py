from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from napari_unetseg.training.data_check import check_data
from napari_unetseg.training.dataset import (
    DatasetError,
    find_pairs,
    load_samples,
    object_diameters,
    pair_files,
    read_pair,
)
from napari_unetseg.zoo.card import Percentile


def test_pairs_are_sorted_and_know_their_kind(dataset: Path) -> None:
    pairs = find_pairs(dataset)
    assert [pair.stem for pair in pairs] == [f"field{number}" for number in range(8)]
    assert [pair.kind for pair in pairs[:2]] == ["bright", "dark"]


def test_without_an_index_all_images_are_of_one_kind(dataset: Path) -> None:
    (dataset / "index.csv").unlink()
    assert {pair.kind for pair in find_pairs(dataset)} == {"image"}


def test_a_sample_holds_what_training_needs(dataset: Path) -> None:
    grey, *_, rgb = load_samples(find_pairs(dataset), Percentile(low=0, high=100))
    assert grey.pixels.shape == (1, 64, 64)
    assert rgb.pixels.shape == (3, 64, 64)
    assert grey.pixels.min() == 0
    assert grey.pixels.max() == 1
    assert torch.equal(grey.targets[0] > 0, torch.from_numpy(grey.labels > 0))
    assert grey.diameters.size == len(np.unique(grey.labels)) - 1
    assert (grey.diameters > 7).all()
    assert (grey.diameters < 15).all()


def test_an_empty_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="images: there are no images"):
        find_pairs(tmp_path)


def test_missing_masks_are_named(dataset: Path) -> None:
    (dataset / "masks" / "field2.png").unlink()
    with pytest.raises(DatasetError, match=r"masks: 1 of 8 images have no mask \(field2\.png\)"):
        find_pairs(dataset)


def test_other_files_are_no_images(dataset: Path) -> None:
    (dataset / "images" / "notes.txt").touch()
    assert len(find_pairs(dataset)) == 8


def test_an_image_without_a_mask_is_paired_with_what_is_missing(dataset: Path) -> None:
    (dataset / "masks" / "field2.png").unlink()
    pairs = pair_files(dataset / "images", dataset / "masks", dataset / "index.csv")
    assert len(pairs) == 8
    assert pairs[2].mask == dataset / "masks" / "field2.png"
    assert pairs[2].kind == "bright"


def test_a_mask_may_be_called_as_a_result_is(dataset: Path) -> None:
    mask = dataset / "masks" / "field2.png"
    mask.rename(mask.with_name("field2_labels.png"))
    assert find_pairs(dataset)[2].mask.name == "field2_labels.png"
    assert check_data(dataset / "images", dataset / "masks").usable


def test_two_images_of_one_stem_are_refused(dataset: Path) -> None:
    (dataset / "images" / "field2.tif").touch()
    with pytest.raises(DatasetError, match=r"field2\.tif: field2\.png has the same stem"):
        find_pairs(dataset)


def test_an_index_without_its_columns_is_refused(dataset: Path) -> None:
    (dataset / "index.csv").write_text("name,sort\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"index\.csv: the columns 'stem' and 'kind'"):
        find_pairs(dataset)


def test_an_image_of_which_an_index_says_no_kind_is_of_none_in_particular(dataset: Path) -> None:
    text = "\ufeffstem,kind\nfield0\nfield1,\n\nfield2, dark\n"
    (dataset / "index.csv").write_text(text, encoding="utf-8")
    assert [pair.kind for pair in find_pairs(dataset)[:4]] == ["image", "image", "dark", "image"]


def test_an_index_that_cannot_be_read_is_named(dataset: Path) -> None:
    (dataset / "index.csv").write_bytes(b"stem,kind\nfield0,\xff\n")
    with pytest.raises(DatasetError, match=r"index\.csv: the file cannot be read"):
        find_pairs(dataset)


def test_a_mask_of_another_size_is_refused(dataset: Path) -> None:
    iio.imwrite(dataset / "masks" / "field0.png", np.zeros((10, 64), np.uint16))
    with pytest.raises(DatasetError, match=r"field0\.png: the mask has 10 x 64 pixels, its image 64 x 64"):
        read_pair(find_pairs(dataset)[0])


def test_a_mask_in_colour_is_refused(dataset: Path) -> None:
    iio.imwrite(dataset / "masks" / "field0.png", np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"field0\.png: .* is no label image"):
        read_pair(find_pairs(dataset)[0])


def test_parts_of_a_mask_of_one_value_are_measured_one_by_one() -> None:
    mask = np.zeros((20, 20), np.int32)
    mask[1:5, 1:5] = mask[10:14, 10:14] = 255
    np.testing.assert_allclose(object_diameters(mask), [np.sqrt(64 / np.pi)] * 2)
    numbered = np.where(np.arange(20)[:, np.newaxis] < 8, mask // 255, mask // 255 * 2)
    numbered[18, 18] = 1  # a part of object 1, not an object of its own
    np.testing.assert_allclose(object_diameters(numbered), np.sqrt(4 * np.array([17, 16]) / np.pi))

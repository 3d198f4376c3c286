from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_unetseg.io import read_image, read_label_image
from napari_unetseg.training.dataset import DatasetError
from napari_unetseg.training.training_recipe import TrainingRecipe
from napari_unetseg.training.validation_choice import ValidationChoice, choose_validation


def keep(dataset: Path, *numbers: int) -> None:
    """Leave of a data set only some images, of one kind."""
    (dataset / "index.csv").unlink()
    for folder in ("images", "masks"):
        for path in (dataset / folder).iterdir():
            if int(path.stem.removeprefix("field")) not in numbers:
                path.unlink()


@pytest.fixture
def choose(dataset: Path, recipe: TrainingRecipe, tmp_path: Path):
    def choose_in(listed: Path | None = None) -> ValidationChoice:
        return choose_validation(dataset, recipe, listed, tmp_path / "checkpoints")

    return choose_in


def test_where_images_differ_whole_groups_are_held_out(choose) -> None:
    choice = choose()
    assert {choice.groups[stem] for stem in choice.held}.isdisjoint(
        choice.groups[pair.stem] for pair in choice.pairs if pair.stem not in choice.held
    )
    assert choice.images == 8 - len(choice.held)
    assert choice.split == f"{len(choice.held)} images held out in whole groups of like images"


def test_of_few_images_one_is_held_out(dataset: Path, choose) -> None:
    keep(dataset, 0, 2, 4)
    choice = choose()
    assert len(choice.held) == 1
    assert choice.images == 2
    assert choice.split == "1 of 3 images held out, like the others, which flatters the scores"


def test_of_images_that_look_alike_some_are_held_out(dataset: Path, choose) -> None:
    for folder in ("images", "masks"):
        for number in range(1, 8):
            iio.imwrite(dataset / folder / f"field{number}.png", iio.imread(dataset / folder / "field0.png"))
    (dataset / "index.csv").unlink()
    choice = choose()
    assert choice.split == "1 of 8 images held out, like the others, which flatters the scores"


def test_an_image_without_objects_is_not_what_scores_rest_on(dataset: Path, choose) -> None:
    keep(dataset, 0, 2)
    empty = iio.imread(dataset / "masks" / "field2.png") * 0
    iio.imwrite(dataset / "masks" / "field2.png", empty)
    assert choose().held == {"field0"}
    iio.imwrite(dataset / "masks" / "field0.png", empty)
    with pytest.raises(DatasetError, match="no mask marks any object"):
        choose()


def test_of_a_single_image_a_quarter_is_held_out(dataset: Path, choose) -> None:
    keep(dataset, 0)
    image, labels = (
        read(dataset / folder / "field0.png").array
        for read, folder in zip((read_image, read_label_image), ("images", "masks"), strict=True)
    )
    choice = choose()
    assert choice.images == 1
    assert len(choice.held) == 1
    assert choice.split == "a quarter of the only image held out, which says little about other images"
    assert len(choice.pairs) == 4
    quarters = [(read_image(pair.image).array, read_label_image(pair.mask).array) for pair in choice.pairs]
    for whole, parts in zip((image, labels), zip(*quarters, strict=True), strict=True):
        np.testing.assert_array_equal(np.block([[parts[0], parts[1]], [parts[2], parts[3]]]), whole)
    assert choose().pairs == choice.pairs  # taken up again


def test_parts_of_which_nothing_is_annotated_are_left_out(dataset: Path, choose) -> None:
    keep(dataset, 0)
    labels = iio.imread(dataset / "masks" / "field0.png").astype(np.int32)
    labels[:32, :32] = -1
    (dataset / "masks" / "field0.png").unlink()
    tifffile.imwrite(dataset / "masks" / "field0.tif", labels)
    assert [pair.stem for pair in choose().pairs] == ["field0_01", "field0_10", "field0_11"]
    labels[:, :] = -1
    labels[40, 40] = 0
    tifffile.imwrite(dataset / "masks" / "field0.tif", labels)
    (dataset.parent / "checkpoints").rename(dataset.parent / "before")
    with pytest.raises(DatasetError, match="too little of a single image is annotated"):
        choose()


def test_a_single_image_that_is_too_small_is_refused(dataset: Path, choose) -> None:
    keep(dataset, 0)
    for folder in ("images", "masks"):
        path = dataset / folder / "field0.png"
        iio.imwrite(path, iio.imread(path)[:40])
    with pytest.raises(DatasetError, match=r"field0\.png.*too small"):
        choose()


def test_a_list_decides_and_must_leave_something(dataset: Path, choose, tmp_path: Path) -> None:
    listed = tmp_path / "held.txt"
    listed.write_text("field1\nfield2\n")
    choice = choose(listed)
    assert choice.held == {"field1", "field2"}
    assert choice.split == "2 images held out that were listed"
    listed.write_text("".join(f"field{number}\n" for number in range(8)))
    with pytest.raises(DatasetError, match=r"held\.txt: 8 of 8 .* nothing to learn from"):
        choose(listed)
    listed.write_text("")
    with pytest.raises(DatasetError, match=r"held\.txt: 0 of 8 .* nothing to score on"):
        choose(listed)

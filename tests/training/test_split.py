import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.training.dataset import DatasetError, find_pairs
from napari_unetseg.training.split import (
    cluster,
    describe_appearance,
    group_by_appearance,
    hold_out,
    read_validation_list,
)

# Three kinds: one of many small groups, one of two groups, one of a single group.
SIZES = {
    "many": [10, 8, 7, 5, 5, 5, 4, 3, 2, 1],
    "two": [12, 4],
    "one": [6],
}
GROUPS = {
    f"{kind}-{group}-{number}": f"{kind}-{group}"
    for kind, sizes in SIZES.items()
    for group, size in enumerate(sizes)
    for number in range(size)
}
KINDS = {stem: stem.split("-")[0] for stem in GROUPS}


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_held_out_whole(seed: int) -> None:
    held = hold_out(GROUPS, KINDS, fraction=0.15, seed=seed)
    touched = {GROUPS[stem] for stem in held}
    assert set(held) == {stem for stem, group in GROUPS.items() if group in touched}


@pytest.mark.parametrize("seed", range(5))
def test_every_divisible_kind_is_represented_and_trained_on(seed: int) -> None:
    counts = Counter(KINDS[stem] for stem in hold_out(GROUPS, KINDS, fraction=0.15, seed=seed))
    assert 0.15 * 50 <= counts["many"] <= 0.25 * 50
    assert counts["two"] == 4  # the smaller group; the other one would take too much
    assert counts["one"] == 0


def test_the_same_seed_holds_out_the_same_images() -> None:
    first, again, other = (hold_out(GROUPS, KINDS, 0.15, seed) for seed in (1, 1, 2))
    assert first == again == sorted(first)
    assert first != other


def test_like_rows_are_grouped_within_their_stratum() -> None:
    looks = np.array([[0.0, 0], [0.1, 0], [5, 5], [5.1, 5], [0, 0]])
    groups = cluster(looks, ["a", "a", "a", "a", "b"], distance=1)
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert groups[4] not in groups[:4]


def test_images_group_by_their_look(dataset: Path) -> None:
    images = dataset / "images"
    shutil.copy(images / "field0.png", images / "field2.png")  # of one kind
    shutil.copy(images / "field4.png", images / "field5.png")  # of two kinds
    groups = group_by_appearance(find_pairs(dataset), distance=0.5)
    assert groups["field0"] == groups["field2"]
    assert len({groups[f"field{number}"] for number in (0, 4, 5, 6, 7)}) == 5


def test_a_look_tells_colour_level_and_texture_apart() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(50, 200, (3, 40, 40)).astype(np.uint8)
    look = describe_appearance(image)
    assert look.shape == (12,)
    assert np.isfinite(describe_appearance(np.zeros((1, 40, 40), np.uint8))).all()
    assert np.abs(describe_appearance(image // 2) - look).max() > 0.5
    assert np.abs(describe_appearance(np.repeat(np.repeat(image, 4, 1), 4, 2)) - look)[8:].max() > 0.5


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_changes_little_of_a_look(odd: float) -> None:
    image = np.random.default_rng(0).normal(100, 20, (1, 40, 40)).astype(np.float32)
    look = describe_appearance(image)
    image[0, 20, 20] = odd
    np.testing.assert_allclose(describe_appearance(image), look, atol=0.02)
    assert np.isfinite(describe_appearance(np.full((1, 40, 40), odd, np.float32))).all()


def test_images_below_zero_have_a_look() -> None:
    image = np.random.default_rng(0).normal(-100, 20, (3, 40, 40)).astype(np.float32)
    assert np.isfinite(describe_appearance(image)).all()


def test_a_validation_list_is_read(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "held.txt"
    path.write_text("# held out\nfield3\n\nfield1\n", encoding="utf-8")
    assert read_validation_list(path, find_pairs(dataset)) == ["field1", "field3"]


def test_a_validation_list_of_other_data_is_refused(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "held.txt"
    path.write_text("field3\nfield99\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"held\.txt: 1 of 2 .*field99"):
        read_validation_list(path, find_pairs(dataset))
    with pytest.raises(DatasetError, match=r"none\.txt: .*cannot be read"):
        read_validation_list(tmp_path / "none.txt", find_pairs(dataset))

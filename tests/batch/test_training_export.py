"""What a review found right becomes a training set, and an export touches no file but its own."""

import csv

import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.folder_review import open_review
from napari_unetseg.batch.training_export import EXPORT_TABLE
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.io import read_image, read_label_image


@pytest.fixture
def review(save, results):
    for name, objects in (("a.tif", 1), ("b.npy", 2), ("c.tif", 3), ("d.tif", 4)):
        save(name, objects)
    review = open_review(results())
    by_name = {item.file.name: item for item in review.items}
    review.decide(by_name["a.tif"], "accepted")
    labels = read_label_image(by_name["b.npy"].labels_path).array
    review.fix(by_name["b.npy"], np.where(labels == 1, 0, labels))
    review.decide(by_name["c.tif"], "rejected")
    return review


def files(folder):
    return sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())


def test_accepted_and_fixed_images_are_exported_with_their_label_images(review, tmp_path, folder):
    exported = review.export(tmp_path / "set")
    assert (exported.folder, exported.images, exported.left_out) == (tmp_path / "set", 2, ())
    assert files(tmp_path / "set") == ["images/a.tif", "images/b.npy", "masks/a.tif", "masks/b.tif", EXPORT_TABLE]
    assert (tmp_path / "set/images/a.tif").read_bytes() == (folder / "a.tif").read_bytes()
    assert np.unique(read_label_image(tmp_path / "set/masks/b.tif").array).tolist() == [0, 2]
    with (tmp_path / "set" / EXPORT_TABLE).open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert [(row["decision"], row["objects"], row["model"]) for row in (rows["a"], rows["b"])] == [
        ("accepted", "1", "fake"),
        ("fixed", "1", "fake"),
    ]


def test_training_reads_what_was_exported(review, tmp_path):
    from napari_unetseg.training.dataset import find_pairs, read_pair

    review.export(tmp_path / "set")
    pairs = find_pairs(tmp_path / "set")
    assert [pair.stem for pair in pairs] == ["a", "b"]
    assert [len(np.unique(read_pair(pair)[1])) - 1 for pair in pairs] == [1, 1]


def test_a_further_export_brings_the_folder_up_to_date_and_leaves_what_is_not_its_own(review, tmp_path):
    review.export(tmp_path / "set")
    own = tmp_path / "set/images/mine.tif"
    own.write_bytes(b"mine")
    a, d = (next(item for item in review.items if item.file.name == name) for name in ("a.tif", "d.tif"))
    review.decide(a, None)
    review.decide(d, "accepted")
    assert review.export(tmp_path / "set").images == 2
    assert files(tmp_path / "set") == [
        *("images/b.npy", "images/d.tif", "images/mine.tif"),
        *("masks/b.tif", "masks/d.tif", EXPORT_TABLE),
    ]


def test_no_file_that_is_not_its_own_is_replaced(review, tmp_path):
    path = tmp_path / "set/images/a.tif"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(UnetsegError, match=r"a.tif: is no file of an earlier export"):
        review.export(tmp_path / "set")
    assert files(tmp_path / "set") == ["images/a.tif"]
    assert path.read_bytes() == b"mine"


def test_a_table_that_names_files_elsewhere_removes_none(review, tmp_path):
    victim = tmp_path / "victim.tif"
    victim.write_bytes(b"mine")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / EXPORT_TABLE).write_text(
        f"name,image_file,mask_file\nx,../victim.tif,images/../../victim.tif\ny,{victim},masks/y.tif\n"
    )
    review.export(folder)
    assert victim.read_bytes() == b"mine"


def test_an_export_after_one_that_was_stopped_knows_its_files(review, tmp_path):
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        review.export(tmp_path / "set", cancel=lambda: next(asked))
    assert any(name.startswith("images/") for name in files(tmp_path / "set"))
    assert review.export(tmp_path / "set").images == 2


def test_nothing_decided_is_nothing_to_learn_from(save, results, tmp_path):
    save("a.tif", 1)
    with pytest.raises(UnetsegError, match=r"no image is accepted or fixed yet. Review some first"):
        open_review(results()).export(tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_an_image_that_is_gone_is_left_out_and_told(review, tmp_path, folder):
    (folder / "a.tif").unlink()
    exported = review.export(tmp_path / "set")
    assert exported.images == 1
    ((file, reason),) = ((one.file.name, one.reason) for one in exported.left_out)
    assert file == "a.tif"
    assert "a.tif" in reason
    assert files(tmp_path / "set") == ["images/b.npy", "masks/b.tif", EXPORT_TABLE]


def test_an_image_that_was_replaced_is_left_out_and_told(review, tmp_path, folder):
    tifffile.imwrite(folder / "a.tif", np.zeros((9, 9), np.uint8))
    exported = review.export(tmp_path / "set")
    ((file, reason),) = [(one.file.name, one.reason) for one in exported.left_out]
    assert file == "a.tif"
    assert "changed since it was segmented" in reason
    assert files(tmp_path / "set") == ["images/b.npy", "masks/b.tif", EXPORT_TABLE]


def test_the_channel_that_was_segmented_is_exported_alone_with_its_pixel_size(folder, results, tmp_path):
    planes = np.full((2, 32, 32), 100, np.uint16)
    planes[1, 4:12, 4:12] = 900
    options = {"metadata": {"axes": "CYX", "unit": "um"}, "resolution": (4.0, 4.0)}
    tifffile.imwrite(folder / "a.tif", planes, imagej=True, **options)
    review = open_review(results(segment_options={"channel": 1, "threshold": 0.3}))
    review.decide(review.items[0], "accepted")
    review.export(tmp_path / "set")
    image = read_image(tmp_path / "set/images/a.tif")
    np.testing.assert_array_equal(image.array, planes[1])
    assert image.scale == pytest.approx((0.25, 0.25))
    assert image.unit == "micrometer"

"""Corrections reach all files of an image, and no run of the batch undoes them silently."""

import csv
import json

import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.corrected_results import ORIGINAL, compare_labels
from napari_unetseg.batch.folder_journal import Changes
from napari_unetseg.batch.folder_review import open_review
from napari_unetseg.batch.output_files import ALL, ENDINGS, ResultKind
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import read_geojson, read_image, read_label_image
from napari_unetseg.io.claims import Claims, claim_path

WRITTEN_ANEW = [kind for kind in ALL if kind is not ResultKind.CONFIDENCE]


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def corrected(labels):
    """Take the first object away, put the second and third together, and add a new one."""
    mended = labels.astype(np.int32)
    mended[mended == 1] = 0
    mended[mended == 3] = 2
    mended[24:28, 24:30] = 9
    return mended


@pytest.fixture
def review(save, results):
    save("a.tif", 5)
    return open_review(results(*ALL))


@pytest.fixture
def fixed(review):
    item = review.items[0]
    return review.fix(item, corrected(read_label_image(item.labels_path).array))


def content(item):
    return {kind: item.target.path(ENDINGS[kind]).read_bytes() for kind in ALL}


def test_what_changed_is_counted_in_objects():
    before = np.array([[1, 1, 0, 2, 2, 0, 3, 3, 0, 0, 7]])
    after = np.array([[4, 4, 0, 2, 0, 0, 0, 0, 0, 5, 6]])
    changes, unaltered = compare_labels(before, after)
    assert changes == Changes(before=4, after=4, added=1, removed=1, altered=1)
    assert unaltered == {4: 1, 6: 7}


def test_nothing_changed_in_an_image_that_is_the_same_but_for_numbers():
    labels = np.random.default_rng(0).integers(0, 9, (20, 20))
    numbers = np.array([0, 9, 8, 7, 6, 5, 4, 3, 2])
    changes, unaltered = compare_labels(labels, numbers[labels])
    assert changes == Changes(before=8, after=8)
    assert unaltered == {10 - number: number for number in range(1, 9)}


def test_all_files_are_those_of_the_corrected_labels(fixed):
    path = fixed.target.path
    labels = read_label_image(path("labels.tif")).array
    assert sorted(np.unique(labels)) == [0, 2, 4, 5, 9]
    assert [row["label"] for row in rows(path("table.csv"))] == ["2", "4", "5", "9"]
    assert {contour.label for contour in read_geojson(path("contours.geojson")).contours} == {2, 4, 5, 9}
    np.testing.assert_array_equal(read_label_image(path("labels.ome.tif")).array, labels)
    assert (read_image(path("overlay.png")).array[26, 24] != 100).any()
    assert fixed.decided.changes == Changes(before=5, after=4, added=1, removed=1, altered=1)
    assert (fixed.decision, fixed.count) == ("fixed", 4)
    assert set(fixed.decided.fixed) == set(WRITTEN_ANEW)


def test_the_label_image_tells_that_it_was_corrected_and_keeps_what_it_told(save, results):
    save("a.tif", 2)
    (item,) = open_review(results()).items

    def told():
        with tifffile.TiffFile(item.labels_path) as file:
            return json.loads(file.imagej_metadata["Info"])

    before = told()
    open_review(item.target.folder).fix(item, np.zeros((32, 32), np.int32))
    after = told()
    assert after.pop("corrected_by_hand")["removed"] == 2
    assert after == before


def test_pixel_sizes_stay(folder, results):
    array = np.full((32, 32), 900, np.uint16)
    array[16:] = 100
    tifffile.imwrite(folder / "a.tif", array, imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"})
    review = open_review(results())
    review.fix(review.items[0], np.eye(32, dtype=np.int32))
    labels = read_image(review.items[0].labels_path)
    assert (labels.scale, labels.unit) == ((0.5, 0.5), "micrometer")
    assert "area_um2" in rows(review.items[0].target.path("table.csv"))[0]


def test_without_a_confidence_map_unchanged_objects_keep_their_confidence(save, results):
    save("a.tif", 5)
    review = open_review(results())
    item = review.items[0]
    review.fix(item, corrected(read_label_image(item.labels_path).array))
    confidence = {row["label"]: row["confidence"] for row in rows(item.target.path("table.csv"))}
    assert confidence == {"2": "", "4": "0.9", "5": "0.9", "9": ""}
    # A second correction takes them from what the batch had written.
    again = review.item(item.file)
    review.fix(again, read_label_image(again.labels_path).array)
    confidence = {row["label"]: row["confidence"] for row in rows(item.target.path("table.csv"))}
    assert confidence == {"2": "", "4": "0.9", "5": "0.9", "9": ""}


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), lambda path: tifffile.imwrite(path, [[0.5]])])
def test_a_damaged_confidence_map_is_as_good_as_none(review, damage):
    item = review.items[0]
    path = item.target.path(ENDINGS[ResultKind.CONFIDENCE])
    damage(path)
    damaged = path.read_bytes()
    before = {row["label"]: row["confidence"] for row in rows(item.target.path("table.csv"))}
    item = review.fix(item, corrected(read_label_image(item.labels_path).array))
    after = {row["label"]: row["confidence"] for row in rows(item.target.path("table.csv"))}
    assert after == {"2": "", "4": before["4"], "5": before["5"], "9": ""}
    assert path.read_bytes() == damaged


def test_a_second_correction_counts_from_what_the_batch_had_written(review, fixed):
    labels = read_label_image(fixed.labels_path).array
    again = review.fix(fixed, np.where(np.isin(labels, (0, 9)), 0, 1))
    assert again.decided.changes == Changes(before=5, after=1, added=0, removed=1, altered=1)


def test_restoring_brings_back_every_byte_and_takes_the_decision_back(review):
    item = review.items[0]
    before = content(item)
    fixed = review.fix(item, corrected(read_label_image(item.labels_path).array))
    assert content(item)[ResultKind.CONFIDENCE] == before[ResultKind.CONFIDENCE]
    assert all(content(item)[kind] != before[kind] for kind in WRITTEN_ANEW)
    restored = review.restore(fixed)
    assert content(item) == before
    assert (restored.decided, restored.voided, restored.count) == (None, None, 5)
    assert list(item.target.folder.glob(f"*{ORIGINAL}")) == []
    assert open_review(item.target.folder).items == (restored,)


def test_what_was_never_corrected_cannot_be_restored(review):
    with pytest.raises(UnetsegError, match=r"a_labels.tif: the label image that it was before is not kept"):
        review.restore(review.items[0])


def test_a_run_leaves_corrections_and_says_so(fixed, service, results, folder):
    before = content(fixed)
    service.seen.clear()
    results(*ALL)
    assert service.seen == []
    assert content(fixed) == before
    assert open_review(folder).items[0].decision == "fixed"


def test_a_correction_of_the_same_length_is_no_damage(save, results, service):
    """A file of the same length and other content is taken for damaged, unless a review wrote it."""
    save("a.tif", 2)
    review = open_review(results())
    item = review.items[0]
    fixed = review.fix(item, read_label_image(item.labels_path).array[::-1].copy())
    assert fixed.decided.fixed[ResultKind.TABLE].size <= item.record.written[ResultKind.TABLE].size
    service.seen.clear()
    results()
    assert service.seen == []


@pytest.mark.parametrize("decision", ["accepted", "rejected", None])
def test_whatever_is_decided_later_a_run_leaves_corrections(review, fixed, results, service, decision):
    before = content(fixed)
    again = review.decide(fixed, decision)
    assert again.decided is None or again.decided.changes == fixed.decided.changes
    service.seen.clear()
    results(*ALL)
    assert service.seen == []
    assert content(fixed) == before
    assert review.decide(again, "fixed").decided.fixed == fixed.decided.fixed


def test_a_run_with_other_parameters_sets_corrections_aside(fixed, results):
    labels = read_label_image(fixed.labels_path).array
    results(*ALL, segment_options={"threshold": 0.95})
    aside = fixed.labels_path.with_name(fixed.labels_path.name + ".changed")
    np.testing.assert_array_equal(tifffile.imread(aside), labels)
    item = open_review(fixed.target.folder).items[0]
    assert (item.decision, item.voided.decision, item.count) == (None, "fixed", 0)
    # What was kept is of an earlier result, which it does not go back to.
    review = open_review(fixed.target.folder)
    with pytest.raises(UnetsegError, match="is not kept"):
        review.restore(review.items[0])


def test_a_reopened_review_judges_what_the_model_had_found(save, results):
    save("a.tif", 5, brightness=510)
    review = open_review(results())
    item = review.items[0]
    review.fix(item, np.zeros((32, 32), np.int32))
    again = open_review(item.target.folder).items[0]
    assert (again.doubt, again.reasons, again.objects) == (item.doubt, item.reasons, item.objects)
    assert again.count == 0


def test_labels_of_another_shape_are_refused(review):
    before = content(review.items[0])
    with pytest.raises(UnetsegError, match=r"a_labels.tif: has the shape \(32, 32\), the corrected labels \(4, 4\)"):
        review.fix(review.items[0], np.zeros((4, 4), np.int32))
    assert content(review.items[0]) == before


@pytest.mark.parametrize("number", [-1, 2**31 - 1])
def test_numbers_that_no_object_can_have_are_refused(review, number):
    item = review.items[0]
    before = content(item)
    labels = read_label_image(item.labels_path).array.astype(np.int64)
    labels[0, 0] = number
    with pytest.raises(UnetsegError, match="numbers from 0 to"):
        review.fix(item, labels)
    assert content(item) == before


def test_an_image_that_another_process_works_on_is_left_to_it(review):
    item = review.items[0]
    with Claims() as claims:
        assert claims.claim(claim_path(item.target.folder, item.target.stem))
        with pytest.raises(UnetsegError, match="another process works on this image"):
            review.fix(item, np.zeros((32, 32), np.int32))
    assert review.fix(item, np.zeros((32, 32), np.int32)).count == 0


def test_an_image_that_is_gone_is_told_and_no_file_is_touched(review):
    item = review.items[0]
    before = content(item)
    item.file.unlink()
    with pytest.raises(UnetsegError, match=r"a.tif"):
        review.fix(item, np.zeros((32, 32), np.int32))
    assert content(item) == before


def test_an_image_that_was_replaced_is_told_and_no_file_is_touched(review):
    item = review.items[0]
    before = content(item)
    tifffile.imwrite(item.file, np.zeros((9, 9), np.uint8))
    with pytest.raises(UnetsegError, match="changed since it was segmented"):
        review.fix(item, corrected(read_label_image(item.labels_path).array))
    assert content(item) == before


def test_planes_of_a_stack_are_corrected_together(folder, results, service):
    stack = np.full((3, 32, 32), 100, np.uint16)
    stack[:, 4:12, 4:12] = 900
    tifffile.imwrite(folder / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    labels = np.zeros(stack.shape, np.int32)
    labels[0, 4:12, 4:12], labels[2, 4:12, 4:12] = 1, 2
    review = open_review(_stack_results(folder, labels))
    (item,) = review.items
    assert item.count == 2
    mended = labels.copy()
    mended[2] = 0
    review.fix(item, mended)
    assert read_label_image(item.labels_path).array.tolist() == mended.tolist()
    assert [(row["label"], row["z"]) for row in rows(item.target.path("table.csv"))] == [("1", "0")]


def _stack_results(folder, labels):
    """Write results of a stack as a batch does; the service of these tests takes planes alone."""
    from dataclasses import fields

    from napari_unetseg.batch.folder_journal import FolderJournal, Record, WrittenFile
    from napari_unetseg.batch.output_files import ALWAYS, Target
    from napari_unetseg.batch.saving import save_results
    from napari_unetseg.io.hashing import hash_file
    from napari_unetseg.postprocessing.parameters import DecodeParameters
    from napari_unetseg.service import Segmentation
    from napari_unetseg.service.provenance import Provenance

    out, target = folder / "segmented", Target(folder / "segmented", "a")
    segmentation = Segmentation(
        image=read_image(folder / "a.tif"),
        probability=(labels[np.newaxis] > 0).astype(np.float32),
        heads=("foreground",),
        parameters=DecodeParameters(),
        labels=labels,
        provenance=Provenance(**dict.fromkeys(field.name for field in fields(Provenance))),
    )
    save_results(segmentation, target, ALWAYS)
    journal = FolderJournal(out)
    journal.add(
        Record(
            file=journal.key(folder / "a.tif"),
            sha256=hash_file(folder / "a.tif"),
            status="done",
            stem="a",
            results=ALWAYS,
            written={kind: WrittenFile.of(target.path(ENDINGS[kind])) for kind in ALWAYS},
            objects=2,
        )
    )
    return out


@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_a_correction_that_is_killed_midway_loses_nothing(save, results, monkeypatch, killed_after):
    """Neither what the model had found nor, once it is on the disk, what was corrected."""
    from napari_unetseg.batch import corrected_results, folder_review

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    save("a.tif", 2)
    review = open_review(results())
    item = review.items[0]
    before = read_label_image(item.labels_path).array
    mended = np.where(before == 1, 0, before)
    place = [(corrected_results, "write_table"), (corrected_results, "save_results"), (folder_review, "Decision")]
    with monkeypatch.context() as patches:
        patches.setattr(*place[killed_after], kill)
        with pytest.raises(Killed):
            review.fix(item, mended)
    results()
    folder = item.target.folder
    (now,) = open_review(folder).items
    assert now.decision is None
    kept = [tifffile.imread(path) for path in [*folder.glob("a_labels.tif*")]]
    assert any((labels == before).all() for labels in kept)
    if killed_after == 2:
        assert any((labels == mended).all() for labels in kept)

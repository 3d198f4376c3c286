"""A review orders the results of a folder, and keeps what was decided about each."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.folder_journal import JOURNAL_FILE, Changes, FolderJournal, Record
from napari_unetseg.batch.folder_review import ReviewCounts, open_review
from napari_unetseg.batch.output_files import ENDINGS, ResultKind
from napari_unetseg.batch.summary_tables import FILES
from napari_unetseg.bounded_text import json_lines
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.io import read_label_image


@pytest.fixture
def reviewed(save, results, folder):
    """Results of images of which the third is barely above the threshold and the second has nothing."""
    save("a.tif", 3)
    save("b.tif", 0)
    save("c.tif", 3, brightness=510)
    save("sick.tif", 1)
    return results()


def decisions(folder):
    return {item.file.name: item.decision for item in open_review(folder).items}


def test_the_most_doubtful_come_first_with_the_reasons(reviewed, folder):
    review = open_review(reviewed)
    assert [item.file for item in review.items] == [folder / name for name in ("c.tif", "b.tif", "a.tif")]
    faint, empty, sure = review.items
    assert faint.reasons[0] == "Low confidence: 3 of 3 objects."
    assert [one.label for one in faint.objects] == [1, 2, 3]
    assert faint.objects[0].bbox == (1, 1, 5, 5)
    assert empty.reasons == ("No object was found.",)
    assert (sure.reasons, sure.objects, sure.count) == ((), (), 3)
    assert faint.doubt > empty.doubt > sure.doubt


def test_an_image_that_failed_is_left_out_and_told(reviewed):
    (left_out,) = open_review(reviewed).left_out
    assert (left_out.file.name, left_out.reason) == ("sick.tif", "the network fell ill.")


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        (ResultKind.LABELS, b"", "a_labels.tif: cannot be read as a label image"),
        (ResultKind.LABELS, None, "a_labels.tif: cannot be read"),
        (ResultKind.TABLE, b"label\n", "a_table.csv: cannot be read as a table"),
        (ResultKind.TABLE, None, "a_table.csv: cannot be read"),
    ],
)
def test_a_result_that_cannot_be_read_is_left_out_and_told(reviewed, kind, content, said):
    path = reviewed / f"a_{ENDINGS[kind]}"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    review = open_review(reviewed)
    assert [item.file.name for item in review.items] == ["c.tif", "b.tif"]
    assert any(said in one.reason for one in review.left_out)


def test_the_folder_of_the_images_will_do(reviewed, folder):
    assert open_review(folder).folder == reviewed


def test_without_results_it_says_what_to_do(tmp_path):
    with pytest.raises(UnetsegError, match=r"no results to review. Segment the folder first"):
        open_review(tmp_path)
    with pytest.raises(UnetsegError, match="no such folder"):
        open_review(tmp_path / "nowhere")


def test_opening_tells_how_far_it_is_and_can_be_stopped(reviewed):
    seen = []
    open_review(reviewed, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, 8), (8, 8))
    with pytest.raises(Cancelled):
        open_review(reviewed, cancel=lambda: len(seen) > 1)


def test_decisions_are_kept_and_counted(reviewed):
    review = open_review(reviewed)
    c, b, a = review.items
    assert review.decide(a, "accepted").decision == "accepted"
    review.decide(b, "rejected")
    review.decide(c, "accepted")
    review.decide(review.item(c.file), None)
    assert decisions(reviewed) == {"a.tif": "accepted", "b.tif": "rejected", "c.tif": None}
    assert review.counts == ReviewCounts(total=3, accepted=1, fixed=0, rejected=1, waiting=1, voided=0)
    assert open_review(reviewed).item(a.file).decided == review.item(a.file).decided


def test_versions_without_reviews_read_the_journal_as_ever(reviewed):
    before = (reviewed / JOURNAL_FILE).read_bytes()
    review = open_review(reviewed)
    for item in review.items:
        review.decide(item, "accepted")
    after = (reviewed / JOURNAL_FILE).read_bytes()
    assert after.startswith(before)
    # As such a version reads: lines that are no record are left out.
    assert list(json_lines(after, Record)) == list(json_lines(before, Record))


def test_a_decision_that_was_torn_off_is_none_and_the_next_one_stands(reviewed):
    review = open_review(reviewed)
    c, b, _ = review.items
    review.decide(c, "accepted")
    journal = reviewed / JOURNAL_FILE
    whole = journal.read_bytes()
    review.decide(b, "rejected")
    torn = journal.read_bytes()[len(whole) :]
    for length in range(len(torn) - 1):
        journal.write_bytes(whole + torn[:length])
        assert decisions(reviewed) == {"a.tif": None, "b.tif": None, "c.tif": "accepted"}
    again = open_review(reviewed)
    again.decide(again.item(b.file), "accepted")
    assert decisions(reviewed) == {"a.tif": None, "b.tif": "accepted", "c.tif": "accepted"}


def test_a_decision_about_a_result_that_was_replaced_is_void_and_told(reviewed, results):
    review = open_review(reviewed)
    review.decide(review.items[0], "accepted")
    results(segment_options={"threshold": 0.6})
    again = open_review(reviewed)
    item = again.item(review.items[0].file)
    assert item.decision is None
    assert item.voided is not None
    assert item.voided.decision == "accepted"
    assert again.counts.voided == 1
    assert again.decide(item, "rejected").voided is None
    assert again.counts.voided == 0


def test_a_result_that_changed_while_it_was_looked_at_is_not_decided_about(reviewed):
    review = open_review(reviewed)
    item = review.items[0]
    tifffile.imwrite(item.labels_path, np.zeros((32, 32), np.uint16))
    with pytest.raises(UnetsegError, match=r"c_labels.tif: was changed meanwhile"):
        review.decide(item, "accepted")
    assert decisions(reviewed)["c.tif"] is None
    item.labels_path.unlink()
    with pytest.raises(UnetsegError, match=r"c_labels.tif: cannot be read"):
        review.decide(item, "accepted")


def test_labels_that_another_program_saved_are_told_and_may_be_called_fixed(reviewed):
    path = open_review(reviewed).items[-1].labels_path
    tifffile.imwrite(path, np.where(read_label_image(path).array == 1, 0, 5).astype(np.uint16))
    review = open_review(reviewed)
    item = review.items[-1]
    assert item.reasons[0] == "Its label image was changed by hand since it was written."
    review.decide(item, "fixed", changed=Changes(before=3, after=2, removed=1))
    (item,) = (item for item in open_review(reviewed).items if item.file == item.file and item.decision)
    assert (item.decision, item.count) == ("fixed", 2)


def test_several_people_see_what_the_others_decide(reviewed):
    mine, theirs = open_review(reviewed), open_review(reviewed)
    c, b, a = mine.items
    theirs.decide(a, "rejected")
    theirs.fix(theirs.item(b.file), read_label_image(a.labels_path).array)
    assert mine.counts.waiting == 3
    assert {item.file.name for item in mine.refresh()} == {"a.tif", "b.tif"}
    assert [mine.item(item.file).decision for item in (a, b, c)] == ["rejected", "fixed", None]
    assert mine.refresh() == ()
    # What I was shown of b is not what is there now.
    with pytest.raises(UnetsegError, match="was changed meanwhile"):
        mine.decide(b, "accepted")
    theirs.restore(theirs.item(b.file))
    mine.refresh()
    assert mine.decide(b, "accepted").decision == "accepted"
    # The last word counts.
    assert theirs.decide(theirs.item(a.file), "accepted").decision == "accepted"
    assert mine.decide(mine.item(a.file), "rejected").decision == "rejected"
    assert decisions(reviewed)["a.tif"] == "rejected"


def test_decisions_of_processes_that_write_at_once_all_arrive(save, results):
    for number in range(6):
        save(f"{number}.tif", 1)
    folder = results()
    program = (
        "import sys; from pathlib import Path\n"
        "from napari_unetseg.batch.folder_review import open_review\n"
        "review = open_review(Path(sys.argv[1]))\n"
        "print(flush=True); input()\n"
        "for item in review.items[int(sys.argv[2])::3]: review.decide(item, 'accepted')\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        process.stdout.readline()  # all have opened it
    for process in processes:
        process.communicate("\n", timeout=120)
        assert process.returncode == 0
    assert set(decisions(folder).values()) == {"accepted"}
    for line in (folder / JOURNAL_FILE).read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_summaries_tell_what_was_decided_and_count_corrected_objects(reviewed):
    review = open_review(reviewed)
    c, b, a = review.items
    review.decide(a, "accepted")
    review.fix(c, np.where(read_label_image(c.labels_path).array == 1, 0, 5))
    review.write_summaries()
    lines = (reviewed / FILES).read_text(encoding="utf-8").splitlines()
    columns = lines[0].split(",")
    told = {line.split(",")[0]: line.split(",") for line in lines[1:]}
    place = columns.index("review")
    assert [told[name][place] for name in ("a.tif", "b.tif", "c.tif")] == ["accepted", "", "fixed"]
    assert [told[name][columns.index("objects")] for name in ("a.tif", "b.tif", "c.tif")] == ["3", "0", "1"]
    assert b.decision is None


def test_spots_of_the_confidence_map_are_places_to_look_at(save, results, folder):
    path = save("a.tif", 2)
    image = tifffile.imread(path)
    image[20:25, 20:25] = 400
    tifffile.imwrite(path, image)
    review = open_review(results(ResultKind.CONFIDENCE))
    (item,) = review.items
    (spot,) = item.objects
    assert (spot.label, spot.bbox) == (0, (20, 20, 25, 25))
    confidence = item.target.path(ENDINGS[ResultKind.CONFIDENCE])
    confidence.write_bytes(confidence.read_bytes()[:200])
    (item,) = open_review(folder).items
    assert item.reasons == (f"Its confidence map cannot be read: {confidence}.",)


def test_a_warning_that_the_image_is_unlike_what_the_model_knows_raises_the_doubt(save, results):
    from napari_unetseg.postprocessing.fit import unlike_warning

    save("a.tif", 3)
    save("b.tif", 3)
    journal = FolderJournal(results())
    warning = unlike_warning("Fake nuclei")
    record = next(iter(journal.records.values()))
    journal.add(record.model_copy(update={"message": f"a remark {warning} another"}))
    warned, usual = open_review(journal.folder).items
    assert warned.reasons == (warning,)
    assert warned.doubt > usual.doubt


def test_what_is_segmented_again_meanwhile_is_no_longer_decided_about(save, results):
    save("a.tif", 5)
    review = open_review(results())
    review.decide(review.items[0], "accepted")
    results(segment_options={"threshold": 0.95})
    (item,) = review.refresh()
    assert (item.decision, item.voided.decision, item.count) == (None, "accepted", 0)
    assert review.counts == open_review(review.folder).counts
    assert review.refresh() == ()
    assert review.decide(item, "rejected").decision == "rejected"

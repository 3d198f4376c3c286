"""Files become results, a journal and two summaries, however often and however badly a run ends."""

import csv
import gc
import json
import os
import shutil
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unetseg.batch.background_writer import MAX_WAITING
from napari_unetseg.batch.find_images import find_images
from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.batch.output_files import ALL, ResultKind, with_always
from napari_unetseg.batch.saving import save_results
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.batch.summary_tables import FILES, OBJECTS
from napari_unetseg.errors import ComputerGone, ParameterError, UnetsegError
from napari_unetseg.io import read_image
from napari_unetseg.io.claims import claim_path
from napari_unetseg.io.file_owner import temporary_beside, this_process

OWN = {FILES, JOURNAL_FILE, OBJECTS}


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def standing(out):
    return {row["file"]: (row["status"], row["objects"]) for row in rows(out / FILES)}


def count_objects(out):
    found = {}
    for row in rows(out / OBJECTS):
        found[row["file"]] = found.get(row["file"], 0) + 1
    return found


def names(out):
    return sorted(path.name for path in out.iterdir() if path.name not in OWN)


@pytest.fixture
def run(service, folder, events):
    """Segment all images of the folder, and collect what is told."""

    def start(*, cancel=lambda: False, recursive=True, service=service, **wanted):
        files = tuple(find_images(folder, recursive=recursive))
        job = BatchJob(files, folder / "out", **wanted)
        events.clear()
        return segment_files(service, job, report=lambda event, counts: events.append(event), cancel=cancel)

    return start


def test_each_file_gets_its_results_and_both_summaries_count_them(run, save, folder):
    save("a.tif", 3)
    save("b.npy", 0)
    counts = run(results=(ResultKind.ROIS,))
    assert (counts.count("done"), counts.objects) == (2, 3)
    assert names(folder / "out") == sorted(
        f"{stem}_{ending}" for stem in "ab" for ending in ("labels.tif", "table.csv", "rois.zip")
    )
    assert read_image(folder / "out" / "a_labels.tif").array.max() == 3
    assert standing(folder / "out") == {"a.tif": ("done", "3"), "b.npy": ("done", "0")}
    summary = rows(folder / "out" / OBJECTS)
    assert [(row["file"], row["label"]) for row in summary] == [("a.tif", "1"), ("a.tif", "2"), ("a.tif", "3")]
    assert next(iter(summary[0])) == "file"
    assert [{k: v for k, v in row.items() if k != "file"} for row in summary] == rows(folder / "out" / "a_table.csv")


def test_what_is_told_of_a_file(run, save, events, folder):
    path = save("a.tif", 2)
    run()
    assert [(event.file, event.status, event.fraction) for event in events] == [
        (path, "running", 0.0),
        (path, "running", 0.5),
        (path, "running", 1.0),
        (path, "done", 0.0),
    ]
    assert events[-1].objects == 2
    assert events[-1].target.path("labels.tif") == folder / "out" / "a_labels.tif"


def test_the_fraction_is_that_of_the_file_and_not_of_the_batch(run, save, events):
    last = [save(name, 1) for name in ("a.tif", "b.tif", "c.tif")][-1]
    run()
    assert [event.fraction for event in events if event.file == last] == [0.0, 0.5, 1.0, 0.0]


def test_a_bad_file_is_told_and_the_others_go_on(run, save, folder, events):
    save("a.tif", 1)
    (folder / "b.png").write_text("no image")
    (folder / "c.tif").write_bytes(b"")
    save("sick.tif", 1)
    save("z.tif", 2)
    counts = run()
    assert (counts.count("done"), counts.count("failed")) == (2, 3)
    assert standing(folder / "out") == {
        "a.tif": ("done", "1"),
        "b.png": ("failed", ""),
        "c.tif": ("failed", ""),
        "sick.tif": ("failed", ""),
        "z.tif": ("done", "2"),
    }
    reported = {event.file.name: event for event in events if event.status == "failed"}
    assert reported["c.tif"].message.startswith("the file is empty")
    assert reported["sick.tif"].message == "the network fell ill."
    assert isinstance(reported["sick.tif"].error, UnetsegError)
    assert count_objects(folder / "out") == {"a.tif": 1, "z.tif": 2}


def test_what_is_done_is_skipped_and_failures_are_tried_again(run, save, folder, service, events):
    save("a.tif", 3)
    bad = folder / "b.tif"
    bad.write_bytes(b"")
    run()
    before = (folder / "out" / OBJECTS).read_bytes()
    service.seen.clear()
    counts = run()
    assert service.seen == []
    assert (counts.count("skipped"), counts.count("failed"), counts.objects) == (1, 1, 3)
    assert events[0].objects == 3
    assert (folder / "out" / OBJECTS).read_bytes() == before
    bad.unlink()
    save("b.tif", 2)
    assert run().count("done") == 1
    assert standing(folder / "out") == {"a.tif": ("done", "3"), "b.tif": ("done", "2")}


@pytest.mark.parametrize(
    "change",
    [
        {"segment_options": {"threshold": 0.6}},
        {"segment_options": {"diameter": 24.0}},
        {"segment_options": {"augment": True}},
        {"results": (ResultKind.ROIS,)},
        {"redo": True},
    ],
)
def test_what_decides_a_result_has_it_done_again(run, save, service, change):
    save("a.tif", 1)
    run()
    assert run(**change).count("done") == 1
    assert service.seen == ["a.tif", "a.tif"]


@pytest.mark.parametrize(
    "same",
    [
        {"segment_options": {"threshold": 0.5, "min_size": None}},
        {"results": (ResultKind.LABELS,)},
        {"segment_options": {"split": 0}},
    ],
)
def test_naming_a_default_changes_nothing(run, save, same):
    save("a.tif", 1)
    run()
    assert run(**same).count("skipped") == 1


def test_other_weights_have_it_done_again_and_another_description_has_not(run, save, service):
    save("a.tif", 1)
    run()
    described = service.card.model_copy(update={"description": "Bright things."})
    assert run(service=replace(service, card=described)).count("skipped") == 1
    weights = service.card.weights.model_copy(update={"sha256": "1" * 64})
    other = service.card.model_copy(update={"weights": weights})
    assert run(service=replace(service, card=other)).count("done") == 1


def test_a_file_with_other_content_is_done_again(run, save, folder):
    save("a.tif", 1)
    run()
    save("a.tif", 4)
    assert run().count("done") == 1
    assert count_objects(folder / "out") == {"a.tif": 4}


def test_the_same_content_with_another_date_is_not(run, save):
    path = save("a.tif", 1)
    run()
    path.touch()
    assert run().count("skipped") == 1


@pytest.mark.parametrize("lost", ["a_labels.tif", "a_table.csv"])
def test_a_result_that_is_missing_is_made_again(run, save, folder, lost):
    save("a.tif", 1)
    run()
    (folder / "out" / lost).unlink()
    assert run().count("done") == 1
    assert (folder / "out" / lost).exists()


def _cut(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("name", ["a_labels.tif", "a_table.csv", "a_rois.zip", "a_contours.geojson"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), _cut, lambda path: path.write_bytes(b"x" * 99)])
def test_a_result_that_was_damaged_is_made_again_and_only_that(run, save, folder, service, name, damage):
    save("a.tif", 3)
    save("b.tif", 1)
    results = (ResultKind.ROIS, ResultKind.CONTOURS)
    run(results=results)
    path = folder / "out" / name
    before = path.read_bytes()
    service.seen.clear()
    damage(path)
    counts = run(results=results)
    assert (counts.count("skipped"), counts.count("done")) == (1, 1)
    assert service.seen == ["a.tif"]
    assert path.read_bytes() == before
    assert not [name for name in names(folder / "out") if "changed" in name]
    assert run(results=results).count("skipped") == 2


def test_labels_corrected_by_hand_stay_and_are_told(run, save, folder, events, service):
    save("a.tif", 3)
    run()
    path = folder / "out" / "a_labels.tif"
    labels = tifffile.imread(path)
    labels[labels == 3] = 0
    tifffile.imwrite(path, labels)
    assert run().count("skipped") == 1
    assert service.seen == ["a.tif"]
    assert events[-1].changed == ("a_labels.tif",)
    assert events[-1].message == "Changed since it was written, and left as it is: a_labels.tif."
    np.testing.assert_array_equal(tifffile.imread(path), labels)


@pytest.mark.parametrize("again", [{"redo": True}, {"segment_options": {"threshold": 0.6}}, {"results": ("rois",)}])
def test_where_it_is_done_again_what_was_corrected_is_kept_under_another_name(run, save, folder, events, again):
    save("a.tif", 3)
    run()
    path = folder / "out" / "a_labels.tif"
    labels = np.zeros((32, 32), np.uint16)
    tifffile.imwrite(path, labels)
    (folder / "out" / "a_table.csv").unlink()
    assert run(**again).count("done") == 1
    aside = path.with_name("a_labels.tif.changed")
    np.testing.assert_array_equal(tifffile.imread(aside), labels)
    assert tifffile.imread(path).max() == 3
    assert events[-1].message == f"a_labels.tif was changed since it was written; that file is now {aside.name}."
    events.clear()
    assert run(**(again | {"redo": False})).count("skipped") == 1
    assert events[-1].changed == ()


def test_a_file_that_fails_meanwhile_forgets_not_what_was_written(run, save, folder):
    save("a.tif", 3)
    run()
    labels = np.zeros((32, 32), np.uint16)
    tifffile.imwrite(folder / "out" / "a_labels.tif", labels)
    content = (folder / "a.tif").read_bytes()
    (folder / "a.tif").write_bytes(b"")
    assert run().count("failed") == 1
    (folder / "a.tif").write_bytes(content)
    assert run().count("done") == 1
    np.testing.assert_array_equal(tifffile.imread(folder / "out" / "a_labels.tif.changed"), labels)


def _without_hashes(journal):
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        del line["written"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_journal_of_an_earlier_version_is_read_and_its_results_as_far_as_they_can_be(run, save, folder):
    for name in "abc":
        save(f"{name}.tif", 2)
    run()
    _without_hashes(folder / "out" / JOURNAL_FILE)
    assert run().count("skipped") == 3
    (folder / "out" / "a_labels.tif").write_bytes(b"")
    (folder / "out" / "b_table.csv").write_bytes(b"")
    counts = run()
    assert (counts.count("skipped"), counts.count("done")) == (1, 2)
    assert run().count("skipped") == 3


@pytest.mark.skipif(sys.platform != "linux", reason="Elsewhere an open file does not tell its name")
def test_the_journal_vouches_for_nothing_that_is_not_on_the_disk(run, save, folder, monkeypatch):
    synced, fsync = [], os.fsync

    def watch(number):
        fsync(number)
        journal = folder / "out" / JOURNAL_FILE
        synced.append(
            (str(Path(f"/proc/self/fd/{number}").readlink()), journal.exists() and journal.stat().st_size > 0)
        )

    monkeypatch.setattr(os, "fsync", watch)
    save("a.tif", 1)
    run()
    before_journal = [Path(name).name for name, has_line in synced if not has_line]
    assert [name.partition("a_")[2] for name in before_journal[:2]] == ["table.csv", "labels.tif"]
    assert before_journal[2:] == ["out"]


def test_a_journal_that_is_no_journal_any_more_is_refused_by_its_size(run, save, folder, monkeypatch):
    save("a.tif", 1)
    run()
    monkeypatch.setattr("napari_unetseg.batch.folder_journal.LARGEST_JOURNAL", 100)
    with pytest.raises(UnetsegError, match=r"segmentation_journal\.jsonl: is larger than"):
        run()


def test_what_killed_runs_left_is_swept_when_the_next_one_starts(run, save, folder):
    save("a.tif", 1)
    out = folder / "out"
    run()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    mine = temporary_beside(out / "a_labels.tif")
    left = out / mine.name.replace(f"-{os.getpid()}-", f"-{process.pid}-")
    for path in (mine, left):
        path.write_text("half")
    claim = claim_path(out, "a")
    claim.write_text(json.dumps({"pid": process.pid, "host": this_process().host}))
    assert run().count("skipped") == 1
    assert [path for path in out.iterdir() if path.name.startswith(".")] == [mine]


def test_a_name_that_another_process_uses_meanwhile_is_left_to_it(save, folder, service):
    files = (save("a.tif", 1), save("c.tif", 4))
    other = save("elsewhere/c.npy", 3)

    def read(path):
        if path.name == "a.tif":
            # Another process, which was given other files, finishes one that it calls "c" as well.
            job = BatchJob((other,), folder / "out")
            segment_files(replace(service, seen=[]), job, report=lambda event, counts: None)
        return read_image(path)

    job = BatchJob(files, folder / "out")
    counts = segment_files(service, job, report=lambda event, counts: None, read=read)
    assert counts.count("done") == 2
    assert count_objects(folder / "out") == {"a.tif": 1, "c.tif": 4, "elsewhere/c.npy": 3}
    assert read_image(folder / "out" / "c_labels.tif").array.max() == 3


def test_results_of_other_parameters_never_stay_beside_new_ones(run, save, folder):
    save("a.tif", 2, brightness=600)
    run(results=(ResultKind.CONTOURS,))
    assert len(json.loads((folder / "out" / "a_contours.geojson").read_text())["features"]) == 2
    run(segment_options={"threshold": 0.7})
    assert json.loads((folder / "out" / "a_contours.geojson").read_text())["features"] == []


def test_fewer_results_are_no_reason_to_do_it_again(run, save, folder):
    save("a.tif", 1)
    run(results=(ResultKind.ROIS,))
    assert run().count("skipped") == 1
    assert (folder / "out" / "a_rois.zip").exists()


def test_images_of_one_stem_never_share_results(run, save, folder):
    save("a.tif", 1)
    save("a.npy", 2)
    save("x/a.tif", 3)
    save("y/a.tif", 4)
    run()
    tables = [name for name in names(folder / "out") if name.endswith("table.csv")]
    assert sorted(len(rows(folder / "out" / name)) for name in tables) == [1, 2, 3, 4]
    assert count_objects(folder / "out") == {"a.npy": 2, "a.tif": 1, "x/a.tif": 3, "y/a.tif": 4}


def test_a_newcomer_of_the_same_stem_renames_nobody(run, save, folder):
    save("a.tif", 1)
    run()
    save("a.npy", 2)
    counts = run()
    assert (counts.count("skipped"), counts.count("done")) == (1, 1)
    assert names(folder / "out") == ["a_labels.tif", "a_npy_labels.tif", "a_npy_table.csv", "a_table.csv"]


def test_two_folders_may_share_one_folder_of_results(service, save, folder, tmp_path, events):
    first, second = save("x/a.tif", 1), save("y/a.tif", 2)
    for path in (first, second, first):
        segment_files(service, BatchJob((path,), tmp_path / "out"), report=lambda event, counts: events.append(event))
    assert events[-1].status == "skipped"
    assert count_objects(tmp_path / "out") == {"x/a.tif": 1, "y/a.tif": 2}


def test_images_and_results_may_move_together(run, save, folder, tmp_path, service, events):
    save("a.tif", 1)
    run()
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    segment_files(
        service, BatchJob((moved / "a.tif",), moved / "out"), report=lambda event, counts: events.append(event)
    )
    assert events[-1].status == "skipped"


def test_cancel_keeps_what_is_finished_and_the_next_run_does_the_rest(run, save, folder, service, events):
    for name in "abcd":
        save(f"{name}.tif", 2)
    counts = run(cancel=lambda: len(service.seen) >= 3)
    assert (counts.count("done"), counts.count("waiting")) == (2, 2)
    assert names(folder / "out") == ["a_labels.tif", "a_table.csv", "b_labels.tif", "b_table.csv"]
    assert standing(folder / "out") == {
        "a.tif": ("done", "2"),
        "b.tif": ("done", "2"),
        "c.tif": ("waiting", ""),
        "d.tif": ("waiting", ""),
    }
    assert count_objects(folder / "out") == {"a.tif": 2, "b.tif": 2}
    counts = run()
    assert (counts.count("skipped"), counts.count("done")) == (2, 2)
    assert count_objects(folder / "out") == dict.fromkeys(["a.tif", "b.tif", "c.tif", "d.tif"], 2)


def test_a_server_that_is_gone_is_not_asked_for_every_file_and_the_next_run_does_the_rest(run, save, folder, service):
    for name in "abcdefghij":
        save(f"{name}.tif", 1)

    def go_away(name):
        if Path(name).stem not in "ac":
            raise ComputerGone("http://lab:8001: nothing answers.")

    service.before = go_away
    with pytest.raises(ComputerGone, match="nothing answers"):
        run()
    states = [status for status, _ in standing(folder / "out").values()]
    # b alone brings nothing to an end: it may be the image that brought the server down.
    assert states == ["done", "failed", "done", *["failed"] * 4, *["waiting"] * 3]
    service.before = lambda name: None
    counts = run()
    assert (counts.count("skipped"), counts.count("done")) == (2, 8)


def test_an_interrupt_while_a_result_is_written_leaves_no_half_of_it(run, save, folder, monkeypatch):
    save("a.tif", 1)
    save("b.tif", 2)
    write = tifffile.imwrite

    def interrupt(path, *arguments, **options):
        write(path, *arguments, **options)
        if "b_labels" in str(path):
            raise KeyboardInterrupt

    monkeypatch.setattr(tifffile, "imwrite", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.undo()
    assert not [path for path in (folder / "out").iterdir() if path.name.startswith(".")]
    assert not (folder / "out" / "b_labels.tif").exists()
    assert standing(folder / "out") == {"a.tif": ("done", "1"), "b.tif": ("waiting", "")}
    counts = run()
    assert (counts.count("skipped"), counts.count("done")) == (1, 1)


def test_a_journal_that_was_torn_off_loses_one_file(run, save, folder):
    for name in "abc":
        save(f"{name}.tif", 1)
    run()
    journal = folder / "out" / JOURNAL_FILE
    journal.write_bytes(journal.read_bytes()[:-20])
    counts = run()
    assert (counts.count("skipped"), counts.count("done")) == (2, 1)
    assert run().count("skipped") == 3


@pytest.mark.parametrize(
    ("results", "parts"),
    [
        ((), {"measurements"}),
        ((ResultKind.ROIS,), {"contours", "measurements"}),
        ((ResultKind.OVERLAY, ResultKind.CONFIDENCE, ResultKind.OME_TIFF), {"measurements"}),
    ],
)
def test_what_the_files_are_written_from_is_asked_for_with_the_results(run, save, service, monkeypatch, results, parts):
    asked, iter_batch = [], service.iter_batch
    monkeypatch.setattr(
        service, "iter_batch", lambda images, **options: asked.append(options["also"]) or iter_batch(images, **options)
    )
    save("a.tif", 1)
    run(results=with_always(results))
    assert asked == [parts]


def test_pixels_of_finished_files_are_dropped(run, save, service, monkeypatch):
    for number in range(12):
        save(f"{number:02}.tif", 1)
    probabilities, alive = [], []

    def segment(image, options):
        gc.collect()
        alive.append(sum(reference() is not None for reference in probabilities))
        result = type(service)._segment(service, image, options)
        probabilities.append(weakref.ref(result.probability.base))
        return result

    monkeypatch.setattr(service, "_segment", segment)
    run()
    assert max(alive) <= MAX_WAITING


def test_kinds_that_a_stack_has_not_are_refused_before_the_network_runs(service, folder, events):
    np.save(folder / "a.npy", np.zeros((3, 16, 16), np.uint16))
    results = (ResultKind.CONTOURS, ResultKind.CONFIDENCE)
    job = BatchJob((folder / "a.npy",), folder / "out", results, read_options={"axes": "ZYX"})
    segment_files(service, job, report=lambda event, counts: events.append(event))
    assert [(event.status, event.message) for event in events] == [
        ("failed", "confidence files are of one plane; leave confidence out for stacks.")
    ]
    assert service.seen == names(folder / "out") == []


def test_the_network_goes_on_while_a_result_is_written(run, save, service, events, monkeypatch):
    for name in "abc":
        save(f"{name}.tif", 1)
    computed_next, order = threading.Event(), []
    service.before = lambda name: name == "b.tif" and computed_next.set()

    def write(segmentation, target, kinds, *more):
        # Ends only if the network comes to the next image meanwhile.
        assert computed_next.wait(60)
        order.append((target.stem, threading.current_thread() is threading.main_thread()))
        save_results(segmentation, target, kinds, *more)

    monkeypatch.setattr("napari_unetseg.batch.result_store.save_results", write)
    assert run().count("done") == 3
    assert order == [("a", False), ("b", False), ("c", False)]


def test_what_cannot_be_written_fails_alone_and_holds_no_pixels(run, save, folder, events, monkeypatch):
    for name in "abc":
        save(f"{name}.tif", 2)
    held = []

    def write(segmentation, target, kinds, *more):
        held.append(weakref.ref(segmentation))
        if target.stem == "b":
            raise UnetsegError("the disk is full.")
        save_results(segmentation, target, kinds, *more)

    monkeypatch.setattr("napari_unetseg.batch.result_store.save_results", write)
    counts = run()
    assert standing(folder / "out") == {"a.tif": ("done", "2"), "b.tif": ("failed", ""), "c.tif": ("done", "2")}
    assert [event.message for event in events if event.status == "failed"] == ["the disk is full."]
    assert (counts.count("done"), counts.count("failed")) == (2, 1)
    gc.collect()
    assert [reference() for reference in held] == [None, None, None]


def test_what_the_network_finished_is_written_when_the_run_is_interrupted(run, save, folder, service, monkeypatch):
    for name in "abc":
        save(f"{name}.tif", 1)

    def interrupt(name):
        if name == "b.tif":
            raise KeyboardInterrupt

    service.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        run()
    assert names(folder / "out") == ["a_labels.tif", "a_table.csv"]
    assert standing(folder / "out") == {"a.tif": ("done", "1"), "b.tif": ("waiting", ""), "c.tif": ("waiting", "")}


def test_reading_is_one_file_ahead(save, service, folder, events):
    files = tuple(save(f"{number}.tif", 1) for number in range(6))
    read = []

    def note(path):
        read.append(path)
        return read_image(path)

    ahead = []
    service.before = lambda name: ahead.append(len(read) - len(service.seen))
    segment_files(
        service, BatchJob(files, folder / "out"), report=lambda event, counts: events.append(event), read=note
    )
    assert read == list(files)
    assert all(0 <= number <= 2 for number in ahead)


def test_tables_of_grey_and_colour_images_go_into_one(run, save, folder):
    save("a.tif", 1)
    colours = np.full((32, 32, 3), 100, np.uint16)
    colours[4:9, 4:9] = 900
    tifffile.imwrite(folder / "b.tif", colours, photometric="rgb")
    run()
    grey, colour = rows(folder / "out" / OBJECTS)
    assert (grey["mean_intensity"], grey["mean_intensity_0"]) == ("900", "")
    assert (colour["mean_intensity"], colour["mean_intensity_0"]) == ("", "900")


def test_warnings_are_kept_with_the_file(run, save, folder):
    save("odd.tif", 1)
    run()
    assert rows(folder / "out" / FILES)[0]["message"] == "a remark"


def test_an_input_is_never_replaced(service, save, folder, events):
    files = (save("a.tif", 1), save("a_labels.tif", 2))
    before = files[1].read_bytes()
    segment_files(service, BatchJob(files, folder), report=lambda event, counts: events.append(event))
    assert [event.status for event in events if event.file == files[0]] == ["failed"]
    assert files[1].read_bytes() == before


def test_wrong_parameters_are_raised_and_write_nothing(run, save, folder):
    save("a.tif", 1)
    with pytest.raises(ParameterError, match="threshold"):
        run(segment_options={"threshold": 7})
    assert not (folder / "out").exists()


def test_a_folder_that_cannot_be_written_is_raised(service, save, folder, events):
    taken = save("a.tif", 1)
    with pytest.raises(UnetsegError, match="cannot be written"):
        segment_files(service, BatchJob((taken,), taken / "out"), report=lambda event, counts: events.append(event))


def test_no_files_are_done_at_once(service, folder):
    assert segment_files(service, BatchJob((), folder / "out"), report=print).total == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such names")
def test_a_name_that_is_no_utf8_stops_nobody(run, save, folder):
    save("a.tif", 2)
    out = folder / "out"
    for name in (b"zelle_\xfc.tif", b"zelle_\xe4.tif"):
        shutil.copy(folder / "a.tif", folder / os.fsdecode(name))
    counts = run(results=ALL)
    assert (counts.count("failed"), counts.count("done")) == (0, counts.total)
    assert {"zelle_%FC.tif", "zelle_%E4.tif"} <= set(standing(out))
    assert count_objects(out) == {"a.tif": 2, "zelle_%FC.tif": 2, "zelle_%E4.tif": 2}
    labels = [read_image(out / f"zelle_{name}_labels.tif").array for name in ("%FC", "%E4")]
    np.testing.assert_array_equal(*labels)
    again = run(results=ALL)
    assert again.count("skipped") == again.total == counts.total

"""The review of a folder in a real viewer, by its keys and by the mouse."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes
from qtpy.QtCore import QPoint, Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest

from napari_unetseg.batch.events import Event
from napari_unetseg.batch.folder_review import open_review
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.io import read_label_image
from napari_unetseg.plugin.autosave import edit_keeper
from napari_unetseg.plugin.autosave.autosave import Autosave
from napari_unetseg.plugin.autosave.edit_store import EditStore
from napari_unetseg.plugin.parts.messages import MessageArea
from napari_unetseg.plugin.review import review_words
from napari_unetseg.plugin.review.review_session import TRAINING_SET, ReviewSession
from napari_unetseg.plugin.review.reviewing import Reviewing
from napari_unetseg.service import SegmentationService

Press = Callable[[Qt.Key], None]
Finish = Callable[[], None]
Key = Qt.Key


def on_display(session: ReviewSession) -> str:
    assert session.image.item is not None
    return session.image.item.file.name


def decided(plate: Path) -> dict[str, str | None]:
    """What the folder's journal says, as another program reads it."""
    return {item.file.name: item.decision for item in open_review(plate).items}


def erase(session: ReviewSession, canvas: Any) -> None:
    """Erase with the brush, by real events of the mouse, from the middle of the canvas to the right."""
    labels = session.image.labels
    assert labels is not None
    labels.mode = "erase"
    labels.brush_size = 6
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(canvas, middle + QPoint(10, 0))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(10, 0))


def test_the_most_doubtful_image_is_shown_with_its_labels_and_a_box_around_the_doubtful_object(
    session: ReviewSession,
) -> None:
    assert on_display(session) == "b.tif"
    image, labels, boxes = session._viewer.layers
    assert isinstance(image, ImageLayer)
    assert isinstance(labels, Labels)
    assert isinstance(boxes, Shapes)
    np.testing.assert_array_equal(labels.scale, (0.5, 0.5))
    top_left, bottom_right = boxes.data[0].min(axis=0), boxes.data[0].max(axis=0)
    assert (top_left < (38, 30)).all()
    assert (bottom_right > (39, 31)).all()
    assert not labels.editable
    assert session.panel.objects.count() == len(boxes.data) == 1
    assert "small" in session.panel.objects.item(0).text()


def test_one_key_decides_and_goes_to_the_next_until_all_is_done(
    session: ReviewSession, press: Press, plate: Path
) -> None:
    press(Key.Key_Q)
    assert on_display(session) == "a.tif"
    assert decided(plate) == {"a.tif": None, "b.tif": "accepted", "c.tif": None}
    press(Key.Key_H)
    press(Key.Key_Q)
    assert decided(plate) == {"a.tif": "rejected", "b.tif": "accepted", "c.tif": "accepted"}
    assert session.panel.bar.text() == "3 of 3 reviewed"
    assert session.panel.counts.text() == "✓ 2   ✎ 0   ✕ 1"
    assert session.panel.message.text.text() == review_words.ALL_DONE


def test_keys_work_too_while_the_list_has_the_keyboard(session: ReviewSession, plate: Path, finish: Finish) -> None:
    session.panel.queue.setFocus()
    QTest.keyClick(session.panel.queue, Key.Key_H)
    finish()
    assert decided(plate)["b.tif"] == "rejected"


def test_undo_takes_decisions_back_one_by_one(session: ReviewSession, press: Press, plate: Path) -> None:
    press(Key.Key_Q)
    press(Key.Key_H)
    press(Key.Key_U)
    assert on_display(session) == "a.tif"
    assert decided(plate) == {"a.tif": None, "b.tif": "accepted", "c.tif": None}
    press(Key.Key_U)
    assert on_display(session) == "b.tif"
    assert set(decided(plate).values()) == {None}
    assert not session.panel.undo.isEnabled()


def test_labels_are_corrected_with_the_mouse_and_saved_with_all_results(
    session: ReviewSession, canvas: Any, press: Press, plate: Path
) -> None:
    press(Key.Key_Down)
    press(Key.Key_W)
    erase(session, canvas)
    assert session.image.changed
    press(Key.Key_W)
    labels = read_label_image(plate / "segmented" / "b_labels.tif").array
    assert labels.max() == 8
    assert not labels[36:44].any()
    with (plate / "segmented" / "b_table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert all(row["confidence"] for row in rows)  # of objects that nobody changed
    assert decided(plate)["b.tif"] == "fixed"
    assert "1 removed" in session.panel.message.text.text()
    assert on_display(session) == "a.tif"


def test_undo_of_a_correction_brings_the_labels_back(
    session: ReviewSession, canvas: Any, press: Press, plate: Path
) -> None:
    path = plate / "segmented" / "b_labels.tif"
    before = path.read_bytes()
    press(Key.Key_Down)
    press(Key.Key_W)
    erase(session, canvas)
    press(Key.Key_W)
    assert path.read_bytes() != before
    press(Key.Key_U)
    assert path.read_bytes() == before
    assert on_display(session) == "b.tif"
    assert session.image.labels is not None
    assert session.image.labels.data[38, 30]


def test_a_run_over_the_folder_leaves_what_was_corrected(
    session: ReviewSession, canvas: Any, press: Press, plate: Path, service: SegmentationService
) -> None:
    press(Key.Key_Down)
    press(Key.Key_W)
    erase(session, canvas)
    press(Key.Key_W)
    path = plate / "segmented" / "b_labels.tif"
    corrected = path.read_bytes()
    events: list[Event] = []
    files = tuple(sorted(plate.glob("*.tif")))
    job = BatchJob(files, plate / "segmented", segment_options={"min_size": 2})
    segment_files(service, job, report=lambda event, counts: events.append(event))
    assert {event.file.name: event.status for event in events}["b.tif"] == "skipped"
    assert path.read_bytes() == corrected


def test_delete_removes_the_object_of_the_list_and_napari_undoes_it(session: ReviewSession, press: Press) -> None:
    objects = session.panel.objects
    QTest.mouseClick(
        objects.viewport(), Qt.MouseButton.LeftButton, pos=objects.visualItemRect(objects.item(0)).center()
    )
    QTest.keyClick(objects, Key.Key_Delete)
    labels = session.image.labels
    assert labels is not None
    assert session.fixing
    assert not labels.data[38, 30]
    labels.undo()
    assert labels.data[38, 30]


def test_nobody_paints_by_mistake(session: ReviewSession, canvas: Any, press: Press) -> None:
    press(Key.Key_Down)
    labels = session.image.labels
    assert labels is not None
    before = np.array(labels.data)
    QTest.keyClick(canvas, Key.Key_E)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(labels.data, before)
    assert not session.image.changed


def test_corrections_are_kept_for_a_crash_until_they_are_saved(
    reviewing: Reviewing,
    session: ReviewSession,
    press: Press,
    canvas: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    store = EditStore(tmp_path / "edits")
    monkeypatch.setattr(edit_keeper, "shared_store", lambda: store)
    monkeypatch.setattr(edit_keeper, "PAUSE_MS", 0)
    autosave = Autosave(session._viewer, MessageArea())
    reviewing.settled.connect(autosave.saved)

    def kept() -> int:
        qtbot.waitUntil(lambda: not autosave.busy, timeout=60_000)
        return len(list((tmp_path / "edits").glob("*/*/index.json")))

    press(Key.Key_PageDown)
    press(Key.Key_PageUp)
    assert kept() == 0, "to look at images is no edit"
    press(Key.Key_W)
    erase(session, canvas)
    assert kept() == 1
    press(Key.Key_W)
    assert on_display(session) != "b.tif"
    assert kept() == 0
    autosave.stop()


def test_changed_labels_are_saved_or_discarded_before_anything_else(
    session: ReviewSession, canvas: Any, press: Press
) -> None:
    press(Key.Key_Down)
    press(Key.Key_W)
    erase(session, canvas)
    queue = session.panel.queue
    place = queue.visualRect(queue.queue.index(2, 0)).center()
    QTest.mouseClick(queue.viewport(), Qt.MouseButton.LeftButton, pos=place)
    press(Key.Key_PageDown)
    press(Key.Key_Q)
    assert on_display(session) == "b.tif"
    assert queue.current() is not None
    assert queue.current().file.name == "b.tif"
    assert session.image.changed
    assert "Save the corrections" in session.panel.message.text.text()
    session.panel.message.action.click()
    assert not session.fixing


def test_discarding_shows_what_is_on_the_disk(
    session: ReviewSession, canvas: Any, press: Press, finish: Finish
) -> None:
    press(Key.Key_Down)
    press(Key.Key_W)
    erase(session, canvas)
    session.panel.message.action.click()
    finish()
    assert on_display(session) == "b.tif"
    assert session.image.labels is not None
    assert session.image.labels.data[38, 30]
    assert not session.image.labels.editable


def test_saving_without_a_change_decides_nothing(session: ReviewSession, press: Press, plate: Path) -> None:
    press(Key.Key_W)
    press(Key.Key_W)
    assert session.panel.message.text.text() == review_words.UNCHANGED
    assert decided(plate)["b.tif"] is None


def test_the_view_goes_to_the_doubtful_object(session: ReviewSession, press: Press) -> None:
    camera = getattr(session._viewer, "scene", session._viewer).camera
    zoom = camera.zoom
    press(Key.Key_Down)
    np.testing.assert_allclose(camera.center[-2:], (38.5 * 0.5, 30.5 * 0.5))
    assert camera.zoom > zoom


def test_the_list_shows_what_is_left(session: ReviewSession, press: Press) -> None:
    press(Key.Key_Q)
    model, box = session.panel.queue.queue, session.panel.show_box
    box.setCurrentIndex(box.findData("open"))
    assert model.rowCount() == 2
    press(Key.Key_Q)
    assert model.rowCount() == 1
    box.setCurrentIndex(box.findData("accepted"))
    assert model.rowCount() == 2


def test_pictures_have_the_outlines_of_the_objects(session: ReviewSession) -> None:
    picture = session.panel.thumbnails.picture(session.image.item.file)  # type: ignore[union-attr]
    assert picture is not None
    assert picture.shape == (48, 64, 3)
    assert (picture[4, 4:12] != picture[4, 4:12, :1]).any()  # a colour
    assert (picture[7, 7] == 255).all()


def test_an_image_decided_twice_counts_as_the_last_word(session: ReviewSession, press: Press, plate: Path) -> None:
    press(Key.Key_Q)
    press(Key.Key_PageUp)
    assert on_display(session) == "b.tif"
    press(Key.Key_H)
    assert decided(plate)["b.tif"] == "rejected"


def test_what_another_person_decided_is_shown(session: ReviewSession, press: Press, plate: Path) -> None:
    other = open_review(plate)
    other.decide(next(item for item in other.items if item.file.name == "c.tif"), "rejected")
    press(Key.Key_Q)
    assert session.panel.bar.text() == "2 of 3 reviewed"


def test_an_image_that_cannot_be_read_is_told(
    session: ReviewSession, press: Press, plate: Path, finish: Finish
) -> None:
    (plate / "c.tif").write_text("no image")
    session.panel.thumbnails.forget()
    queue = session.panel.queue
    queue.setCurrentIndex(queue.queue.index(queue.queue.row_of(plate / "c.tif") or 0, 0))
    finish()
    assert "c.tif" in session.panel.message.text.text()
    assert not session.panel.accept.isEnabled()


def test_labels_removed_by_hand_are_no_longer_decided_about(session: ReviewSession) -> None:
    session._viewer.layers.remove(session.image.labels)
    assert session.image.item is None
    assert not session.panel.accept.isEnabled()
    assert len(session._viewer.layers) == 0


def test_the_report_is_written_and_opened(
    session: ReviewSession, press: Press, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    press(Key.Key_Q)
    session.panel.report.click()
    finish()
    (url,) = opened
    assert "b.tif" in Path(url.toLocalFile()).read_text(encoding="utf-8")


def test_what_was_accepted_becomes_a_training_set_that_improves_the_model(
    reviewing: Reviewing, session: ReviewSession, press: Press, plate: Path, finish: Finish
) -> None:
    assert not session.panel.improve.isEnabled()
    press(Key.Key_Q)
    asked: list[tuple[str, str]] = []
    reviewing.improve_requested.connect(lambda folder, model: asked.append((folder, model)))
    session.panel.improve.click()
    finish()
    folder = plate / "segmented" / TRAINING_SET
    assert asked == [(str(folder), session.review.items[0].record.decided_by["model"])]  # type: ignore[union-attr]
    assert [path.stem for path in (folder / "images").iterdir()] == ["b"]
    assert len(list((folder / "masks").iterdir())) == 1


def test_closing_the_dock_gives_viewer_and_keys_back(
    reviewing: Reviewing, session: ReviewSession, press: Press, plate: Path
) -> None:
    press(Key.Key_Q)
    viewer = session._viewer
    reviewing.stop()
    assert len(viewer.layers) == 0
    assert not set(viewer.keymap)
    assert "Review" not in viewer.window.dock_widgets
    assert decided(plate)["b.tif"] == "accepted"


def test_closing_the_dock_leaves_labels_that_were_not_saved(
    reviewing: Reviewing, session: ReviewSession, canvas: Any, press: Press
) -> None:
    press(Key.Key_Down)
    press(Key.Key_W)
    erase(session, canvas)
    reviewing.stop()
    assert [layer.name for layer in session._viewer.layers][:2] == ["b", "b labels"]


def test_a_folder_without_results_is_told(session: ReviewSession, tmp_path: Path, finish: Finish) -> None:
    session.open(tmp_path)
    finish()
    assert "no results to review" in session.panel.message.text.text()
    assert len(session._viewer.layers) == 0
    assert not session.panel.accept.isEnabled()


def correct_elsewhere(plate: Path, name: str) -> None:
    """Another person removes the first object of an image."""
    other = open_review(plate)
    labels = read_label_image(other.item(plate / name).labels_path).array
    other.fix(other.item(plate / name), np.where(labels == 1, 0, labels))


def test_what_another_person_corrects_is_shown_before_it_is_decided_about(
    session: ReviewSession, press: Press, plate: Path
) -> None:
    correct_elsewhere(plate, "a.tif")
    press(Key.Key_Q)  # about b; a is next, which was read before
    assert on_display(session) == "a.tif"
    assert session.image.labels is not None
    assert 1 not in session.image.labels.data
    press(Key.Key_Q)
    assert decided(plate)["a.tif"] == "accepted"


def test_labels_that_another_person_corrects_meanwhile_are_not_replaced(
    session: ReviewSession, canvas: Any, press: Press, plate: Path, finish: Finish
) -> None:
    press(Key.Key_W)
    erase(session, canvas)
    correct_elsewhere(plate, "b.tif")
    assert session.review is not None
    session.review.refresh()
    session.save()
    finish()
    assert "changed meanwhile" in session.panel.message.text.text()
    assert session.fixing
    assert session.image.changed
    labels = read_label_image(plate / "segmented" / "b_labels.tif").array
    assert sorted(np.unique(labels)) == [0, *range(2, 10)]

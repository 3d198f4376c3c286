"""Scenes of microscopes' files as images of a batch."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unetseg.batch.contents import hash_image
from napari_unetseg.batch.events import Event
from napari_unetseg.batch.find_images import find_images
from napari_unetseg.batch.folder_journal import FolderJournal
from napari_unetseg.batch.folder_review import open_review
from napari_unetseg.batch.output_files import ResultKind, plan_targets
from napari_unetseg.batch.places import short_name
from napari_unetseg.batch.scenes import choose_scenes, scenes_within
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_label_image

NAMES = ("Overview", "Series 1", "Series 2", "2", "Series 10", "a, b")


def squares(number: int, depth: int = 0) -> NDArray[np.uint16]:
    """An image with this many bright squares of 4 x 4 pixels."""
    image = np.full((32, 32), 100, np.uint16)
    for place in range(number):
        y, x = 8 * (place // 4) + 1, 8 * (place % 4) + 1
        image[y : y + 4, x : x + 4] = 900
    return np.stack([image] * depth) if depth else image


@pytest.fixture
def cells(folder: Path, write_czi: Callable[..., Path]) -> Path:
    return write_czi(folder / "cells.czi", squares(1), squares(2), squares(5))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        ("Series 2", [2]),
        ("series 2", [2]),
        ("Series*", [1, 2, 4]),
        ("1", [1]),
        ("2", [3]),
        ("series 10; 0 ,0", [0, 4]),
        ("*", [0, 1, 2, 3, 4, 5]),
        ("a? b", [5]),
    ],
)
def test_scenes_are_chosen_by_name_before_number_before_pattern(chosen: str, numbers: list[int]) -> None:
    assert choose_scenes(NAMES, chosen, Path("a.lif")) == numbers


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [("Series 1", [2]), ("Series 2", [1, 3]), ("series*", [2]), ("S*2", [1, 3]), ("1", [1]), ("a/Series 2", [1])],
)
def test_a_series_in_a_folder_is_called_without_it_where_no_scene_has_that_name(
    chosen: str, numbers: list[int]
) -> None:
    names = ("a/1", "a/Series 2", "Series 1", "b/Series 2", "b/Series 1")
    assert choose_scenes(names, chosen, Path("a.lif")) == numbers


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("Series 3", "no scene 'Series 3'. There are 0: Overview"),
        ("0,17", "no scene '17'"),
        (" , ", "no scene is named"),
    ],
)
def test_a_word_that_is_no_scene_is_told(chosen: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        choose_scenes(NAMES, chosen, Path("a.lif"))


def test_a_file_is_its_scenes_and_a_path_into_it_one(cells: Path, write_czi: Callable[..., Path]) -> None:
    scenes = [cells / f"Scene {number}" for number in range(3)]
    assert scenes_within(cells) == scenes
    assert scenes_within(cells, "2,Scene 0") == [scenes[0], scenes[2]]
    assert scenes_within(cells / "scene 1") == scenes_within(cells / "1") == [scenes[1]]
    assert scenes_within(cells / "*[02]") == [scenes[0], scenes[2]]
    assert short_name(scenes[1]) == "cells.czi/Scene 1"
    with pytest.raises(ImageError, match="no scene 'Scene 7'"):
        scenes_within(cells / "Scene 7")
    one = write_czi(cells.with_name("one.czi"), squares(1))
    assert scenes_within(one) == scenes_within(one, "0") == scenes_within(one / "0") == [one]


def test_a_file_that_cannot_be_opened_is_left_to_who_reads_it(folder: Path) -> None:
    (folder / "bad.czi").write_bytes(b"no czi file")
    assert scenes_within(folder / "bad.czi", "0") == [folder / "bad.czi"]
    assert scenes_within(folder / "none.czi") == [folder / "none.czi"]


def test_results_are_called_after_file_and_scene(cells: Path, tmp_path: Path, write_czi: Callable[..., Path]) -> None:
    other = write_czi(cells.parent / "deep" / "cells.czi", squares(1), squares(2))
    alone = write_czi(cells.parent / "alone.czi", squares(1))
    first, second = scenes_within(cells)[0], scenes_within(other)[0]
    beside = plan_targets([first, second, alone], None)
    assert [(target.folder.parent, target.stem) for target in beside.values()] == [
        (cells.parent, "cells_Scene 0"),
        (cells.parent / "deep", "cells_Scene 0"),
        (cells.parent, "alone"),
    ]
    together = plan_targets([first, second], tmp_path / "out")
    assert [target.stem for target in together.values()] == ["plate_cells_Scene 0", "deep_cells_Scene 0"]
    # As that of another kind of file, which need not be there for that.
    (cells.parent / "cells_Scene 0.tif").touch()
    clashing = plan_targets([first, cells.parent / "cells_Scene 0.tif"], tmp_path / "out")
    assert [target.stem for target in clashing.values()] == ["cells_czi_Scene 0", "cells_Scene 0_tif"]


def test_a_batch_does_each_scene_once(
    service: object, cells: Path, save: Callable[..., Path], events: list[Event], write_czi: Callable[..., Path]
) -> None:
    save("a.tif", 3)
    files = [scene for file in find_images(cells.parent) for scene in scenes_within(file)]
    assert len(files) == 4
    job = BatchJob(tuple(files), cells.parent / "out", (ResultKind.OVERLAY,))
    segment_files(service, job, report=lambda event, counts: events.append(event))  # type: ignore[arg-type]
    assert {short_name(event.file): event.objects for event in events if event.status == "done"} == {
        "a.tif": 3,
        "cells.czi/Scene 0": 1,
        "cells.czi/Scene 1": 2,
        "cells.czi/Scene 2": 5,
    }
    assert read_label_image(job.output / "cells_Scene 2_labels.tif").array.max() == 5  # type: ignore[operator]
    objects, summary = (
        rows(cells.parent / "out/segmentation_objects.csv"),
        rows(cells.parent / "out/segmentation_files.csv"),
    )
    assert [(row["file"], row["scene"]) for row in summary] == [
        ("a.tif", ""),
        *(("cells.czi", f"Scene {number}") for number in range(3)),
    ]
    assert [row["scene"] for row in objects] == ["", "", "", "Scene 0", *["Scene 1"] * 2, *["Scene 2"] * 5]
    assert {row["area_um2"] for row in objects if row["scene"]} == {"4"}
    review = open_review(cells.parent / "out")
    assert {short_name(item.file) for item in review.items} == {short_name(file) for file in files}

    events.clear()
    segment_files(service, job, report=lambda event, counts: events.append(event))  # type: ignore[arg-type]
    assert [event.status for event in events] == ["skipped"] * 4
    write_czi(cells, squares(1), squares(7), squares(5), squares(6))  # a file that changed is done again, all of it
    events.clear()
    segment_files(service, job, report=lambda event, counts: events.append(event))  # type: ignore[arg-type]
    assert [event.objects for event in events if event.status == "done"] == [1, 7, 5]


def test_all_planes_of_a_scene_are_segmented(service: object, folder: Path, write_czi: Callable[..., Path]) -> None:
    from napari_unetseg.io import read_image

    path = write_czi(folder / "stack.czi", squares(1), squares(2, depth=3))
    image = read_image(scenes_within(path)[1])
    assert (image.axes, image.array.shape, image.scale, image.channels) == ("ZYX", (3, 32, 32), (0.5, 0.5), ("DAPI",))


def test_a_damaged_file_fails_alone_and_says_why(service: object, cells: Path, events: list[Event]) -> None:
    bad = cells.with_name("bad.czi")
    bad.write_bytes(cells.read_bytes()[:300])
    files = tuple(scene for file in (bad, bad / "Scene 0", cells) for scene in scenes_within(file))
    counts = segment_files(
        service,  # type: ignore[arg-type]
        BatchJob(files, cells.parent / "out"),
        report=lambda event, counts: events.append(event),
    )
    assert counts.count("done") == 3
    failed = {event.file: event.message for event in events if event.status == "failed"}
    assert failed.keys() == {bad, bad / "Scene 0"}
    assert all(message.startswith("cannot be read as an image") for message in failed.values())


def test_a_package_that_is_missing_is_named(
    service: object, cells: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "napari_unetseg.io.microscope.czi", raising=False)
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    cells = cells.rename(cells.with_name("unseen.czi"))
    (file,) = scenes_within(cells)
    segment_files(
        service,  # type: ignore[arg-type]
        BatchJob((file,), cells.parent / "out"),
        report=lambda event, counts: events.append(event),
    )
    assert [event.message for event in events if event.status == "failed"] == [
        'CZI files need one more package. Install it: pip install "napari-unetseg[czi]".'
    ]
    assert FolderJournal(cells.parent / "out").record(file).status == "failed"  # type: ignore[union-attr]


def test_of_a_leica_project_its_files_do_not_count_again(folder: Path) -> None:
    for name in ("p/a.xlef", "p/b.lof", "p/Metadata/b.xlif", "c.lof"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    found = find_images(folder, recursive=True)
    assert [path.relative_to(folder).as_posix() for path in found] == ["c.lof", "p/a.xlef"]
    assert find_images(folder / "p", "*.lof") == [folder / "p/b.lof"]


def test_a_folder_of_pixels_is_no_folder_of_images(folder: Path) -> None:
    for name in ("a.oif", "a.oif.files/s_C001.tif", "b/c.vsi", "b/_c_/stack1/frame_t.tif", "b/d.tif"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    found = find_images(folder, recursive=True)
    assert [path.relative_to(folder).as_posix() for path in found] == ["a.oif", "b/c.vsi", "b/d.tif"]
    before = hash_image(folder / "a.oif")
    assert hash_image(folder / "a.oif" / "1") != before
    (folder / "a.oif.files/s_C001.tif").write_bytes(b"others")
    (folder / "a.oif.files/s_C002.tif").write_bytes(b"others")
    assert hash_image(folder / "a.oif") != before

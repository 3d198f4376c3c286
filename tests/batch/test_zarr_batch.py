"""OME-Zarr in a batch: what is large goes block by block, parts are done elsewhere, and contents are recognised."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_unetseg.batch.contents import hash_image, list_result
from napari_unetseg.batch.folder_journal import FolderJournal
from napari_unetseg.batch.output_files import FieldPlace, ResultKind
from napari_unetseg.batch.parts import PartOutcome
from napari_unetseg.batch.places import address, as_path, is_url
from napari_unetseg.batch.plates import plate_status
from napari_unetseg.batch.segment_files import BatchJob, segment_files, segment_part
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.ome_zarr.images import open_image
from napari_unetseg.io.ome_zarr.labels import open_labels


def write_image(path: Path, objects: int = 2) -> Path:
    pixels = np.full((32, 64), 100, np.uint16)
    for number in range(objects):
        pixels[2:6, 8 * number + 1 : 8 * number + 5] = 900
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", data=pixels, chunks=(16, 16))
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return path


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take images of more than 1,000 pixels for large, and 32 of a row for a block."""
    monkeypatch.setattr("napari_unetseg.batch.saving._LARGEST_PLANE", 1000)
    monkeypatch.setattr("napari_unetseg.batch.zarr_results.BLOCK_SIDE", 32)


@pytest.fixture
def run(folder: Path, events):
    def segment(service: Any, *files: Path, **options: Any) -> Any:
        job = BatchJob(files, folder / "out", **options)
        return segment_files(service, job, report=lambda event, _: events.append(event))

    return segment


@pytest.mark.usefixtures("large")
def test_a_large_image_goes_on_where_it_was_stopped(run, block_service, folder: Path, events) -> None:
    image, service = write_image(folder / "a.zarr", 5), block_service(stops=True)
    assert run(service, image).count("waiting") == 1
    assert open_image(image).label_names == ()
    assert run(service, image).count("done") == 1
    assert service.blocks == [0, 32]
    labels = open_labels(image / "labels" / "fake")
    assert labels.arrays[0][3, 2::8].tolist() == [1, 2, 3, 4, 5, 0, 0, 0]
    assert labels.table()["area_px"].tolist() == [16] * 5
    assert np.isnan(labels.table()["solidity"]).all()
    assert [path.name for path in (image / "labels").iterdir() if path.name.startswith(".unetseg")] == []
    assert [event.fraction for event in events if event.status == "running"] == [0, 0.5, 0, 0.5, 1]
    assert (events[-1].objects, events[-1].message) == (5, "a word")
    left = image / "labels" / ".unetseg-job-fake"  # as a run leaves it that is killed before it has removed it
    left.mkdir()
    assert run(service, image).count("skipped") == 1
    assert not left.exists()
    assert run(service, image, redo=True).count("done") == 1
    assert service.blocks == [0, 32] * 2


@pytest.mark.usefixtures("large")
def test_blocks_stay_if_a_result_cannot_be_written_at_the_end(run, block_service, folder: Path, monkeypatch) -> None:
    image, service = write_image(folder / "a.zarr"), block_service()

    def refuse(*_: object) -> None:
        raise UnetsegError("the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("napari_unetseg.batch.result_store.save_block_results", refuse)
        assert run(service, image).count("failed") == 1
    assert run(service, image).count("done") == 1
    assert service.blocks == [0, 32]


@pytest.mark.usefixtures("large")
def test_what_a_large_image_does_not_have_is_told_before_the_network_runs(
    run, block_service, folder: Path, events
) -> None:
    service = block_service()
    run(service, write_image(folder / "a.zarr"), results=(ResultKind.ROIS,))
    assert "leave rois out" in events[-1].message
    assert service.blocks == []


@pytest.mark.usefixtures("large")
def test_parts_are_done_by_others_and_what_is_large_by_the_one_who_leads(
    run, block_service, folder: Path, save, events
) -> None:
    files = (write_image(folder / "large.zarr"), save("x/a.tif", 1), save("y/a.tif", 2))
    service, elsewhere, asked = block_service(), block_service(), []

    class Others:
        def run_parts(self, parts, finished, cancel) -> None:
            for part in parts:
                asked.append([path.name for path in part.job.files])
                outcome: PartOutcome = segment_part(elsewhere, part)
                finished(outcome)

    job = BatchJob(files, folder / "out")
    counts = segment_files(service, job, report=lambda event, _: events.append(event), distributor=Others())
    assert (counts.count("done"), counts.objects) == (3, 5)
    assert (elsewhere.seen, elsewhere.blocks, service.seen, service.blocks) == (["a.tif"] * 2, [], [], [0, 32])
    assert asked == [["large.zarr"], ["a.tif"], ["a.tif"]]
    # The names that the whole batch has, and one summary of it.
    assert {path.name for path in (folder / "out").glob("*_table.csv")} == {
        "large_table.csv",
        "x_a_table.csv",
        "y_a_table.csv",
    }
    assert len((folder / "out" / "segmentation_files.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("forgets", ["another folder", "no journal", "no stamp"])
def test_labels_that_somebody_changed_are_kept_whoever_replaces_them(
    run, block_service, folder: Path, events, request, is_large: bool, forgets: str
) -> None:
    if is_large:
        request.getfixturevalue("large")
    image, service = write_image(folder / "a.zarr", 5), block_service()
    run(service, image)
    labels = zarr.open_group(image / "labels" / "fake", mode="r+", use_consolidated=False)
    if forgets == "no stamp":
        own = dict(labels.attrs["napari-unetseg"])
        del own["stamp"]
        labels.attrs["napari-unetseg"] = own
    else:
        labels["0"][3, 2] = 7
    other = folder / "other"
    if forgets == "no journal":
        (folder / "out" / "segmentation_journal.jsonl").unlink()
        other = folder / "out"
    for _ in range(2):  # what is new is replaced in its turn, as nobody changed that
        job = BatchJob((image,), other, redo=True)
        assert segment_files(service, job, report=lambda event, _: events.append(event)).count("done") == 1
    assert sorted(path.name for path in (image / "labels").iterdir() if path.is_dir()) == ["fake", "fake.changed"]
    assert open_labels(image / "labels" / "fake").arrays[0][3, 2] == 1
    assert open_labels(image / "labels" / "fake.changed").arrays[0][3, 2] == (1 if forgets == "no stamp" else 7)
    assert sum("fake.changed" in event.message for event in events) == 1


@pytest.mark.parametrize("is_changed", [False, True])
def test_labels_beside_an_image_are_kept_as_well_if_somebody_changed_them(
    run, service: Any, folder: Path, is_changed: bool
) -> None:
    image = write_image(folder / "a.zarr")
    for _ in range(2):
        assert run(service, image, beside=True).count("done") == 1
        (folder / "out" / "segmentation_journal.jsonl").unlink()
        if is_changed:
            store = zarr.open_group(folder / "out" / "a_labels.ome.zarr", mode="r+", use_consolidated=False)
            store["labels/fake"].attrs["note"] = "mine"
    assert len(list((folder / "out").glob("*.changed"))) == is_changed


def test_an_image_is_the_same_whatever_labels_are_in_it(folder: Path) -> None:
    image = write_image(folder / "a.zarr")
    before = hash_image(image)
    group = zarr.open_group(image, mode="a")
    group.create_group("labels/x").create_array("0", data=np.ones((4, 4)))
    said = json.loads((image / "zarr.json").read_text())
    (image / "zarr.json").write_text(json.dumps({**said, "consolidated_metadata": {"metadata": {"labels": {}}}}))
    (image / ".unetseg-claim-0").touch()
    assert hash_image(image) == before
    chunk = next(path for path in (image / "0").rglob("*") if path.name.isdigit() and path.is_file())
    os.utime(chunk, ns=(1, 1))
    changed = hash_image(image)
    group.attrs["more"] = 1
    assert len({before, changed, hash_image(image)}) == 3
    size, listed = list_result(image)
    chunk.write_bytes(b"another")
    assert (list_result(image)[0] < size, list_result(image)[1] != listed) == (True, True)


def test_a_url_goes_through_a_batch_as_it_is(tmp_path: Path) -> None:
    url = "https://lab.org/data/a.ome.zarr"
    path = as_path(url)
    assert (is_url(path), address(path), is_url(tmp_path), is_url(Path("C:/a.tif"))) == (True, url, False, False)
    journal = FolderJournal(tmp_path)
    assert (journal.key(path), journal.path(url)) == (url, path)


def test_a_plate_says_how_its_fields_stand(run, folder: Path, service: Any) -> None:
    plate = folder / "p.zarr"
    places = {
        write_image(plate / well / field): FieldPlace(plate=plate, well=well, field=field)
        for well, field in (("A01", "0"), ("A01", "sick"), ("B02", "0"))
    }
    first = list(places)
    run(service, *first[:2], places=places, beside=True)
    status = plate_status(places, folder / "out")
    assert [(one.status, one.objects) for one in status.values()] == [("done", 2), ("failed", None), ("waiting", None)]
    assert "fell ill" in status[first[1]].message
    assert status[first[0]].target.result(ResultKind.OME_ZARR) == folder / "out" / "p_A01_0_labels.ome.zarr"

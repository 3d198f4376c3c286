"""Label images in OME-Zarr: pixels of all levels, and what readers are told."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from tests.io.ome_zarr.written_labels import (
    LABELS,
    SIDE,
    TABLE,
    attributes,
    image_store,
    labelled,
    write_blocks,
)

from napari_unetseg.errors import ImageError, UnetsegError
from napari_unetseg.io import read_image, read_label_image
from napari_unetseg.io.ome_zarr.label_creation import create_labels
from napari_unetseg.io.ome_zarr.labels import labels_in, open_labels
from napari_unetseg.io.ome_zarr.packing import pack

VERSIONS = pytest.mark.parametrize("version", ["0.4", "0.5"])


@VERSIONS
def test_labels_lie_over_their_image_at_every_level(tmp_path: Path, version: str) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    labels = labelled(store, version, table=TABLE, provenance={"model": "nuclei", "unknown": np.nan})
    assert labels.axes == "TZYX"
    for level, array in enumerate(labels.arrays):
        np.testing.assert_array_equal(array[0], LABELS[:, :: 2**level, :: 2**level])
    assert labels.scale == (1, 2, 0.5, 0.25)
    (image,) = (attributes(store).get("ome") or attributes(store))["multiscales"]
    (own,) = labels.attributes["multiscales"]
    without_channel = [
        {**step, step["type"]: [step[step["type"]][at] for at in (0, 2, 3, 4)]}
        for data in image["datasets"]
        for step in data["coordinateTransformations"]
    ]
    assert [step for data in own["datasets"] for step in data["coordinateTransformations"]] == without_channel
    assert [axis["name"] for axis in own["axes"]] == ["t", "z", "y", "x"]
    assert labels.attributes["image-label"]["source"] == {"image": "../../"}
    assert labels.record == {"model": "nuclei", "unknown": None}
    read = read_label_image(labels.path)
    np.testing.assert_array_equal(read.array, LABELS)
    assert (read.axes, read.scale, read.unit) == ("ZYX", (0.5, 0.25), "micrometer")


@VERSIONS
def test_a_table_comes_back_as_it_was(tmp_path: Path, version: str) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    labels = labelled(store, version, table=TABLE)
    back = open_labels(labels.path).table()
    assert list(back) == list(TABLE)
    for name, values in TABLE.items():
        np.testing.assert_array_equal(back[name], values)
    # What other readers know of it: an object without a value has none, as JSON knows no NaN.
    stated = labels.attributes["image-label"]["properties"]
    assert stated[0] == {"label-value": 1, "area_px": 1200, "area_um2": 150.0}
    assert stated[2] == {"label-value": 70_000, "area_px": 638}


def test_objects_with_a_row_in_each_plane_are_no_properties(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    table = {"label": np.array([1, 3, 3]), "z": np.array([0, 0, 1]), "area_px": np.array([9, 8, 7])}
    labels = labelled(store, "0.5", table=table)
    assert "properties" not in labels.attributes["image-label"]
    assert labels.table()["z"].tolist() == [0, 0, 1]


def test_a_table_in_a_file_is_found_from_the_labels(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    labels = labelled(store, "0.5", table_file=tmp_path / "out" / "a_objects.csv")
    assert labels.table_file == "../../../out/a_objects.csv"
    assert labels.table() == {}


def test_properties_of_another_program_are_a_table(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    path = Path(labelled(store, "0.5").path)
    group = zarr.open_group(path, mode="r+")
    said = group.attrs.asdict()
    said["ome"]["image-label"]["properties"] = [
        {"label-value": 1, "area": 4.5, "class": "a"},
        {"label-value": 3, "class": "b"},
    ]
    group.attrs.put(said)
    table = open_labels(path).table()
    assert table["label"].tolist() == [1, 3]
    np.testing.assert_array_equal(table["area"], [4.5, np.nan])
    assert table["class"].tolist() == ["a", "b"]


def test_colours_are_of_all_objects_or_refused(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    table = {"label": np.array([1, 70_000])}
    with pytest.raises(ValueError, match="1 of the objects have no colour"):
        labelled(store, "0.5", table=table, colours={1: (1, 0, 0, 1)})
    assert labels_in(store) == ()
    labels = labelled(store, "0.5", table=table, colours={1: (1, 0, 0, 1), 70_000: (0, 0.2, 0, 1)})
    assert labels.attributes["image-label"]["colors"][1] == {"label-value": 70_000, "rgba": [0, 51, 0, 255]}
    assert labels.colours == {1: (1, 0, 0, 1), 70_000: (0, 0.2, 0, 1)}


@VERSIONS
def test_readers_do_not_know_of_unfinished_labels_and_a_run_goes_on_with_them(tmp_path: Path, version: str) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    begun = create_labels(store, "nuclei", read_image(store), block_side=SIDE)
    begun.write_block((1,), (slice(0, 64), slice(0, 64)), LABELS[1, :64, :64])
    assert labels_in(store) == ()
    with pytest.raises(ImageError):
        read_label_image(begun.path)
    again = open_labels(begun.path)
    assert not again.is_finished
    np.testing.assert_array_equal(again.read((1,), (slice(32, 64), slice(0, 32))), LABELS[1, 32:64, :32])
    assert LABELS[1, 32:64, :32].any()
    write_blocks(again, LABELS)
    left = Path(begun.path, "0", "c.0123456789abcdef.partial")
    left.touch()
    assert again.finish().is_finished
    assert not left.exists()
    assert labels_in(store) == (str(Path(begun.path)),)
    np.testing.assert_array_equal(read_label_image(begun.path).array, LABELS)


@VERSIONS
def test_any_region_is_read(tmp_path: Path, version: str) -> None:
    labels = labelled(image_store(tmp_path / "a.zarr", version), version)
    region = (slice(13, 69), slice(30, 90))
    found = labels.read((2,), region)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, LABELS[2][region])


@VERSIONS
def test_runs_of_different_names_do_not_lose_each_other(tmp_path: Path, version: str) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    begun = [create_labels(store, f"n{number}", read_image(store), block_side=SIDE) for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda labels: labels.finish(), begun))
    assert {Path(path).name for path in labels_in(store)} == {f"n{number}" for number in range(6)}
    assert not list(store.rglob(".unetseg*"))


@pytest.mark.filterwarnings("ignore:Consolidated metadata:UserWarning")
@VERSIONS
def test_labels_are_seen_by_readers_that_believe_consolidated_metadata(tmp_path: Path, version: str) -> None:
    plate = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=2 if version == "0.4" else 3)
    plate.create_group("A/1")
    store = image_store(tmp_path / "p.zarr" / "A" / "1" / "0", version)
    zarr.consolidate_metadata(store)
    zarr.consolidate_metadata(tmp_path / "p.zarr")
    labelled(store, version, table=TABLE)
    for path, inner in ((store, ""), (tmp_path / "p.zarr", "A/1/0/")):
        group = zarr.open_group(path, mode="r", use_consolidated=True)
        said = group[f"{inner}labels"].attrs.asdict()
        assert (said.get("ome") or said)["labels"] == ["nuclei"]
        np.testing.assert_array_equal(group[f"{inner}labels/nuclei/0"][0], LABELS)
        assert group[f"{inner}0"].ndim == 5


def test_the_list_of_another_program_is_kept(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    labels = zarr.open_group(store, mode="r+").create_group("labels")
    labels.attrs["ome"] = {"labels": ["theirs"], "version": "0.5"}
    labelled(store, "0.5")
    assert attributes(store / "labels")["ome"] == {"labels": ["theirs", "nuclei"], "version": "0.5"}


@VERSIONS
def test_a_packed_store_is_read_like_the_folder(tmp_path: Path, version: str) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    labelled(store, version, table=TABLE)
    archive = pack(store)
    assert archive.name == "a.zarr.zip"
    (path,) = labels_in(archive)
    labels = open_labels(path)
    np.testing.assert_array_equal(labels.arrays[0][0], LABELS)
    assert labels.table()["label"].tolist() == TABLE["label"].tolist()
    np.testing.assert_array_equal(read_image(archive).array, np.asarray(read_image(store).array))


def test_what_is_no_label_image_is_refused_in_words(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    with pytest.raises(ImageError, match=r"a\.zarr: this is no label image"):
        open_labels(store)
    with pytest.raises(ImageError, match=r"b\.zarr"):
        open_labels(tmp_path / "b.zarr")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    begun = create_labels(store, "nuclei", read_image(store), block_side=SIDE)
    (store / "labels" / "nuclei" / "0" / "c").write_text("a file where zarr wants a folder")
    with pytest.raises(UnetsegError, match=r"nuclei: cannot be written \("):
        begun.write_block((0,), (slice(0, 32), slice(0, 32)), np.ones((32, 32), np.int32))


def test_metadata_are_written_whole(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    labelled(store, "0.5", table=TABLE)
    said = json.loads((store / "labels" / "nuclei" / "zarr.json").read_text())["attributes"]
    assert set(said) == {"ome", "napari-unetseg"}
    # A run that was killed after it had finished its labels does so once more.
    open_labels(store / "labels" / "nuclei").finish(table=TABLE)
    assert json.loads((store / "labels" / "nuclei" / "zarr.json").read_text())["attributes"] == said
    assert set(said["ome"]) == {"version", "multiscales", "image-label"}

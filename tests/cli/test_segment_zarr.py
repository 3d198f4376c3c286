"""`napari-unetseg segment` on OME-Zarr images and plates, with a model whose answer is known."""

import csv
import shutil

import numpy as np
import pytest
import zarr

from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.images import open_image
from napari_unetseg.io.ome_zarr.labels import open_labels

FORMATS = {"0.4": 2, "0.5": 3}


def squares(count):
    """The first ones of three bright squares, and the labels that they have."""
    labels = np.zeros((40, 48), np.int32)
    for label, (y, x) in enumerate([(4, 5), (6, 30), (25, 12)][:count], start=1):
        labels[y : y + 9, x : x + 8] = label
    return np.where(labels, 900, 100).astype(np.uint16), labels


def state(group, version, said):
    """Write metadata where a version has them."""
    if version == "0.4":
        group.attrs.update(said)
    else:
        group.attrs["ome"] = {"version": version, **said}


@pytest.fixture
def write_image():
    def write(path, pixels, version="0.4"):
        group = zarr.open_group(path, mode="a", zarr_format=FORMATS[version])
        datasets = []
        for level, stride in enumerate((1, 2)):
            group.create_array(str(level), data=pixels[::stride, ::stride], chunks=(32, 32))
            scale = {"type": "scale", "scale": [0.5 * stride] * 2}
            datasets.append({"path": str(level), "coordinateTransformations": [scale]})
        axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
        stated = {"version": "0.4"} if version == "0.4" else {}
        state(group, version, {"multiscales": [{**stated, "axes": axes, "datasets": datasets}]})
        return path

    return write


@pytest.fixture
def write_plate(write_image):
    def write(path, version="0.4"):
        """Two wells of two fields, with one and two squares."""
        plate = zarr.open_group(path, mode="a", zarr_format=FORMATS[version])
        wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "B/3", "rowIndex": 1, "columnIndex": 1}]
        said = {"rows": [{"name": "A"}, {"name": "B"}], "columns": [{"name": "1"}, {"name": "3"}], "wells": wells}
        state(plate, version, {"plate": {"version": "0.4", **said}})
        for well in wells:
            group = plate.create_group(well["path"])
            state(group, version, {"well": {"images": [{"path": "0"}, {"path": "1"}]}})
            for field in (0, 1):
                write_image(path / well["path"] / str(field), squares(field + 1)[0], version)
        return path

    return write


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("version", FORMATS)
def test_labels_go_into_the_image_and_are_done_once(call, write_image, bright_model, tmp_path, version):
    pixels, truth = squares(3)
    image = write_image(tmp_path / "cells.ome.zarr", pixels, version)
    run = call("segment", image, "--model", bright_model)
    assert run.exit_code == 0, run.output
    assert open_image(image).label_names == ("bright",)
    labels = open_labels(image / "labels" / "bright")
    np.testing.assert_array_equal(labels.arrays[0], truth)
    np.testing.assert_array_equal(labels.arrays[1], truth[::2, ::2])
    assert labels.record["model"] == "bright"
    assert {path.name for path in (tmp_path / "segmented").iterdir()} == {
        *("cells_table.csv", "segmentation_files.csv", "segmentation_journal.jsonl", "segmentation_objects.csv"),
    }
    assert [row["area_um2"] for row in rows(tmp_path / "segmented" / "cells_table.csv")] == ["18"] * 3
    again = call("segment", image, "--model", bright_model)
    assert "done before, 3 objects" in again.stdout
    # Another level is another result, which takes its place.
    smaller = call("segment", image, "--model", bright_model, "--level", "1 um")
    assert smaller.exit_code == 0, smaller.output
    assert open_labels(image / "labels" / "bright").arrays[0].shape == (20, 24)


def test_a_chunk_that_is_gone_is_written_again_and_others_labels_are_left_alone(
    call, write_image, bright_model, tmp_path
):
    pixels, truth = squares(3)
    image = write_image(tmp_path / "a.zarr", pixels)
    words = ("segment", image, "--model", bright_model, "--label-name", "mine")
    assert call(*words).exit_code == 0
    next(
        path for path in (image / "labels" / "mine" / "0").rglob("*") if path.is_file() and path.name[0] != "."
    ).unlink()
    assert "3 objects" in call(*words).stdout
    np.testing.assert_array_equal(open_labels(image / "labels" / "mine").arrays[0], truth)
    shutil.rmtree(image / "labels" / "mine" / "0")
    assert "3 objects" in call(*words).stdout
    theirs = zarr.open_group(image / "labels", mode="a", zarr_format=2).create_group("theirs")
    theirs.create_array("0", data=truth)
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    state(theirs, "0.4", {"image-label": {}, "multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]})
    refused = call("segment", image, "--model", bright_model, "--label-name", "theirs")
    assert refused.exit_code == 1
    assert "another program made" in refused.stderr


@pytest.mark.parametrize("name", ["__x", "n" * 300, "a/b", ".a", " ", "a\n"])
def test_a_name_that_labels_cannot_have_is_refused_at_once(call, write_image, bright_model, tmp_path, name):
    image = write_image(tmp_path / "a.zarr", squares(3)[0])
    refused = call("segment", image, "--model", bright_model, "--label-name", name)
    assert refused.exit_code == 2
    assert "--label-name" in refused.stderr
    assert not (tmp_path / "segmented").exists()


def test_beside_the_image_or_of_a_tiff(call, write_image, save_squares, bright_model, tmp_path):
    pixels, truth = squares(3)
    image = write_image(tmp_path / "a.zarr", pixels)
    save_squares(tmp_path / "b.tif")
    out = tmp_path / "out"
    words = ("segment", image, tmp_path / "b.tif", "--model", bright_model, "-o", out)
    run = call(*words, "--beside", "--save", "ome-zarr,maps,parquet")
    assert run.exit_code == 0, run.output
    assert open_image(image).label_names == ()
    for name in ("a", "b"):
        assert not (out / f"{name}_labels.tif").exists()
        labels = open_labels(out / f"{name}_labels.ome.zarr" / "labels" / "bright")
        np.testing.assert_array_equal(labels.arrays[0], truth)
        assert read_image(out / f"{name}_labels.ome.zarr").scale == (0.5, 0.5)
        foreground = np.asarray(read_image(out / f"{name}_maps.ome.zarr").array)[0]
        np.testing.assert_array_equal(foreground >= 0.5, truth > 0)
        assert (out / f"{name}_table.parquet").read_bytes()[:4] == b"PAR1"
    assert "2 done before" in call(*words, "--beside", "--save", "ome-zarr,maps,parquet").stdout


def test_a_plate_has_its_fields_wells_and_conditions(call, write_plate, bright_model, tmp_path):
    plate = write_plate(tmp_path / "plate.zarr", "0.5")
    conditions = tmp_path / "layout.csv"
    conditions.write_text("Condition,well\ndrug,b3\ncontrol,A01\n")
    run = call("segment", plate, "--model", bright_model, "--conditions", conditions)
    assert run.exit_code == 0, run.output
    out = tmp_path / "segmented"
    assert sorted(path.name for path in out.glob("plate_*")) == [
        f"plate_{well}_{field}_table.csv" for well in ("A01", "B03") for field in (0, 1)
    ]
    np.testing.assert_array_equal(open_labels(plate / "B/3/1/labels/bright").arrays[0], squares(2)[1])
    objects = rows(out / "segmentation_objects.csv")
    assert [(row["well"], row["field"], row["condition"]) for row in objects] == [
        *(("A01", "0", "control"), ("A01", "1", "control"), ("A01", "1", "control")),
        *(("B03", "0", "drug"), ("B03", "1", "drug"), ("B03", "1", "drug")),
    ]
    wells = rows(out / "segmentation_wells.csv")
    figures = ("plate", "well", "condition", "fields", "failed", "objects", "mean_area_px", "median_area_um2")
    assert [tuple(row[name] for name in figures) for row in wells] == [
        ("plate", "A01", "control", "2", "0", "3", "72", "18"),
        ("plate", "B03", "drug", "2", "0", "3", "72", "18"),
    ]
    assert not {"mean_label", "mean_centroid_y_px", "mean_bbox_min_y_px"} & wells[0].keys()
    some = call("segment", plate, "--model", bright_model, "--wells", "B*", "--fields", "1", "--again")
    assert some.stdout.splitlines()[-1].startswith("1 of 1 image segmented: 2 objects")
    assert rows(out / "segmentation_objects.csv")[-1]["condition"] == "drug"
    assert "Its fields are called 0, 1." in call("segment", plate, "--model", bright_model, "--fields", "0,5").stderr
    other = write_plate(tmp_path / "again" / "plate.zarr")
    both = call("segment", other, "--model", bright_model, "--wells", "A1", "--fields", "0", "-o", out)
    assert both.exit_code == 0, both.output
    for table in ("wells", "objects"):
        plates = {row["plate"] for row in rows(out / f"segmentation_{table}.csv")}
        assert plates == {"plate.zarr", "again/plate.zarr"}
    assert "no well is named Z9" in call("segment", plate, "--model", bright_model, "--wells", "Z9").stderr


def test_a_folder_of_images_is_not_looked_into_where_it_is_one(call, write_image, write_plate, bright_model, tmp_path):
    folder = tmp_path / "day 1"
    write_image(folder / "a.zarr", squares(1)[0])
    write_plate(folder / "sub" / "p.zarr")
    run = call("segment", folder, "-r", "--model", bright_model, "-o", tmp_path / "out")
    assert run.exit_code == 0, run.output
    assert run.stdout.splitlines()[-1].startswith("5 of 5 images segmented: 7 objects")


def test_labels_that_have_no_place_in_their_image_are_refused_before_anything_is_written(
    call, write_image, bright_model, tmp_path
):
    image = write_image(tmp_path / "a.zarr", squares(3)[0])
    group = zarr.open_group(image, mode="r+")
    said = group.attrs.asdict()
    said["multiscales"][0]["axes"].reverse()
    group.attrs.put(said)
    run = call("segment", image, "--model", bright_model)
    assert "last two axes are not y and x" in run.stderr
    assert not (tmp_path / "segmented" / "a_table.csv").exists()
    assert "3 objects" in call("segment", image, "--model", bright_model, "--beside").stdout


def test_results_of_an_image_within_another_store_lie_beside_that(call, write_image, bright_model, tmp_path):
    series = tmp_path / "a.zarr"
    state(zarr.open_group(series, mode="w", zarr_format=2), "0.4", {"bioformats2raw.layout": 3})
    for name in ("0", "1"):
        write_image(series / name, squares(3)[0])
    shutil.make_archive(str(tmp_path / "b.zarr"), "zip", series)
    run = call("segment", series, tmp_path / "b.zarr.zip" / "0", "--model", bright_model)
    assert run.exit_code == 0, run.output
    assert {path.name for path in (tmp_path / "segmented").glob("*_table.csv")} == {
        *("a_0_table.csv", "a_1_table.csv", "b_0_table.csv"),
    }
    assert open_labels(series / "1" / "labels" / "bright").is_finished
    assert not (series / "segmented").exists()


def test_an_image_beyond_memory_has_the_same_results(call, write_image, bright_model, tmp_path, monkeypatch):
    pixels, truth = squares(3)
    results = []
    for name in ("whole", "blocks"):
        image = write_image(tmp_path / name / "a.zarr", pixels)
        run = call("segment", image, "--model", bright_model, "--save", "maps", "--min-confidence", "0.9")
        assert run.exit_code == 0, run.output
        assert run.stdout.splitlines()[-1].startswith("1 of 1 image segmented: 3 objects")
        labels = open_labels(image / "labels" / "bright")
        np.testing.assert_array_equal(labels.arrays[0], truth)
        out = image.parent / "segmented"
        table = (out / "a_table.csv").read_text()
        maps = np.asarray(read_image(out / "a_maps.ome.zarr").array)
        results.append((table, maps.tobytes(), labels.record["parameters"], labels.record["resized_to"]))
        monkeypatch.setattr("napari_unetseg.batch.saving._LARGEST_PLANE", 1000)
    assert results[0] == results[1]


@pytest.mark.nightly
def test_workers_do_a_plate_as_one_process_does(shell, write_plate, bright_model, tmp_path):
    tables = []
    for name, more in (("one", ()), ("many", ("--workers", "2"))):
        plate = write_plate(tmp_path / name / "plate.zarr")
        run = shell("segment", plate, "--model", bright_model, *more)
        assert run.returncode == 0, run.stderr
        np.testing.assert_array_equal(open_labels(plate / "B/3/1/labels/bright").arrays[0], squares(2)[1])
        folder = plate.parent / "segmented"
        tables.append([(folder / f"segmentation_{of}.csv").read_text() for of in ("objects", "wells")])
    assert tables[0] == tables[1]

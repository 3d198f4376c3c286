"""`napari-unetseg segment FOLDER`: runs that end badly, and runs that go on."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.batch.summary_tables import FILES, OBJECTS
from napari_unetseg.io import read_image


@pytest.fixture
def plate(save_squares, tmp_path):
    for name in ("a.tif", "c.tif", "x/a.tif"):
        save_squares(tmp_path / "plate" / name)
    np.save(tmp_path / "plate" / "b.npy", read_image(tmp_path / "plate" / "a.tif").array)
    return tmp_path / "plate"


def results(folder):
    """Label images and tables by name; what depends on the clock is left out."""
    labels = {path.name: read_image(path).array for path in sorted(folder.glob("*_labels.tif"))}
    tables = {path.name: path.read_bytes() for path in sorted([*folder.glob("*_table.csv"), folder / OBJECTS])}
    with (folder / FILES).open(newline="") as file:
        lasting = ("file", "status", "objects", "results", "model", "sha256")
        files = [[row[column] for column in lasting] for row in csv.DictReader(file)]
    return labels, tables, files


def test_what_is_done_is_skipped_unless_asked_for_again(call, plate, bright_model):
    words = ("segment", plate, "--model", bright_model, "--pattern", "a.*", "-r")
    first = call(*words)
    assert first.exit_code == 0, first.output
    assert sorted(line.split(": ")[1].split(",")[0] for line in first.stdout.splitlines()[:2]) == 2 * ["3 objects"]
    second = call(*words)
    assert second.exit_code == 0
    lines = second.stdout.splitlines()
    assert lines[0] == f"{plate / 'a.tif'}: done before, 3 objects"
    assert lines[-1].startswith("0 of 2 images segmented, 2 done before: 6 objects in ")
    third = call(*words, "--again")
    assert third.stdout.splitlines()[-1].startswith("2 of 2 images segmented: 6 objects in ")


def test_a_folder_without_fitting_images_says_so(call, plate, bright_model):
    run = call("segment", plate, "--model", bright_model, "--pattern", "*.jpg")
    assert run.exit_code == 1
    assert "the folder holds no image that fits *.jpg" in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(command, plate, bright_model, tmp_path):
    def line(out):
        words = [str(plate / "a.tif"), str(plate / "b.npy"), str(plate), "-r"]
        return [*command, "segment", *words, "--model", str(bright_model), "-o", str(out)]

    subprocess.run(line(tmp_path / "whole"), check=True, capture_output=True, timeout=300)
    # A pipe that nobody writes to: reading it waits, so the run cannot end by itself.
    content = (plate / "b.npy").read_bytes()
    (plate / "b.npy").unlink()
    os.mkfifo(plate / "b.npy")
    out = tmp_path / "out"
    with subprocess.Popen(line(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (out / JOURNAL_FILE).exists() or not (out / JOURNAL_FILE).read_bytes().endswith(b"\n"):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        process.kill()
    (plate / "b.npy").unlink()
    (plate / "b.npy").write_bytes(content)
    assert [json.loads(record)["file"] for record in (out / JOURNAL_FILE).read_text().splitlines()] == [
        "../plate/a.tif"
    ]
    again = subprocess.run(line(out), check=True, capture_output=True, text=True, timeout=300)
    assert again.stdout.splitlines()[0] == f"{plate / 'a.tif'}: done before, 3 objects"
    labels, tables, files = results(out)
    whole_labels, whole_tables, whole_files = results(tmp_path / "whole")
    assert (tables, files) == (whole_tables, whole_files)
    assert labels.keys() == whole_labels.keys()
    for name, array in labels.items():
        np.testing.assert_array_equal(array, whole_labels[name])

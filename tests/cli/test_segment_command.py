"""`napari-unetseg segment` on a model whose answer is known."""

import csv
import json
import os
import signal
import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from napari_unetseg.io import read_geojson, read_image, read_rois
from napari_unetseg.postprocessing.contours import rasterise
from napari_unetseg.postprocessing.fixes import Fix
from napari_unetseg.service import RunRecipe, SegmentationService, write_run_recipe

SUMMARIES = {"segmentation_files.csv", "segmentation_journal.jsonl", "segmentation_objects.csv"}


def names(folder):
    """Names in a folder, without those of the three files that are about all images."""
    return sorted({path.name for path in folder.iterdir()} - SUMMARIES)


def test_writes_everything_asked_for(call, save_squares, bright_model, tmp_path):
    truth = save_squares(tmp_path / "a.tif")
    out = tmp_path / "out"
    run = call("segment", tmp_path / "a.tif", "--model", bright_model, "--output", out, "--save", "all")
    assert run.exit_code == 0, run.output
    assert names(out) == [
        *("a_confidence.tif", "a_contours.geojson", "a_labels.ome.tif", "a_labels.tif"),
        *("a_overlay.png", "a_rois.zip", "a_table.csv"),
    ]
    labels = read_image(out / "a_labels.tif")
    np.testing.assert_array_equal(labels.array, truth)
    assert (labels.scale, labels.unit) == ((0.5, 0.5), "micrometer")
    confidence = read_image(out / "a_confidence.tif").array
    np.testing.assert_array_equal(confidence >= 0.5, truth > 0)
    features = json.loads((out / "a_contours.geojson").read_text())["features"]
    assert [feature["properties"]["classification"]["name"] for feature in features] == ["bright"] * 3
    for contours in (read_geojson(out / "a_contours.geojson"), read_rois(out / "a_rois.zip")):
        np.testing.assert_array_equal(rasterise(contours.contours, truth.shape), truth)
    again = read_image(out / "a_labels.ome.tif")
    np.testing.assert_array_equal(again.array, truth)
    assert (again.scale, again.unit) == ((0.5, 0.5), "micrometer")
    with (out / "a_table.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    assert imageio.imread(out / "a_overlay.png").shape == (*truth.shape, 3)
    with tifffile.TiffFile(out / "a_labels.tif") as file:
        provenance = json.loads(file.imagej_metadata["Info"])
    assert (provenance["image"], provenance["model"]) == ("a.tif", "bright")
    lines = run.stdout.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'a.tif'}: 3 objects, ")
    assert lines[1].startswith("1 of 1 image segmented: 3 objects in ")
    assert str(out) in run.stdout


def test_by_default_labels_lie_in_a_folder_beside_the_image(call, save_squares, bright_model, tmp_path):
    save_squares(tmp_path / "x" / "a.tif")
    assert call("segment", tmp_path / "x", "--model", bright_model).exit_code == 0
    assert names(tmp_path / "x") == ["a.tif", "segmented"]
    assert names(tmp_path / "x" / "segmented") == ["a_labels.tif", "a_table.csv"]
    assert {path.name for path in (tmp_path / "x" / "segmented").iterdir()} > SUMMARIES


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 3),
        (("--min-size", "1000"), 0),
        (("--threshold", "1"), 0),
        (("--channel", "0", "--split", "0"), 3),
        (("--smoothing", "10"), 0),
        (("--min-confidence", "1", "--keep-holes"), 0),
    ],
)
def test_parameters_reach_the_decoder(call, save_squares, bright_model, tmp_path, options, count):
    save_squares(tmp_path / "a.tif")
    run = call("segment", tmp_path / "a.tif", "--model", bright_model, "-o", tmp_path / "out", *options)
    assert run.exit_code == 0, run.output
    assert read_image(tmp_path / "out" / "a_labels.tif").array.max() == count


def test_channels_are_chosen_by_name_and_the_wrong_ones_told(call, bright_model, tmp_path):
    pixels = np.zeros((2, 40, 60), np.uint8)
    pixels[0, 10:20, 5:15] = pixels[1, 10:20, 40:55] = 200
    path, out = tmp_path / "a.ome.tif", tmp_path / "out"
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    words = ("segment", path, "--model", bright_model, "-o", out, "--save", "labels,table", "--channels")
    for choice, truth in (("gfp", pixels[1]), ("max(DAPI,GFP)", pixels.max(0))):
        run = call(*words, choice)
        assert run.exit_code == 0, run.output
        np.testing.assert_array_equal(read_image(out / "a_labels.tif").array > 0, truth > 0)
    run = call(*words, "Cy5")
    assert run.exit_code == 1
    assert "there is no channel 'Cy5'; it has 0: DAPI, 1: GFP" in " ".join(run.output.split())
    assert "channels = 'DAPI,': A channel has no name." in " ".join(call(*words, "DAPI,").output.split())


def test_one_bad_file_never_sinks_the_others(shell, save_squares, bright_model, tmp_path):
    truth = save_squares(tmp_path / "a.tif")
    (tmp_path / "broken.png").write_bytes(b"no image")
    save_squares(tmp_path / "z.tif")
    run = shell("segment", "broken.png", "a.tif", "gone.tif", "*.jpg", "z.tif", "--model", bright_model, "-o", "out")
    assert run.returncode == 1
    lines = run.stderr.splitlines()
    for name in ("broken.png", "gone.tif", "*.jpg"):
        assert len([line for line in lines if line.startswith(f"{name}: ")]) == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout.splitlines()[-1].startswith("2 of 4 images segmented, 2 failed: 6 objects in ")
    assert names(tmp_path / "out") == ["a_labels.tif", "a_table.csv", "z_labels.tif", "z_table.csv"]
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a_labels.tif").array, truth)


def test_same_stems_keep_both_results(call, save_squares, bright_model, tmp_path):
    save_squares(tmp_path / "x" / "a.tif")
    save_squares(tmp_path / "y" / "a.tif")
    out = tmp_path / "out"
    assert call("segment", tmp_path / "x", tmp_path / "y", "--model", bright_model, "-o", out).exit_code == 0
    assert names(out) == ["x_a_labels.tif", "x_a_table.csv", "y_a_labels.tif", "y_a_table.csv"]


def test_an_input_is_never_replaced(call, save_squares, bright_model, tmp_path):
    save_squares(tmp_path / "a.tif")
    save_squares(tmp_path / "a_labels.tif")
    before = (tmp_path / "a_labels.tif").read_bytes()
    words = (tmp_path / "a.tif", tmp_path / "a_labels.tif", "--model", bright_model, "-o", tmp_path)
    run = call("segment", *words)
    assert run.exit_code == 1
    assert "would replace another input" in run.stderr
    assert (tmp_path / "a_labels.tif").read_bytes() == before


def test_running_again_in_the_same_folder_replaces_the_results_only(call, save_squares, bright_model, tmp_path):
    save_squares(tmp_path / "a.tif")
    for _ in range(2):
        run = call("segment", tmp_path, "--model", bright_model, "-o", tmp_path, "--save", "overlay,rois,ome-tiff")
        assert run.exit_code == 0, run.output
    results = ["a_labels.ome.tif", "a_labels.tif", "a_overlay.png", "a_rois.zip", "a_table.csv"]
    assert names(tmp_path) == ["a.tif", *results]


def test_an_image_without_objects_has_all_its_results(call, save_squares, bright_model, tmp_path):
    save_squares(tmp_path / "a.tif")
    out = tmp_path / "out"
    words = ("segment", tmp_path / "a.tif", "--model", bright_model, "-o", out, "--save", "all", "--min-size", "1000")
    assert call(*words).exit_code == 0
    assert len(names(out)) == 7
    assert list(read_rois(out / "a_rois.zip").contours) == []
    assert read_image(out / "a_labels.ome.tif").array.max() == 0


def test_warnings_are_printed(call, bright_model, tmp_path):
    array = np.zeros((20, 20), np.float32)
    array[5:15, 5:15] = 1
    array[0, 0] = np.nan
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", array)
    run = call("segment", tmp_path, "--model", bright_model)
    assert run.exit_code == 0
    assert f"{tmp_path / 'a.npy'}: warning: " in run.stderr
    assert "warning for 2 images: " in run.stderr or f"{tmp_path / 'b.npy'}: warning: " in run.stderr


def test_wrong_words_exit_with_2_and_wrong_models_with_1(call, save_squares, tmp_path):
    save_squares(tmp_path / "a.tif")
    for words in (("--save", "mask"), ("--threshold", "7"), ("--min-size", "-1")):
        run = call("segment", tmp_path / "a.tif", *words)
        assert run.exit_code == 2
        assert words[0] in run.stderr
    run = call("segment", tmp_path / "a.tif", "--model", "nonsense")
    assert run.exit_code == 1
    assert run.stderr.startswith("Error: There is no model 'nonsense'")
    assert run.stderr.count("\n") == 1
    assert names(tmp_path) == ["a.tif"]


def test_a_folder_that_cannot_be_written_names_the_file(call, save_squares, bright_model, tmp_path):
    save_squares(tmp_path / "a.tif")
    (tmp_path / "taken").touch()
    run = call("segment", tmp_path / "a.tif", "--model", bright_model, "-o", tmp_path / "taken" / "out")
    assert run.exit_code == 1
    assert "cannot be written" in run.stderr


def test_an_interrupted_run_tells_what_is_finished(call, save_squares, bright_model, tmp_path, monkeypatch):
    words = [tmp_path / name for name in ("a.tif", "b.tif", "c.tif")]
    for path in words:
        save_squares(path)
    whole = SegmentationService.iter_batch

    def first_or_interrupt(*arguments, **options):
        yield next(whole(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(SegmentationService, "iter_batch", first_or_interrupt)
    run = call("segment", *words, "--model", bright_model, "-o", tmp_path / "out")
    assert run.exit_code == 130, run.output
    assert run.stderr.startswith("Stopped. 1 of 3 images segmented: 3 objects in ")
    assert names(tmp_path / "out") == ["a_labels.tif", "a_table.csv"]


@pytest.fixture
def heeding_ctrl_c():
    """Let started processes heed SIGINT even where this one was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_ctrl_c_stops_the_process(command, save_squares, bright_model, tmp_path):
    save_squares(tmp_path / "a.tif")
    # A pipe that nobody writes to: opening it waits, so the run cannot end by itself.
    os.mkfifo(tmp_path / "b.npy")
    line = [*command, "segment", "a.tif", "b.npy", "--model", str(bright_model), "-o", "out"]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "out" / "a_labels.tif").exists():
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=600)
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert errors.startswith("Stopped. ")
    assert "Traceback" not in errors
    assert names(tmp_path / "out") == ["a_labels.tif", "a_table.csv"]


def test_an_image_unlike_what_the_model_knows_is_told_on_stderr_and_in_the_table_of_files(call, bright_model, tmp_path):
    faint = np.zeros((60, 80), np.float32)
    faint[5:45, 5:65] = 0.52  # of which the model is hardly sure
    faint[50, 70] = 1
    np.save(tmp_path / "a.npy", faint)
    run = call("segment", tmp_path / "a.npy", "--model", bright_model, "--device", "cpu")
    sentence = "The image looks unlike what Bright objects knows."
    assert f"{tmp_path / 'a.npy'}: warning: {sentence}" in run.stderr
    assert sentence not in run.stdout
    assert sentence in (tmp_path / "segmented" / "segmentation_files.csv").read_text(encoding="utf-8")


def test_a_recipe_fixes_in_one_image_what_was_fixed_and_nothing_in_many(
    call, save_squares, bright_model, tmp_path, caplog
):
    truth = save_squares(tmp_path / "a.tif")
    save_squares(tmp_path / "b.tif")
    with SegmentationService(bright_model, "cpu", "torch") as service:
        result = service.segment(read_image(tmp_path / "a.tif"))
    point = tuple(map(float, np.argwhere(truth == 2)[0]))
    fixed = result.fixed([Fix(kind="remove", points=[point], parameters=result.parameters)])
    write_run_recipe(tmp_path / "r.yaml", RunRecipe.of(fixed.provenance))
    words = ("segment", "--recipe", tmp_path / "r.yaml", "-o", tmp_path / "out", tmp_path / "a.tif")
    for done in ("1 of 1 image segmented", "1 done before"):
        run = call(*words)
        assert run.exit_code == 0, run.output
        assert done in run.stdout
        np.testing.assert_array_equal(read_image(tmp_path / "out" / "a_labels.tif").array, fixed.labels)
    run = call(*words, tmp_path / "b.tif")
    assert run.exit_code == 0, run.output
    assert "6 objects" in run.stdout
    assert "left out" in caplog.text
    for name in "ab":
        np.testing.assert_array_equal(read_image(tmp_path / "out" / f"{name}_labels.tif").array, truth)


def test_a_recipe_whose_fixes_fit_another_image_fails_and_says_why(call, save_squares, bright_model, tmp_path):
    truth = save_squares(tmp_path / "a.tif")
    with SegmentationService(bright_model, "cpu", "torch") as service:
        result = service.segment(read_image(tmp_path / "a.tif"))
    point = tuple(map(float, np.argwhere(truth == 0)[0]))
    wrong = Fix(kind="remove", points=[point], parameters=result.parameters)
    recipe = RunRecipe.of(result.provenance).model_copy(update={"fixes": (wrong,)})
    write_run_recipe(tmp_path / "r.yaml", recipe)
    run = call("segment", "--recipe", tmp_path / "r.yaml", tmp_path / "a.tif")
    assert run.exit_code == 1
    assert "a.tif: failed: Of 1 fixes, number 1 (remove) cannot be done" in run.stderr

import json

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetseg.io import read_image
from napari_unetseg.service import SegmentationService
from napari_unetseg.training.scores import measures, score


@pytest.fixture
def folder(save_squares, tmp_path):
    """Three images of bright squares; in the annotation of the second one is missing."""
    for name in ("a", "b", "c"):
        truth = save_squares(tmp_path / "data" / "images" / f"{name}.tif")
        truth = np.where(truth == 3, 0, truth) if name == "b" else truth
        (tmp_path / "data" / "masks").mkdir(exist_ok=True)
        iio.imwrite(tmp_path / "data" / "masks" / f"{name}.png", truth.astype(np.uint8))
    return tmp_path / "data"


def test_figures_are_those_of_what_segment_finds(call, bright_model, folder):
    result = call("evaluate", bright_model, folder / "images", folder / "masks", "--json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    found = SegmentationService(bright_model, "cpu").segment(read_image(folder / "images" / "b.tif"))
    truth = read_image(folder / "masks" / "b.png").array
    expected = measures(score(found.labels, truth, "b", "image"))
    whole = summary["contenders"]["bright"]
    assert whole["images"] == 3
    # The other two are found without fault.
    assert whole["dice"] == pytest.approx((2 + expected["dice"]) / 3, abs=1e-4)
    assert whole["ap50"] == pytest.approx((2 + 2 / 3) / 3, abs=1e-4)
    assert whole["precision"] == pytest.approx((2 + 2 / 3) / 3, abs=1e-4)
    assert whole["recall"] == 1
    assert whole["count_bias"] == pytest.approx(1 / 3, abs=1e-4)
    assert summary["failures"] == []


def test_a_table_of_models_and_baseline_by_kind(call, bright_model, folder):
    (folder / "index.csv").write_text("stem,kind\na,plate\nb,plate\nc,slide\n", encoding="utf-8")
    arguments = ["--compare", bright_model / "model.yaml", "--baselines", "--device", "cpu"]
    result = call("evaluate", bright_model, folder / "images", folder / "masks", *arguments)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if "  all  " in line]
    assert [row.split("  ")[0] for row in rows] == [
        f"bright ({bright_model})",
        f"bright ({bright_model / 'model.yaml'})",
        "Otsu + watershed",
    ]
    assert sum("  plate  " in line for line in result.stdout.splitlines()) == 3
    assert "AP@0.75" in result.stdout


def test_an_index_from_elsewhere_names_the_kinds(call, bright_model, folder, tmp_path):
    (tmp_path / "kinds.csv").write_text("stem,kind\na,one\nb,two\nc,two\n", encoding="utf-8")
    arguments = ["--index", tmp_path / "kinds.csv", "--json", "--device", "cpu"]
    result = call("evaluate", bright_model, folder / "images", folder / "masks", *arguments)
    assert set(json.loads(result.stdout)["contenders"]["bright"]["per_kind"]) == {"one", "two"}


def test_bad_pairs_are_named_and_the_others_scored(call, bright_model, folder, tmp_path):
    (folder / "masks" / "a.png").unlink()
    (folder / "images" / "b.tif").write_bytes(b"no image")
    result = call(
        "evaluate", bright_model, folder / "images", folder / "masks", "-o", tmp_path / "out", "--device", "cpu"
    )
    assert result.exit_code == 1
    assert "a: failed: " in result.stderr
    assert "b: failed: " in result.stderr
    assert "1 of 3 images scored" in result.stdout
    assert len((tmp_path / "out" / "scores.csv").read_text().splitlines()) == 2


def test_files_and_corruptions_of_a_list_of_images(call, bright_model, folder, tmp_path):
    (tmp_path / "some.txt").write_text("# held out\na\nc\n", encoding="utf-8")
    arguments = ["--only", tmp_path / "some.txt", "--robustness", "-o", tmp_path / "out", "--device", "cpu"]
    result = call("evaluate", bright_model, folder / "images", folder / "masks", *arguments)
    assert result.exit_code == 0, result.output
    assert "bright: 2 of 2 images scored" in result.stdout
    assert any(line.startswith("rotated by 90 degrees") for line in result.stdout.splitlines())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scores.csv",
        "summary.json",
        "robustness.csv",
        "contact_sheet.png",
    }


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (("no_such_model",), "There is no model 'no_such_model'"),
        (("--only", "missing.txt"), "missing.txt: the list of held-out images cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said(call, bright_model, folder, change, reported):
    model, *options = change if len(change) == 1 else (bright_model, *change)
    result = call("evaluate", model, folder / "images", folder / "masks", *options)
    assert result.exit_code == 1
    assert reported in result.stderr


def test_folders_must_exist(call, bright_model, folder):
    assert call("evaluate", bright_model, folder / "images", folder / "none").exit_code == 2


def test_ctrl_c_stops_it(call, bright_model, folder, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(SegmentationService, "segment", interrupt)
    result = call("evaluate", bright_model, folder / "images", folder / "masks")
    assert result.exit_code == 130
    assert "Stopped" in result.stderr

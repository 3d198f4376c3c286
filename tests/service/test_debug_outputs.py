import json
import os

import numpy as np
import pytest
import tifffile

from napari_unetseg.config import Settings
from napari_unetseg.config.keys import PREFIX
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service import Provenance, Segmentation
from napari_unetseg.service.debug_outputs import debug_dump, save_debug_outputs


@pytest.fixture
def result():
    probability = np.linspace(0, 1, 96, dtype=np.float32).reshape(2, 6, 8)
    reported = dict.fromkeys(Provenance.__dataclass_fields__) | {
        "image": "plate 1/well ä.tif",
        "started": "2025-06-18T11:45:30+02:00",
    }
    return Segmentation(
        image=Image(np.zeros((6, 8)), scale=(0.5, 0.5), unit="micrometer"),
        probability=probability,
        heads=("foreground", "distance"),
        parameters=DecodeParameters(),
        labels=np.arange(48, dtype=np.int32).reshape(6, 8),
        provenance=Provenance(**reported),
        warnings=("A warning.",),
    )


def in_folder(folder):
    return Settings(development={"debug_output_dir": folder})


def test_a_run_leaves_its_probabilities_labels_and_settings(result, tmp_path):
    folder = save_debug_outputs(result, in_folder(tmp_path), "0123456789abcdef")
    assert folder == tmp_path / "20250618T114530_plate_1_well_ä.tif_0123456789ab"
    assert {path.name for path in folder.iterdir()} == {
        "labels.tif",
        "probability_foreground.tif",
        "probability_distance.tif",
        "run.json",
    }
    np.testing.assert_array_equal(tifffile.imread(folder / "labels.tif"), result.labels)
    np.testing.assert_array_equal(tifffile.imread(folder / "probability_distance.tif"), result.probability[1])
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["settings"]["development"]["debug_output_dir"] == str(tmp_path)
    assert run["provenance"]["image"] == "plate 1/well ä.tif"
    assert run["warnings"] == ["A warning."]


def test_a_folder_that_cannot_be_written_names_the_setting(result, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnetsegError, match=r"cannot be written .*development\.debug_output_dir"):
        save_debug_outputs(result, in_folder(tmp_path / "file"), "1")


def test_images_of_the_same_name_in_one_batch_do_not_replace_each_other(result, tmp_path):
    folders = {save_debug_outputs(result, in_folder(tmp_path), "1") for _ in range(3)}
    assert len(folders) == 3
    assert all((folder / "run.json").is_file() for folder in folders)


def test_the_dump_holds_settings_variables_and_this_thread(monkeypatch):
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UNET_MODEL_DEVICE", "cpu")
    dump = debug_dump(Settings())
    assert dump["settings"]["unet"]["model"]["device"] == "cpu"
    assert dump["variables"] == {"UNET_MODEL_DEVICE": "cpu"}
    assert any("test_the_dump_holds" in line for line in dump["threads"]["MainThread"])
    json.dumps(dump)

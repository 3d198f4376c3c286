import os

import pytest

from napari_unetseg.zoo.discovery import find_checkpoint, find_variant


@pytest.fixture
def put(tmp_path):
    """Write empty files, each newer than the one before it."""

    def write(*names):
        for age, name in enumerate(names):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (1e9 + age, 1e9 + age))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((), None),
        (("notes.txt", "model.yaml"), None),
        (("only.CKPT",), "only.CKPT"),
        (("best.pth", "final.pth", "epoch_90.pth"), "best.pth"),
        (("final_model.pt", "last.pt"), "final_model.pt"),
        (("unet_BEST_model.safetensors", "final.pt"), "unet_BEST_model.safetensors"),
        (("old.pth", "new.pth"), "new.pth"),
        (("best_new.pth", "best_old.pth"), "best_old.pth"),
        (("run_20250618_114530.pth", "run_20250101_000000.pth"), "run_20250618_114530.pth"),
        (("run-2025-06-18T11-45-30.pth", "run-2025-06-18T11-45-29.pth"), "run-2025-06-18T11-45-30.pth"),
        (("best_2025-06-18.pth", "best_2024-12-31.pth"), "best_2025-06-18.pth"),
        (("run_20259999.pth", "other.pth"), "other.pth"),
    ],
)
def test_best_then_final_then_the_newest(put, names, chosen):
    found = find_checkpoint(put(*names))
    assert (found and found.name) == chosen


def test_a_time_stamp_is_compared_with_the_time_of_other_files(put):
    folder = put("now.pth", "run_19990101.pth", "run_20250618.pth")
    os.utime(folder / "run_20250618.pth", (0, 0))
    assert find_checkpoint(folder).name == "run_20250618.pth"


def test_preferred_names_go_first_in_their_order(put):
    folder = put("pretrained.pth", "finetuned.pth", "best.pth")
    assert find_checkpoint(folder, ("finetuned.pth", "pretrained.pth")).name == "finetuned.pth"
    assert find_checkpoint(folder, ("missing.pth", "pretrained.pth")).name == "pretrained.pth"
    assert find_checkpoint(folder, (None, None)).name == "best.pth"


def test_folders_are_not_checkpoints(put):
    folder = put("last.pth")
    (folder / "best.pth").mkdir()
    assert find_checkpoint(folder).name == "last.pth"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((), None),
        (("standard_final.pth", "deep_best.pth"), "standard_final.pth"),
        (("unet-Standard.pth", "standard_best.pth", "best.pth"), "standard_best.pth"),
        (("best.pth", "deep.pth"), "best.pth"),
        (("deep.pth", "lightweight.pth"), None),
        (("nonstandard.pth",), "nonstandard.pth"),
    ],
)
def test_a_variant_is_a_word_of_the_name(put, names, chosen):
    found = find_variant(put(*names), "standard")
    assert (found and found.name) == chosen


def test_a_folder_named_as_the_variant_goes_before_names(put):
    folder = put("standard_best.pth")
    (folder / "standard").mkdir()
    assert find_variant(folder, "standard") is None
    (folder / "standard" / "final.pth").touch()
    assert find_variant(folder, "standard") == folder / "standard" / "final.pth"

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unetseg.image import Image
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.improvement_state import Best, Progress, fingerprint, read_checkpoint, write_checkpoint
from napari_unetseg.training.state import CheckpointError
from napari_unetseg.zoo.registry import find_model


def corrected(value: int) -> CorrectedImage:
    return CorrectedImage("one", Image(np.zeros((8, 8), np.uint8)), np.full((8, 8), value, np.int32))


def test_a_run_is_known_by_model_labels_and_arguments() -> None:
    nuclei, cells = find_model("nuclei").card, find_model("cells").card
    key = fingerprint(nuclei, [corrected(0)], (5.0, None, 0))
    assert key == fingerprint(nuclei, [corrected(0)], (5.0, None, 0))
    others = {
        fingerprint(cells, [corrected(0)], (5.0, None, 0)),
        fingerprint(nuclei, [corrected(1)], (5.0, None, 0)),
        fingerprint(nuclei, [corrected(0)], (5.0, None, 1)),
    }
    assert len(others) == 3
    assert key not in others


def test_what_was_written_is_read_by_the_same_run_alone(tmp_path: Path) -> None:
    file = tmp_path / "improve.pt"
    assert read_checkpoint(file, "key") is None
    progress = Progress(seconds=3.5, stage=1, best=Best({"ap50": 0.5}, {"kernel": torch.ones(2)}), share=0.7)
    write_checkpoint(file, "key", progress, {"steps": 4})
    assert read_checkpoint(file, "another") is None
    found = read_checkpoint(file, "key")
    assert found is not None
    assert found[1] == {"steps": 4}
    assert (found[0].seconds, found[0].stage, found[0].share) == (3.5, 1, 0.7)
    best = found[0].best
    assert best is not None
    assert best.weights is not None
    assert best.scores == {"ap50": 0.5}
    assert torch.equal(best.weights["kernel"], torch.ones(2))


def test_a_torn_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "improve.pt"
    write_checkpoint(file, "key", Progress(), None)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(file, "key")

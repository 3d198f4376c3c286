"""The small picture of a fault."""

from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.training.fault_picture import SIDE, fault_picture
from napari_unetseg.training.mask_folder import check_masks


@pytest.mark.parametrize("height", [1, 2, 3])
def test_a_strip_has_one(tmp_path: Path, height: int) -> None:
    mask = np.zeros((height, 6000), np.uint8)
    mask[:, 5:2000] = mask[:, 3000:4900] = 1
    mask[:, 2100:2200] = 2
    np.save(tmp_path / "a.npy", mask)
    (checked,) = check_masks([tmp_path / "a.npy"])
    picture = fault_picture(checked)
    assert any(fault.place for fault in checked.faults)
    assert picture.any()
    assert max(picture.shape[:2]) <= SIDE

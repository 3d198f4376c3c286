from pathlib import Path

import imageio.v3 as iio

from napari_unetseg.training.curves import draw_curves

HISTORY = [
    {"step": 10.0, "loss": 2.0, "dice": 0.5, "ap": 0.1, "ap50": 0.2, "ap50 fluo": 0.3},
    {"step": 20.0, "loss": 1.0, "dice": 0.7, "ap": 0.3, "ap50": 0.4, "ap50 fluo": 0.5},
]


def test_curves_are_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "new" / "curves.png"
    draw_curves(HISTORY, path)
    one = iio.imread(path)
    assert one.shape[0] > 300
    assert one.shape[1] > 900
    draw_curves([HISTORY[0], {**HISTORY[1], "dice": 0.9}], path)
    assert (iio.imread(path) != one).any()

"""The moving picture of the README: a sample is opened, segmented, adjusted, corrected and measured."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from stage import HAND, Film, Stage, there

_SIZE = (960, 690)
_COLOURS = 255


def run_film(folder: Path) -> None:
    """Film one session from an empty window to a table of objects, one of which was corrected."""
    stage = Stage(_SIZE, "dark", layer_docks=False)
    form = stage.form
    stage.warm_up()
    stage.film = Film()
    stage.pointer = QPoint(130, 120)
    stage.frame(400)
    stage.menu("File", "Open Sample", "napari-unetseg", "Nuclei (fluorescence, grey)", linger=200)
    stage.choose()
    stage.viewer.reset_view()
    stage.settle()
    stage.frame(500)

    stage.click(form.runner.run)
    stage.wait_for_run(every=90)
    stage.frame(1000)

    labels = stage.viewer.layers["nuclei labels"]
    divided = labels.data.copy()
    split = form.adjust.controls["split"]
    stage.point_at_value(split)
    stage.slide(split, [0.3, 0.2, 0.1, 0.0], 130)
    stage.frame(500)
    stage.slide(split, [0.01, 0.02, 0.03, 0.04, 0.05], 130)
    stage.frame(600)

    joined = labels.data.copy()
    first, last, middle = _cut_of_a_joined_pair(divided, joined)
    scale = labels.scale
    row, column = scale * middle
    stage.look_at(row, column, 2.6 * stage.viewer.camera.zoom)
    stage.click(form.result_actions.fix)
    stage.click(stage.fix_tool("split"))
    stage.frame(300)
    stage.draw(stage.place(*(scale * first)), stage.place(*(scale * last)))
    stage.frame(900)
    HAND.keyClick(stage.canvas, Qt.Key.Key_Escape)

    stage.click(form.adjust.table)
    stage.settle()
    view = form.table.table.view
    new = np.setdiff1d(labels.data, joined)
    of_new_object = form.table.table.model.index(int(form.table.table.model.rows_of(new)[0]), 1)
    view.scrollTo(of_new_object)
    stage.settle()
    stage.frame(300)
    stage.click(there(view.viewport()), view.visualRect(of_new_object).center())
    stage.frame(1800)
    stage.film.save(folder / "run.gif", _COLOURS)
    stage.close()


def _cut_of_a_joined_pair(
    divided: NDArray[np.int32], joined: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Find an object of one label image that is two in the other: the ends of the line between them, and the middle."""
    for label in np.unique(joined[joined > 0]):
        parts, sizes = np.unique(divided[(joined == label) & (divided > 0)], return_counts=True)
        if len(parts[sizes > 50]) == 2:
            one, other = (np.argwhere(divided == part).mean(axis=0) for part in parts[sizes > 50])
            break
    else:
        raise LookupError("No two objects were joined.")
    border = _border(divided == parts[0], divided == parts[1])
    along = other - one
    across = np.array([-along[1], along[0]]) / np.hypot(*along)
    reach = 1.2 * np.abs((border - border.mean(axis=0)) @ across).max() + 6
    middle = border.mean(axis=0)
    return middle - reach * across, middle + reach * across, middle


def _border(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pixels of one object beside the other."""
    from scipy.ndimage import binary_dilation

    return np.argwhere(one & binary_dilation(other, iterations=2)).astype(float)

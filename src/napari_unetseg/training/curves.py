"""Learning curves as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_unetseg.io.atomic import whole_file

_LABELS = {"dice": "Dice", "ap": "AP, IoU 0.5 to 0.9", "ap50": "AP@0.5"}


def draw_curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """Draw the training loss and the validation scores over the steps, as PNG.

    Parameters
    ----------
    history
        Rows of `napari_unetseg.training.state.TrainingState.history`, at least one.
    path
        PNG file to write; its folder is made if needed.
    """
    from matplotlib.figure import Figure

    steps = [row["step"] for row in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(steps, [row["loss"] for row in history], color="black", marker=".")
    left.set(title="Training", xlabel="step", ylabel="loss", ylim=(0, None))
    for name in (name for name in history[0] if name.split()[0] in _LABELS):
        style: dict[str, Any] = {"marker": "."} if " " not in name else {"linestyle": "--", "linewidth": 1}
        measure, *kind = name.split(maxsplit=1)
        label = ", ".join([_LABELS[measure], *kind])
        right.plot(steps, [row[name] for row in history], label=label, **style)
    right.set(title="Validation", xlabel="step", ylabel="mean over images", ylim=(0, 1))
    right.legend(loc="lower right", fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=150)

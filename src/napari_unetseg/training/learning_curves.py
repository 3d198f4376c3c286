"""Learning curves: losses and scores over the steps, as a picture and for TensorBoard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file

LogRow = Callable[[Mapping[str, float]], None]
"""Takes a row of `napari_unetseg.training.state.TrainingState.history`."""

_LABELS = {"dice": "Dice", "ap": "AP, IoU 0.5 to 0.9", "ap50": "AP@0.5"}


def draw_curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """Draw the training loss and, where something is held out, the validation scores over the steps, as PNG.

    Parameters
    ----------
    history
        Rows of `napari_unetseg.training.state.TrainingState.history`, at least one.
    path
        PNG file to write; its folder is made if needed.
    """
    from matplotlib.figure import Figure

    steps = [row["step"] for row in history]
    scores = [name for name in history[0] if name.split()[0] in _LABELS]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, *right = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    left.plot(steps, [row["loss"] for row in history], color="black", marker=".")
    left.set(title="Training", xlabel="step", ylabel="loss", ylim=(0, None))
    for axes in right:
        for name in scores:
            style: dict[str, Any] = {"marker": "."} if " " not in name else {"linestyle": "--", "linewidth": 1}
            measure, *kind = name.split(maxsplit=1)
            label = ", ".join([_LABELS[measure], *kind])
            axes.plot(steps, [row[name] for row in history], label=label, **style)
        axes.set(title="Validation", xlabel="step", ylabel="mean over images", ylim=(0, 1))
        axes.legend(loc="lower right", fontsize="small")
    for axes in (left, *right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=150)


def require_tensorboard() -> None:
    """Say how to install TensorBoard where it is missing.

    Raises
    ------
    UnetsegError
        If it cannot be imported.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UnetsegError(
            "Curves for TensorBoard need the package tensorboard, which is not installed. Run: pip install tensorboard"
        ) from error


@contextmanager
def open_tensorboard(folder: Path) -> Iterator[LogRow]:
    """Open a folder for a run's curves; ``tensorboard --logdir FOLDER`` shows them while it goes on.

    A run that is resumed goes on with the same curves.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:

        def log(row: Mapping[str, float]) -> None:
            for name, value in row.items():
                if name != "step":
                    part = "training" if name == "loss" else "validation"
                    # The score of a kind goes under the score.
                    writer.add_scalar(f"{part}/{name.replace(' ', '/', 1)}", value, int(row["step"]))
            writer.flush()

        yield log

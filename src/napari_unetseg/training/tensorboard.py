"""Losses and scores for TensorBoard, where it is installed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from napari_unetseg.errors import UnetsegError

Log = Callable[[Mapping[str, float]], None]
"""Takes a row of `napari_unetseg.training.state.TrainingState.history`."""


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
def open_board(folder: Path) -> Iterator[Log]:
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

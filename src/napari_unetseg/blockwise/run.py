"""A job from its first stage to its last, whoever does the work."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.stages import Stage, Unit
from napari_unetseg.callbacks import CancelFlag


@dataclass(frozen=True)
class BlockProgress:
    """How far a job is.

    Attributes
    ----------
    stage
        Name of the stage under way.
    done, total
        Of the units of all stages, weighed by what they usually take.
    finished
        The unit that was just finished; None at the beginning of a stage.
    """

    stage: str
    done: float
    total: float
    finished: Unit | None = None


OnProgress = Callable[[BlockProgress], None]
"""Called in the thread that leads."""


class Executor(Protocol):
    """Does the units of a stage, in this process or in others."""

    def run(
        self,
        job: BlockJob,
        stage: Stage,
        units: Sequence[Unit],
        finished: Callable[[Unit], None],
        cancel: CancelFlag,
    ) -> None:
        """Do all these units, in about their order; return when all are done.

        Parameters
        ----------
        finished
            Called for each unit that is done, in the calling thread.
        cancel
            Polled; once it is True nothing more is begun.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        UnetsegError
            If a unit cannot be done.
        """
        ...


def run_job(
    job: BlockJob, stages: Iterable[Stage], executor: Executor, on_progress: OnProgress, cancel: CancelFlag
) -> None:
    """Go through all stages of a job; what is done already is not done again."""
    raise NotImplementedError

"""A job from its first stage to its last, whoever does the work."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from napari_unetseg.blockwise.job import NETWORK, PLAN, BlockJob
from napari_unetseg.blockwise.network_stage import begin_anew
from napari_unetseg.blockwise.stages import Stage, Unit
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled
from napari_unetseg.inference.prediction import WindowTooLarge
from napari_unetseg.language import Sentence

_SHARES = {PLAN: 0.02, NETWORK: 0.7}
_SHARE = 0.04
"""What of all the time a stage usually takes; most of it is the network's."""


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
    """Go through all stages of a job; what is done already is not done again.

    Where memory does not suffice for the windows that were planned, the network begins again with smaller ones.

    Parameters
    ----------
    on_progress
        Called in the calling thread.
    cancel
        Polled, as is the job's own.

    Raises
    ------
    Cancelled
        If it was to stop; what is done stays, and the same call goes on with it.
    UnetsegError
        If a unit cannot be done.
    """
    todo = list(stages)
    at = 0
    while at < len(todo):
        try:
            _run_stage(job, todo, at, executor, on_progress, cancel)
        except WindowTooLarge as error:
            begin_anew(job, error)
            at = next(number for number, stage in enumerate(todo) if stage.name == PLAN)
        else:
            at += 1


def _run_stage(
    job: BlockJob, stages: Sequence[Stage], at: int, executor: Executor, on_progress: OnProgress, cancel: CancelFlag
) -> None:
    stage = stages[at]
    units = list(stage.units(job))
    missing = [unit for unit in units if not stage.is_done(job, unit)]
    shares = [_SHARES.get(one.name, _SHARE) for one in stages]
    count = len(units) - len(missing)

    def report(unit: Unit | None) -> None:
        part = count / len(units) if units else 0
        on_progress(BlockProgress(stage.name, sum(shares[:at]) + shares[at] * part, sum(shares), unit))

    def finished(unit: Unit) -> None:
        nonlocal count
        count += 1
        report(unit)

    report(None)
    if missing:
        executor.run(job, stage, missing, finished, cancel)
    if cancel() or job.is_cancelled():
        raise Cancelled(Sentence("{image}: the segmentation was cancelled.", image=job.image.name))
    stage.conclude(job)

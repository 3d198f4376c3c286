"""Options by which a command has its work done by several processes, and what they open."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from napari_unetseg.batch.parts import Distributor
    from napari_unetseg.blockwise.run import Executor
    from napari_unetseg.service import Segmenter

WorkersOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Do the work in N processes of this machine, which share its cores. Needs the extra [distributed].",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Have the work done by the workers of this scheduler of dask, such as tcp://lab:8786, or of the one that "
        "wrote this file (.json). Images, models and results must lie where all of them see them. Needs the extra "
        "[distributed].",
    ),
]


@dataclass(frozen=True)
class Hands:
    """Who does the work of a command.

    Attributes
    ----------
    executor
        For blocks of images beyond memory; None: this process.
    distributor
        For other images; None: this process.
    """

    executor: "Executor | None" = None
    distributor: "Distributor | None" = None


@contextmanager
def open_hands(service: "Segmenter", workers: int | None, scheduler: str | None) -> Iterator[Hands]:
    """Start workers, or connect to a scheduler, until the block ends; tell on stderr where they can be watched.

    Parameters
    ----------
    service
        With whose model and settings they work.
    workers, scheduler
        What was asked for; None for both: this process does all.

    Raises
    ------
    typer.BadParameter
        If both were asked for, or the network runs on a server.
    UnetsegError
        If there are no such workers.
    """
    if workers is None and scheduler is None:
        yield Hands()
        return
    if workers is not None and scheduler is not None:
        raise typer.BadParameter("the scheduler has workers of its own; leave --workers out", param_hint="--workers")
    from napari_unetseg.service import SegmentationService

    if not isinstance(service, SegmentationService):
        asked = "--workers" if scheduler is None else "--scheduler"
        raise typer.BadParameter("a server runs the network; name either a server or workers", param_hint=asked)
    from napari_unetseg.cluster.connection import connected, started
    from napari_unetseg.cluster.dask_executor import DaskExecutor
    from napari_unetseg.cluster.distributor import DaskDistributor

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    with connected(scheduler) if scheduler is not None else started(workers or 1) as cluster:
        if cluster.dashboard is not None:
            tell(f"What the workers do: {cluster.dashboard}")
        yield Hands(DaskExecutor(service, cluster.client, tell), DaskDistributor(service, cluster.client, tell))

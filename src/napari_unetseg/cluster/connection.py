"""A scheduler of dask.distributed: one that runs somewhere, or one of this process with workers beside it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetseg.cluster.worker_check import THREADS_IN_WORKERS, address_of
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import ComputerGone, ParameterError, UnetsegError
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from distributed import Client

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SECONDS = 20
_HERE = "127.0.0.1"


@dataclass(frozen=True)
class Cluster:
    """A scheduler that is connected to.

    Attributes
    ----------
    client
        The connection.
    address
        Of the scheduler, such as ``"tcp://lab:8786"``.
    dashboard
        Address of the page that shows what the workers do; None where there is none.
    """

    client: "Client"
    address: str
    dashboard: str | None


@contextmanager
def connected(scheduler: str) -> Iterator[Cluster]:
    """Connect to a scheduler until the block ends.

    Parameters
    ----------
    scheduler
        Its address, such as ``"tcp://lab:8786"``, or the file that it was told to write (``--scheduler-file``).

    Raises
    ------
    ComputerGone
        If it does not answer.
    UnetsegError
        If distributed is not installed, or there is no such kind of address.
    """
    _check_installed()
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
    if "scheduler_file" in where and not Path(scheduler).is_file():  # distributed would wait for it without end
        raise ParameterError(
            Sentence(
                "{file}: there is no such file. Start the scheduler first: dask scheduler --scheduler-file {file}",
                file=scheduler,
            )
        )
    try:
        if "address" in where:
            get_address_host_port(scheduler)
        client = Client(**where, timeout=_SECONDS, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ComputerGone(
            Sentence(
                "The scheduler {address} does not answer. Check the address and that 'dask scheduler' runs there.",
                address=scheduler,
            )
        ) from error
    except ValueError as error:
        raise ParameterError(
            Sentence(
                "{address} is no address of a scheduler ({reason}). It looks like tcp://lab:8786; 'dask scheduler' "
                "prints it when it starts.",
                address=scheduler,
                reason=error,
            )
        ) from error
    with client:
        yield Cluster(client, address_of(client), _page(client))


@contextmanager
def started(workers: int) -> Iterator[Cluster]:
    """Start workers in processes of this machine, which share its cores, until the block ends.

    Scheduler and dashboard listen on this machine alone.

    Raises
    ------
    ParameterError
        If there are no workers, or more than cores.
    UnetsegError
        If distributed is not installed, or workers cannot be started.
    """
    _check_installed()
    import dask
    from distributed import Client, LocalCluster

    if not 1 <= workers <= usable_cores():
        raise ParameterError(
            Sentence(
                "{workers} workers cannot be started here: this machine has {cores} cores, and each worker needs one.",
                workers=workers,
                cores=usable_cores(),
            )
        )
    # Set here to nothing, OMP_NUM_THREADS has in workers what the user gave it, and is not there otherwise.
    with _kept_variables(), dask.config.set({THREADS_IN_WORKERS: None}):
        try:
            # Memory is not limited by dask: it would end a worker that takes more than its share of the machine's.
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host=_HERE,
                dashboard_address=f"{_HERE}:0",
                memory_limit=0,
                silence_logs=logging.ERROR,  # what a lost worker had to do is done by others
            )
        except (OSError, RuntimeError, TimeoutError) as error:
            raise UnetsegError(
                Sentence("{workers} workers could not be started ({reason}).", workers=workers, reason=error)
            ) from error
        with cluster, Client(cluster, set_as_default=False) as client:
            yield Cluster(client, str(cluster.scheduler_address), _page(client))


def _check_installed() -> None:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise UnetsegError(
            Sentence(
                "To distribute work over processes or machines, install what it needs: "
                'pip install "napari-unetseg[distributed]"'
            )
        ) from error


def _page(client: "Client") -> str | None:
    """Return where the dashboard is, if the scheduler has one."""
    services: dict[str, Any] = client.scheduler_info(n_workers=0).get("services", {})
    return str(client.dashboard_link) if "dashboard" in services else None


@contextmanager
def _kept_variables() -> Iterator[None]:
    """Put the variables back that starting workers leaves at 1 in this process."""
    before = {name: os.environ.get(name) for name in _THREADS}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

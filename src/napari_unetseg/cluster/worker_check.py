"""Whether workers can do what they are asked for, and what each of them has."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from napari_unetseg import __version__
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from distributed import Client

PACKAGE = "napari-unetseg"
GPU = "GPU"
"""Name of the resource by which a worker says that it has a GPU, as in ``dask worker --resources GPU=1``."""

THREADS_IN_WORKERS = "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS"
"""Setting of dask: to what it sets ``OMP_NUM_THREADS`` of workers where nobody else did; 1 unless it was changed."""

Tell = Callable[[str], None]
"""Told a sentence on what somebody who waits would like to know."""

_POLL = 0.5


@dataclass(frozen=True)
class Workers:
    """What the workers of a scheduler have.

    Attributes
    ----------
    addresses
        Of all that are there.
    threads
        Tasks that they do at the same time, together.
    have_gpus
        Whether some have said that they have a GPU.
    """

    addresses: tuple[str, ...]
    threads: int
    have_gpus: bool


def address_of(client: "Client") -> str:
    """Return the address of the scheduler that a client is, or was, connected to."""
    return str(client.scheduler.address if client.scheduler is not None else client._start_arg)


def look_at(client: "Client") -> Workers:
    """Return which workers there are now."""
    workers: Mapping[str, Mapping[str, Any]] = client.scheduler_info(n_workers=-1)["workers"]
    return Workers(
        tuple(workers),
        sum(worker["nthreads"] for worker in workers.values()),
        any(worker["resources"].get(GPU) for worker in workers.values()),
    )


def wait_for_workers(client: "Client", tell: Tell, cancel: CancelFlag) -> Workers:
    """Return which workers there are, once there is one.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    """
    told = False
    while not (workers := look_at(client)).addresses:
        if not told:
            tell(no_workers(client))
            told = True
        if cancel():
            raise Cancelled(Sentence("The work of the workers was cancelled."))
        sleep(_POLL)
    return workers


def no_workers(client: "Client", *, with_gpu: bool = False) -> Sentence:
    """Return what somebody is told who waits for a worker, or for one with a GPU."""
    if with_gpu:
        return Sentence(
            "No worker of the scheduler {address} has a GPU any more; waiting for one.", address=address_of(client)
        )
    return Sentence("The scheduler {address} has no workers yet; waiting for one.", address=address_of(client))


def check_workers(client: "Client", folder: Path) -> None:
    """Refuse workers that have another version of this package or none, or do not see a folder.

    Those that come later show it when they begin to work.

    Raises
    ------
    UnetsegError
        The message names the worker and what to do.
    """
    found: dict[str, Any] = client.get_versions(packages=[PACKAGE])  # type: ignore[assignment]  # it is synchronous
    for address, versions in found["workers"].items():
        check_version(address, versions["packages"].get(PACKAGE))
    for address, sees in client.run(os.path.isdir, str(folder.absolute())).items():
        if not sees:
            raise folder_not_seen(address, folder)


def check_version(worker: str, version: str | None, wanted: str = __version__) -> None:
    """Refuse a worker that has another version than the process that leads, or None.

    Raises
    ------
    UnetsegError
        The message names the worker and what to do.
    """
    if version is None:
        raise UnetsegError(
            Sentence(
                "The worker {worker} has no napari-unetseg. Install it in the environment that it runs in: pip "
                'install "napari-unetseg[distributed]=={wanted}"',
                worker=worker,
                wanted=wanted,
            )
        )
    if version != wanted:
        raise UnetsegError(
            Sentence(
                "The worker {worker} has napari-unetseg {version}, but here it is {wanted}. Install the same version "
                "everywhere.",
                worker=worker,
                version=version,
                wanted=wanted,
            )
        )


def folder_not_seen(worker: str, folder: Path) -> UnetsegError:
    """Return the error of a worker that does not see a folder."""
    return UnetsegError(
        Sentence(
            "{folder}: the worker {worker} does not see this folder. Choose an output folder on a disk that all "
            "machines share, under the same path.",
            folder=folder,
            worker=worker,
        )
    )


def core_sharers(client: "Client") -> dict[str, int]:
    """Count the workers that share each set of cores; see `cores_of_process`."""
    return dict(Counter(client.run(cores_of_process).values()))


def cores_of_process() -> str:
    """Return which machine this is, and which of its cores this process may use."""
    from socket import gethostname

    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    return f"{gethostname()} {cores}"

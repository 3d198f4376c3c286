"""What a worker does: units of a stage, with the job and the model that its process has opened."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from napari_unetseg.blockwise.job import BlockJob, JobSpec, LabelTarget, Network
from napari_unetseg.blockwise.job_folder import JobFolder
from napari_unetseg.blockwise.stages import Stage, Unit
from napari_unetseg.cluster.worker_check import cores_of_process, folder_not_seen
from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import Cancelled

if TYPE_CHECKING:
    from napari_unetseg.service import SegmentationService

_SECONDS = 0.5
"""Between two looks at whether a job shall stop: each asks a disk that may be far away."""
_JOBS = 2


@dataclass(frozen=True)
class WorkOrder:
    """What every task of a job carries; a few kilobytes.

    Attributes
    ----------
    folder
        Of the job.
    spec
        What was asked for, as JSON.
    target
        Where labels go.
    service
        Stands for the service of the process that leads.
    sharers
        How many workers share each set of cores, by what `cores_of_process` returns.
    """

    folder: Path
    spec: str
    target: LabelTarget
    service: "SegmentationService"
    sharers: Mapping[str, int]

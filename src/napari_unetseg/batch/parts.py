"""A batch in parts, which other processes do: what they are told, and what they tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_unetseg.batch.events import Event
from napari_unetseg.batch.output_files import Target
from napari_unetseg.callbacks import CancelFlag

if TYPE_CHECKING:
    from napari_unetseg.batch.segment_files import BatchJob


@dataclass(frozen=True)
class BatchPart:
    """Some images of a batch, in values that can be sent to another process; `segment_part` does them there.

    Attributes
    ----------
    job
        With these images alone.
    targets
        Where the results of each go, as it was planned for all images together.
    """

    job: "BatchJob"
    targets: Mapping[Path, Target]


@dataclass(frozen=True)
class PartOutcome:
    """What became of the images of a part, in values that can be sent.

    Attributes
    ----------
    events
        The last one of each image that has ended. Its error is set only where the process did not come to record it.
    large
        Images that are left to `SegmentationService.segment_blocks`, which divides each of them.
    """

    events: tuple[Event, ...]
    large: tuple[Path, ...] = ()


class Distributor(Protocol):
    """Has the parts of a batch done by other processes, each of which calls `segment_part`."""

    def run_parts(
        self, parts: Sequence[BatchPart], finished: Callable[[PartOutcome], None], cancel: CancelFlag
    ) -> None:
        """Do all these parts; return when all are done, or `cancel` returned True.

        A part may be done again, by another process, where the first one was lost.

        Parameters
        ----------
        finished
            Called with the outcome of each part, in the calling thread.
        cancel
            Polled in the calling thread.

        Raises
        ------
        UnetsegError
            If nothing can be done there.
        """
        ...

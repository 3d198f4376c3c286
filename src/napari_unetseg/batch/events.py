"""What happens to the files of a batch, in plain values for any face to draw."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

from napari_unetseg.batch.output_files import Target

Status = Literal["waiting", "running", "done", "skipped", "failed"]
"""Where a file stands; ``"skipped"`` is done by an earlier run, or another process, in the same way."""

FINISHED_STATUSES: frozenset[Status] = frozenset({"done", "skipped", "failed"})


@dataclass(frozen=True)
class Event:
    """Something happened to a file.

    Attributes
    ----------
    file
        Which.
    status
        Where it stands now. Files that a cancelled run did not finish are waiting again.
    fraction
        How far the network is with it, 0..1, while it is running.
    objects
        How many were found, once it is done or where it was before.
    seconds
        How long it took, with writing.
    message
        Why it failed, or warnings.
    error
        What it failed of, in this run.
    target
        Where its results are, where there are some.
    changed
        Names of its result files that somebody changed since they were written; they were left as they are.
    """

    file: Path
    status: Status
    fraction: float = 0.0
    objects: int | None = None
    seconds: float | None = None
    message: str = ""
    error: Exception | None = None
    target: Target | None = None
    changed: tuple[str, ...] = ()


class BatchCounts:
    """Counts what happened, and says how long the rest will take.

    Parameters
    ----------
    files
        All files of the batch.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._latest = {file: Event(file, "waiting") for file in files}
        self._began = monotonic()
        self._network_began: float | None = None

    def add(self, event: Event) -> None:
        """Take note of an event; those of other files are left out."""
        if event.status == "running" and self._network_began is None:
            self._network_began = monotonic()  # loading the model says nothing of the pace
        if event.file in self._latest:
            self._latest[event.file] = event

    @property
    def total(self) -> int:
        """Number of files."""
        return len(self._latest)

    @property
    def seconds(self) -> float:
        """Time since the batch began."""
        return monotonic() - self._began

    @property
    def objects(self) -> int:
        """Objects of all files that are done, in this run or before."""
        return sum(event.objects or 0 for event in self._latest.values())

    def count(self, *statuses: Status) -> int:
        """Return how many files stand there."""
        by_status = Counter(event.status for event in self._latest.values())
        return sum(by_status[status] for status in statuses)

    @property
    def ended(self) -> int:
        """Files that are done, skipped or failed."""
        return self.count(*FINISHED_STATUSES)

    @property
    def progress(self) -> float:
        """Files that have ended, and parts of those that run."""
        # Each file is looked at once: another thread may count it as ended meanwhile.
        events = list(self._latest.values())
        return sum(
            1 if event.status in FINISHED_STATUSES else event.fraction * (event.status == "running") for event in events
        )

    @property
    def seconds_left(self) -> float | None:
        """Time that the others will take at the pace of those that were computed; None before the first."""
        computed = self.progress - self.count("skipped")
        if self._network_began is None or not self.count("done"):
            return None
        return (monotonic() - self._network_began) / computed * (self.total - self.progress)

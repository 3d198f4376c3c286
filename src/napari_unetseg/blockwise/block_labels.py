"""The objects of a plane between two stages: numbers that each block gave its pixels, and what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.job import BlockJob
from napari_unetseg.blockwise.job_folder import damage_says
from napari_unetseg.blockwise.joining import starts_of
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.postprocessing.blocks import Block, relative_to


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array into a file, whole, of which parts can be read; see `open_array`."""
    with whole_file(path) as temporary:
        np.save(temporary, array)


def open_array(path: Path) -> NDArray[Any]:
    """Return the array of a file, which is read where it is looked at.

    Raises
    ------
    UnetsegError
        If the file is damaged.
    """
    with damage_says(path):
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array


def save_parts(path: Path, parts: Sequence[NDArray[Any]]) -> None:
    """Write one array for each block of a plane into two files, whole; see `open_part`."""
    save_array(_starts_file(path), starts_of([len(part) for part in parts]))
    save_array(path, np.concatenate(parts))


def open_part(path: Path, number: int) -> NDArray[Any]:
    """Return the array of a block."""
    start, stop = open_array(_starts_file(path))[number : number + 2]
    return open_array(path)[start:stop]


def _starts_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}-starts.npy")


@dataclass(frozen=True)
class BlockLabels:
    """Labels of a plane as a stage leaves them, read where they are needed.

    Attributes
    ----------
    job
        Whose stage.
    stage
        Its name.
    plane
        Number of the plane.
    """

    job: BlockJob
    stage: str
    plane: int

    def numbers_file(self, number: int) -> Path:
        """Return where the numbers are that a block gave its pixels: 0 is background."""
        return self.job.folder.unit_file(self.stage, Unit(self.plane, number), ".npy")

    @property
    def labels_file(self) -> Path:
        """Where the labels are that these numbers mean, for 0 and all others of each block."""
        return self.job.folder.plane_file(self.stage, self.plane, "-labels.npy")

    def save_numbers(self, number: int, numbers: NDArray[np.int32], count: int) -> None:
        """Keep the numbers of a block, up to `count`, in as few bytes as hold them."""
        save_array(self.numbers_file(number), numbers.astype(np.uint16 if count < 2**16 else np.int32))

    def save_labels(self, labels: Sequence[NDArray[np.int32]]) -> None:
        """Say of each block which labels its numbers from 1 mean; 0 is background."""
        save_parts(self.labels_file, [np.append(np.int32(0), part) for part in labels])

    @property
    def are_known(self) -> bool:
        """Whether it is known which labels the numbers of all blocks mean."""
        return self.labels_file.exists()

    def block(self, number: int) -> NDArray[np.int32]:
        """Read a block, int32 (height, width)."""
        return self._read(number, (slice(None), slice(None)))

    def read(self, region: Block) -> NDArray[np.int32]:
        """Read any region, int32 (height, width)."""
        grid = self.job.grid
        labels = np.zeros([side.stop - side.start for side in region], np.int32)
        for number in grid.touching(region):
            block = grid.block(number)
            shared = tuple(
                slice(max(one.start, other.start), min(one.stop, other.stop))
                for one, other in zip(block, region, strict=True)
            )
            labels[relative_to(shared, region)] = self._read(number, relative_to(shared, block))
        return labels

    def _read(self, number: int, part: Block) -> NDArray[np.int32]:
        means = np.asarray(open_part(self.labels_file, number))
        labels: NDArray[np.int32] = np.take(means, open_array(self.numbers_file(number))[part])
        return labels

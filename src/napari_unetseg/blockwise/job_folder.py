"""The folder of a job: what was asked for, and what is done of it."""

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence, error_sentence

_STOP = "stop"


@dataclass(frozen=True)
class JobFolder:
    """Files of a job, each written whole, so that one that is there is finished.

    Attributes
    ----------
    path
        The folder, which all processes of the job see.
    """

    path: Path

    def unit_file(self, stage: str, unit: Unit, suffix: str = ".npz") -> Path:
        """Return where a unit of a stage leaves what it found."""
        return self.path / stage / f"{unit.plane:05d}" / f"{unit.number:07d}{suffix}"

    def plane_file(self, stage: str, plane: int, suffix: str = ".npz") -> Path:
        """Return where a stage leaves what it found of a plane."""
        return self.path / stage / f"{plane:05d}{suffix}"

    def stage_file(self, stage: str, suffix: str = ".npz") -> Path:
        """Return where a stage leaves what it concluded."""
        return self.path / f"{stage}{suffix}"

    @property
    def stop_requested(self) -> bool:
        """Whether somebody wants the job to stop, wherever its processes run."""
        return (self.path / _STOP).exists()

    def request_stop(self) -> None:
        """Let all processes of the job stop, each before its next unit and between the tiles of one."""
        (self.path / _STOP).touch()

    def withdraw_stop(self) -> None:
        """Let a job that was stopped go on."""
        (self.path / _STOP).unlink(missing_ok=True)


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays into a file, whole; see `load_arrays`."""
    with whole_file(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # its stubs take the names for options


def load_arrays(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file; where names are given, those alone.

    Raises
    ------
    UnetsegError
        If the file is damaged; see `damage_says`.
    """
    # Of a damaged file np.load would leave open what it opened itself.
    with damage_says(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in names or arrays.files}


def save_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values into a file, whole."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values), encoding="utf-8")


def load_json(path: Path) -> dict[str, Any]:
    """Read the values of a file.

    Raises
    ------
    UnetsegError
        If the file is damaged; see `damage_says`.
    """
    with damage_says(path):
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return values


@contextmanager
def damage_says(path: Path) -> Iterator[None]:
    """Say of a file of a job that it is damaged where a block that reads it stumbles.

    Files are written whole, so that a disk that fails, or somebody who wrote into it, has damaged it. What is missing
    or may not be read is told as ever, by an `OSError`.

    Raises
    ------
    UnetsegError
        The message says what to remove.
    """
    try:
        yield
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise UnetsegError(
            Sentence(
                "{path}: is damaged ({reason}), and the run cannot go on from it. Remove this file, so that this part "
                "is done again, or the whole folder of the run to begin anew.",
                path=path,
                reason=error_sentence(error) or type(error).__name__,
            )
        ) from error

"""The folder of a job: what was asked for, and what is done of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.io.atomic import whole_file

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


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def save_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values into a file, whole."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values), encoding="utf-8")


def load_json(path: Path) -> dict[str, Any]:
    """Read the values of a file."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values

"""What a folder of results holds: one JSON line for each image that was finished or could not be."""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_unetseg.batch.output_files import ResultKind, Target
from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable

JOURNAL_FILE = "segmentation_journal.jsonl"


class Record(BaseModel):
    """What was made of one image.

    Attributes
    ----------
    file
        The image, relative to the folder of the journal, with forward slashes; absolute on another drive.
    sha256
        Of the image file; empty if it could not be read.
    status
        ``"done"`` or ``"failed"``.
    stem
        Under which the results lie in the folder.
    results
        Kinds of results that were written, of a file that failed by the run before.
    decided_by
        Model and parameters that decide the result; see `napari_unetseg.batch.fingerprint`.
    objects
        How many were found; None if it failed.
    seconds
        How long it took, with writing.
    message
        Why it failed, or warnings.
    finished
        When, as ISO 8601 with time zone.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    sha256: str
    status: Literal["done", "failed"]
    stem: str
    results: tuple[ResultKind, ...] = ()
    decided_by: dict[str, Any] = Field(default_factory=dict)
    objects: int | None = None
    seconds: float = 0.0
    message: str = ""
    finished: str = Field(default_factory=lambda: datetime.now(UTC).astimezone().isoformat(timespec="seconds"))


class FolderJournal:
    """The journal of one folder; the last line about an image counts.

    A line that cannot be read, such as the last one of a run that was killed while it wrote, is left out: its image
    is then done again.

    Parameters
    ----------
    folder
        Folder of results. Nothing is made before the first record.

    Raises
    ------
    UnetsegError
        If there is a journal that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / JOURNAL_FILE
        self.records = {record.file: record for record in _read(self._path)}

    def key(self, image: Path) -> str:
        """Return the name by which an image is recorded."""
        try:
            return printable(Path(os.path.relpath(image.resolve(), self.folder.resolve())).as_posix())
        except ValueError:  # Windows: on another drive
            return printable(image.resolve().as_posix())

    def record(self, image: Path) -> Record | None:
        """Return what is known of an image; None if nothing."""
        return self.records.get(self.key(image))

    def targets(self) -> Mapping[Path, Target]:
        """Return the places of all recorded images, by absolute path."""
        folder = self.folder.resolve()
        return {
            Path(os.path.normpath(folder / record.file)): Target(self.folder, record.stem)
            for record in self.records.values()
        }

    def add(self, record: Record) -> None:
        """Write a record, at once and whole.

        Raises
        ------
        UnetsegError
            If the operating system refuses.
        """
        line = record.model_dump_json() + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                if not _ends_well(self._path):
                    line = "\n" + line  # what a killed run began stays a line of its own
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UnetsegError(
                Sentence(
                    "{path}: cannot be written ({reason}). Choose another output folder or make room on the disk.",
                    path=self._path,
                    reason=error.strerror or error,
                )
            ) from error
        self.records[record.file] = record


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read(path: Path) -> Iterable[Record]:
    try:
        lines = path.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read ({reason}). It says what is done already; delete it to begin anew.",
                path=path,
                reason=error.strerror,
            )
        ) from error
    for line in lines:
        try:
            yield Record.model_validate_json(line)
        except ValidationError:
            continue  # see `FolderJournal`

"""What a folder of results holds: one JSON line for each image that was finished or could not be, or was reviewed."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel

from napari_unetseg.batch.contents import list_result
from napari_unetseg.batch.output_files import ENDINGS, ResultKind, Target
from napari_unetseg.batch.places import address, as_path, is_url
from napari_unetseg.bounded_text import json_lines
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import sync
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable

JOURNAL_FILE = "segmentation_journal.jsonl"
LARGEST_JOURNAL = 10**9
"""Bytes up to which a journal is read: a line an image, of some kilobytes."""


class WrittenFile(BaseModel):
    """What a result held when it was written: its size in bytes, and the SHA-256 of its content.

    Of a folder, such as labels as OME-Zarr, it is that of its metadata and of what it lists; see `list_result`.
    """

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at a file, or folder.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        if path.is_dir():
            size, sha256 = list_result(path)
            return cls(size=size, sha256=sha256)
        return cls(size=path.stat().st_size, sha256=hash_file(path))


class Record(BaseModel):
    """What was made of one image.

    Attributes
    ----------
    file
        The image, relative to the folder of the journal, with forward slashes; absolute on another drive; or its URL.
    sha256
        Of the image, as `hash_image` has it; empty if it could not be read.
    status
        ``"done"`` or ``"failed"``.
    stem
        Under which the results lie in the folder.
    results
        Kinds of results that were written, of a file that failed by the run before.
    written
        What the files of these results held; of a kind that an earlier version wrote there is nothing.
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
    labels
        Where labels were written as OME-Zarr, named as `file` is; None: beside the other results, or not at all.
    plate, well, field
        Of a field of a plate, as `FieldPlace` has them; the plate is named as `file` is.
    scene
        Of a microscope's file that holds several: what `file` has of it after the name of the file.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    sha256: str
    status: Literal["done", "failed"]
    stem: str
    results: tuple[ResultKind, ...] = ()
    written: dict[ResultKind, WrittenFile] = Field(default_factory=dict)
    decided_by: dict[str, Any] = Field(default_factory=dict)
    objects: int | None = None
    seconds: float = 0.0
    message: str = ""
    finished: str = Field(default_factory=lambda: datetime.now(UTC).astimezone().isoformat(timespec="seconds"))
    labels: str | None = None
    plate: str | None = None
    well: str | None = None
    field: str | None = None
    scene: str | None = None


Verdict = Literal["accepted", "fixed", "rejected"]
"""What people say of a result: it is right, it was corrected by hand, or it is of no use."""


class Changes(BaseModel):
    """What was changed by hand, in numbers of objects.

    Attributes
    ----------
    before, after
        Objects that were found, and those that there are now.
    added, removed
        Objects that share no pixel with any one before, and those of which no pixel is left.
    altered
        Objects of now that share pixels with one before but are not the same.
    """

    model_config = ConfigDict(frozen=True)

    before: int
    after: int
    added: int = 0
    removed: int = 0
    altered: int = 0


class Decision(BaseModel):
    """What somebody decided about the result of an image. Versions that know no review leave such a line out.

    Attributes
    ----------
    file
        The image, as in `Record`.
    decision
        None takes back what was decided before.
    labels
        The label image that it is about; of another one it says nothing.
    fixed
        What the corrected files hold, if the result was corrected by hand, whatever was decided about it then.
    changes
        What was changed by hand; None if nothing was, or it is not known.
    by
        Who decided, by the name of the account.
    decided
        When, as ISO 8601 with time zone.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    decision: Verdict | None
    labels: WrittenFile
    fixed: dict[ResultKind, WrittenFile] = Field(default_factory=dict)
    changes: Changes | None = None
    by: str = ""
    decided: str = Field(default_factory=lambda: datetime.now(UTC).astimezone().isoformat(timespec="seconds"))


@dataclass(frozen=True)
class LeftOut:
    """An image of a folder that something could not be done with, and why."""

    file: Path
    reason: str


class _Line(RootModel[Record | Decision]):
    """A line of a journal."""


class FolderJournal:
    """The journal of one folder; the last line about an image counts. Several processes may add to it.

    Any thread may call any method. A line that cannot be read, such as the last one of a run that was killed while it
    wrote, is left out: its image is then done again.

    Parameters
    ----------
    folder
        Folder of results. Nothing is made before the first record.

    Attributes
    ----------
    records
        What was made of each image, by `key`.
    decisions
        What was decided about each image, by `key`; those taken back are left out.

    Raises
    ------
    UnetsegError
        If there is a journal that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / JOURNAL_FILE
        self._lock = threading.RLock()
        self._read_to = 0
        self.records: dict[str, Record] = {}
        self.decisions: dict[str, Decision] = {}
        self._corrections: dict[str, Decision] = {}
        self._stems: dict[str, str] = {}
        self._added: set[str] = set()
        self.refresh()
        self._added.clear()

    def refresh(self) -> bool:
        """Read what other processes added since; return whether there was anything.

        Raises
        ------
        UnetsegError
            If the journal cannot be read.
        """
        with self._lock:
            start, content = _read_from(self._path, self._read_to)
            ended = content.rfind(b"\n") + 1
            last = list(json_lines(content[ended:], _Line))
            # What has no end yet is read once it has one, unless it is whole without.
            self._read_to = start + (len(content) if last else ended)
            news = [line.root for line in (*json_lines(content[:ended], _Line), *last)]
            for line in news:
                if isinstance(line, Decision):
                    self._note_decision(line)
                else:
                    self.records[line.file] = line
                    self._stems[line.stem.casefold()] = line.file
                    self._added.add(line.file)
            return bool(news)

    def _note_decision(self, line: Decision) -> None:
        if line.decision is None:
            self.decisions.pop(line.file, None)
        else:
            self.decisions[line.file] = line
        if line.fixed:
            self._corrections[line.file] = line
        else:
            self._corrections.pop(line.file, None)

    def holds_another(self, image: Path, stem: str) -> bool:
        """Whether results of that stem are those of another image."""
        return self._stems.get(stem.casefold(), self.key(image)) != self.key(image)

    def was_added(self, image: Path) -> bool:
        """Whether anything was recorded of an image since this journal was opened, by any process."""
        return self.key(image) in self._added

    def key(self, image: Path) -> str:
        """Return the name by which an image is recorded."""
        if is_url(image):
            return address(image)
        try:
            return printable(Path(os.path.relpath(image.resolve(), self.folder.resolve())).as_posix())
        except ValueError:  # Windows: on another drive
            return printable(image.resolve().as_posix())

    def record(self, image: Path) -> Record | None:
        """Return what is known of an image; None if nothing."""
        return self.records.get(self.key(image))

    def decision(self, record: Record) -> Decision | None:
        """Return what was decided about a result, if it is the one on the disk; else None.

        Raises
        ------
        OSError
            If the label image cannot be read.
        """
        decision = self.decisions.get(record.file)
        if decision is None:
            return None
        labels = Target(self.folder, record.stem).path(ENDINGS[ResultKind.LABELS])
        return decision if WrittenFile.of(labels) == decision.labels else None

    def corrected(self, image: Path, kind: ResultKind) -> WrittenFile | None:
        """Return what a result file held when somebody had corrected it; None if nobody did."""
        correction = self._corrections.get(self.key(image))
        return correction.fixed.get(kind) if correction is not None else None

    def correction(self, file: str, labels: WrittenFile) -> Decision | None:
        """Return the last line by which a label image is known as corrected; None if it is not."""
        correction = self._corrections.get(file)
        return correction if correction and correction.fixed.get(ResultKind.LABELS) == labels else None

    def image(self, record: Record | Decision) -> Path:
        """Return the absolute path of the image that a line is about."""
        return self.path(record.file)

    def path(self, key: str) -> Path:
        """Return the absolute path of what is named by a `key`."""
        named = as_path(key)
        return named if is_url(named) else Path(os.path.normpath(self.folder.resolve() / named))

    def target(self, record: Record) -> Target:
        """Return where the results of an image lie."""
        return Target(self.folder, record.stem, None if record.labels is None else self.path(record.labels))

    def targets(self) -> Mapping[Path, Target]:
        """Return the places of all recorded images, by absolute path."""
        return {self.image(record): self.target(record) for record in self.records.values()}

    def add(self, entry: Record | Decision) -> None:
        """Write what was made of an image, or decided about it, at once and whole.

        Raises
        ------
        UnetsegError
            If the operating system refuses.
        """
        line = entry.model_dump_json() + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            is_new = not self._path.exists()
            with self._path.open("ab", buffering=0) as file:
                if not _ends_well(self._path):
                    line = "\n" + line  # what a killed run began stays a line of its own
                file.write(line.encode())  # at once, so that no other process's line lies in between
                os.fsync(file.fileno())
            if is_new:
                sync(self.folder)
        except OSError as error:
            raise UnetsegError(
                Sentence(
                    "{path}: cannot be written ({reason}). Choose another output folder or make room on the disk.",
                    path=self._path,
                    reason=error.strerror or error,
                )
            ) from error
        self.refresh()


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read_from(path: Path, start: int) -> tuple[int, bytes]:
    """Return what a file holds from a place on, or from its beginning if it is not even so long; and the place."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size - start > LARGEST_JOURNAL:
                raise UnetsegError(
                    Sentence(
                        "{path}: is larger than {limit} MB, which no journal of a folder is. Move it away to begin "
                        "anew.",
                        path=path,
                        limit=LARGEST_JOURNAL // 10**6,
                    )
                )
            start = start if start <= size else 0  # it was replaced
            file.seek(start)
            return start, file.read()
    except (FileNotFoundError, NotADirectoryError):
        return 0, b""
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{path}: cannot be read ({reason}). It says what is done already; delete it to begin anew.",
                path=path,
                reason=error.strerror,
            )
        ) from error

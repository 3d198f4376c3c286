"""What a window asked to be learnt, on disk: so that it can be followed, and taken up again after a kill.

Nothing here imports torch. A job's folder lies in the user's data folder and holds

    job.json       what was asked, see `TrainingJob`
    data/          images/ and masks/, where they were made for it
    checkpoints/   what is needed to go on
    events.jsonl   what the run told so far, a line each
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_unetseg.bounded_text import short_text
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.claims import claim_path, is_claimed
from napari_unetseg.language import Sentence
from napari_unetseg.training.progress_events import Failed, Finished, TrainingEvent, read_event
from napari_unetseg.zoo.card import as_name
from napari_unetseg.zoo.registry import list_models, taken_names, user_model_folder

JOB_FILE, EVENTS_FILE = "job.json", "events.jsonl"

JobState = Literal["running", "interrupted", "failed", "finished"]
ObjectType = Literal["touching", "area"]
NetworkSize = Literal["tiny", "standard"]


class TrainingJob(BaseModel):
    """What is to be learnt.

    Attributes
    ----------
    kind
        Whether a model is improved or a new one is trained.
    title
        What people call the new model.
    data
        Folder with ``images`` and ``masks`` of the same stems.
    output
        Folder of the new model, such as `free_model_folder` gives.
    model
        Name or folder of the model that is improved.
    minutes
        How long to train.
    objects, size
        Of a new model: whether touching objects are told apart or an area is found, and how large the network is.
    preview
        Image on which the model so far is shown after each validation.
    seed
        Of all that is drawn.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...; None for what the settings say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["improve", "train"]
    title: str
    data: Path
    output: Path
    model: str | None = None
    minutes: float = Field(5.0, gt=0)
    objects: ObjectType = "touching"
    size: NetworkSize = "standard"
    preview: Path | None = None
    seed: int = 0
    device: str | None = None


class JobFolder:
    """The folder of one job; see the module.

    Parameters
    ----------
    path
        The folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def data(self) -> Path:
        """Folder for images and masks that are made for this job."""
        return self.path / "data"

    @property
    def checkpoints(self) -> Path:
        """Folder for checkpoints."""
        return self.path / "checkpoints"

    @property
    def events_file(self) -> Path:
        """File of the events so far, a line each."""
        return self.path / EVENTS_FILE

    def read_job(self) -> TrainingJob:
        """Return what was asked.

        Raises
        ------
        UnetsegError
            If the file is missing or damaged.
        """
        path = self.path / JOB_FILE
        try:
            return TrainingJob.model_validate_json(short_text(path))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise UnetsegError(
                Sentence("{path}: what was to be learnt cannot be read. Delete the job.", path=path)
            ) from error

    def write_job(self, job: TrainingJob) -> None:
        """Write down what is asked, for the run and for those who find the folder later.

        Raises
        ------
        UnetsegError
            If the file cannot be written.
        """
        with whole_file(self.path / JOB_FILE) as temporary:
            temporary.write_text(job.model_dump_json(indent=2), encoding="utf-8")

    def arguments(self) -> list[str]:
        """Return the command line of the job, without the program: what `TrainingProcess` takes."""
        return command_line(self.read_job(), self.checkpoints)

    def events(self) -> list[TrainingEvent]:
        """Return what the run told so far; lines that were torn off are left out."""
        try:
            lines = self.events_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [event for line in lines if (event := _event(line)) is not None]

    def state(self) -> JobState:
        """Say how far it is: a process works on it, it can be taken up again, or its model is written."""
        if is_claimed(training_claim(self.checkpoints)):
            return "running"
        last = next(reversed(self.events()), None)
        if isinstance(last, Finished):
            return "finished"
        return "failed" if isinstance(last, Failed) else "interrupted"

    def delete(self) -> None:
        """Remove the folder with all that is in it; the model, if it was written, stays.

        Raises
        ------
        UnetsegError
            If a process works on it, or something in it cannot be removed.
        """
        if is_claimed(training_claim(self.checkpoints)):
            raise taken(self.checkpoints)
        _remove(self.path)

    def delete_checkpoints(self) -> None:
        """Remove what is only needed to go on, and is large; what was learnt from stays.

        Raises
        ------
        UnetsegError
            If something in it cannot be removed.
        """
        _remove(self.checkpoints)


def job_root() -> Path:
    """Return the folder of all jobs; it need not exist."""
    return user_data_path("napari-unetseg", appauthor=False) / "training"


def new_job_folder(title: str) -> JobFolder:
    """Make an empty folder for a job of that title.

    Raises
    ------
    UnetsegError
        If it cannot be made.
    """
    root = job_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name in _numbered(as_name(title)):
            try:
                (root / name).mkdir()
            except FileExistsError:
                continue
            return JobFolder(root / name)
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{folder}: cannot be written ({reason}). Make room on the disk, or allow writing there.",
                folder=root,
                reason=error.strerror or error,
            )
        ) from error
    raise AssertionError  # names do not run out


def job_folders() -> list[JobFolder]:
    """Return the folders of all jobs that were asked for, the latest first."""
    found = [path for path in job_root().glob("*") if (path / JOB_FILE).is_file()]
    return [JobFolder(path) for path in sorted(found, key=_asked_at, reverse=True)]


def unfinished_jobs() -> list[JobFolder]:
    """Return those of `job_folders` that no process works on and that have no model yet: interrupted or failed."""
    return [folder for folder in job_folders() if folder.state() in ("interrupted", "failed")]


def free_model_folder(title: str) -> Path:
    """Return a folder among the user's models for a new one, named by its title, that no model and no job has yet."""
    taken = taken_names(list_models()) | {path.name for path in _wanted_folders()}
    root = user_model_folder()
    return next(root / name for name in _numbered(as_name(title)) if name not in taken and not (root / name).exists())


def training_claim(checkpoints: Path) -> Path:
    """Return the claim that a run holds on its folder of checkpoints, see `napari_unetseg.io.claims`."""
    return claim_path(checkpoints, "training")


def taken(checkpoints: Path) -> UnetsegError:
    """Return the error that says that another process trains with a folder of checkpoints."""
    return UnetsegError(
        Sentence(
            "{folder}: another process trains with these checkpoints. Wait for it, or choose another folder.",
            folder=checkpoints,
        )
    )


def command_line(job: TrainingJob, checkpoints: Path) -> list[str]:
    """Return what stands behind ``napari-unetseg`` on the command line of a job."""
    if job.kind == "improve":
        words = ["improve", job.model or "", str(job.data / "images"), str(job.data / "masks")]
    else:
        words = ["train", str(job.data), "--objects", job.objects, "--size", job.size]
    words += ["--output", str(job.output), "--checkpoints", str(checkpoints), "--title", job.title]
    words += ["--minutes", f"{job.minutes:g}", "--seed", str(job.seed)]
    if job.preview is not None:
        words += ["--preview", str(job.preview)]
    if job.device is not None:
        words += ["--device", job.device]
    return words


def shell_line(arguments: Iterable[str]) -> str:
    """Return a command line as one types it into a shell of this machine."""
    words = ["napari-unetseg", *arguments]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def _wanted_folders() -> Iterator[Path]:
    """Yield where jobs want to write models that are not there yet."""
    for folder in job_folders():
        if folder.state() == "finished":
            continue
        try:
            yield folder.read_job().output
        except UnetsegError:
            continue  # nobody can take that job up again, which who tries is told


def _event(line: str) -> TrainingEvent | None:
    try:
        return read_event(line)
    except ValueError:
        return None


def _numbered(name: str) -> Iterator[str]:
    yield name
    stem = re.sub(r"_\d+$", "", name)
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1


def _asked_at(path: Path) -> float:
    try:
        return (path / JOB_FILE).stat().st_mtime
    except OSError:
        return 0.0  # it was deleted meanwhile


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{folder}: cannot be removed ({reason}). Close what has a file of it open.",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error

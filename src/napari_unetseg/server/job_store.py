"""Jobs on disk: what was sent, how each stands, and its results, so that no restart loses them.

Each job is a folder that is called by its id and appears whole: ``image`` is what was sent, ``job.json`` how the job
stands, ``progress.json`` how far it is, ``cancel`` says that it shall stop, and the others are its results. Who holds
the claim of a job (`napari_unetseg.io.claims`) alone may write, so that several servers may share a folder.
"""

import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Literal
from uuid import uuid4

from pydantic import ValidationError

from napari_unetseg.api.models import ErrorDetail, JobState, SegmentChoices
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import sync, whole_file
from napari_unetseg.io.claims import Claims, claim_path, is_claimed, sweep
from napari_unetseg.io.file_owner import disk_time, has_ended, owner_of_temporary, temporary_beside
from napari_unetseg.server.errors import ApiError
from napari_unetseg.server.job_record import Job, JobProgress, JobsUnavailable, NoRoomForJobs

ResultFormat = Literal["json", "tiff", "geojson"]

_log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{32}")
_IMAGE, _RECORD, _PROGRESS, _CANCEL = "image", "job.json", "progress.json", "cancel"
_DAMAGED = "damaged-"
_MOST_JOBS = 10_000  # each costs files and a look at every one of them
_BLOCK = 4096  # bytes on disk that the smallest file takes
_DRAFT_LASTS_S = 3600.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class _Read:
    """A record as it was read, and what its file looked like."""

    signature: tuple[int, int, int]
    job: Job


class JobStore:
    """The jobs of one folder; any thread may call any method.

    Parameters
    ----------
    folder
        Where they are kept; it is made when it is needed.
    keep_hours
        Hours after which a job that has come to an end is removed.
    max_gb
        Most room on disk for all of them, in 10^9 bytes.
    clock
        Says what time it is, in seconds since 1970.
    """

    def __init__(
        self, folder: Path, *, keep_hours: float, max_gb: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._keep_s = 3600 * keep_hours
        self._max_bytes = 1e9 * max_gb
        self._clock = clock
        # One thread at a time writes images and results: what each has room for, all may not have.
        self._writing = Lock()
        self._lock = Lock()
        self._known: dict[str, _Read] = {}

    def add(
        self,
        image: bytes,
        choices: SegmentChoices,
        *,
        owner: str | None,
        request_id: str,
        media_type: str | None = None,
    ) -> Job:
        """Keep a new job, which waits.

        Raises
        ------
        NoRoomForJobs
            If there is no room for it.
        JobsUnavailable
            If the folder cannot be written.
        """
        job = Job(
            job_id=uuid4().hex,
            owner=owner,
            request_id=request_id,
            created=self._clock(),
            choices=choices,
            media_type=media_type,
        )
        place = self._folder / job.job_id
        draft = temporary_beside(place)
        with self._writing, _explained():
            try:
                self._folder.mkdir(0o700, parents=True, exist_ok=True)
                self._check_room(len(image))
                draft.mkdir(0o700)
                (draft / _IMAGE).write_bytes(image)
                sync(draft / _IMAGE)
                _write(draft / _RECORD, job.model_dump_json())
                sync(draft)
                draft.rename(place)
                sync(self._folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return job

    def find(self, job_id: str, owner: str | None) -> Job | None:
        """Return a job of a key; None if the key has no such job, or has it no longer."""
        job = self._read(job_id) if _ID.fullmatch(job_id) else None
        return job if job and job.owner == owner and not self._is_expired(job) else None

    def jobs(self, owner: str | None) -> list[Job]:
        """Return the jobs of a key, in the order of their arrival.

        Raises
        ------
        JobsUnavailable
            If the folder cannot be read.
        """
        with _explained():
            return [job for job in self._all() if job.owner == owner and not self._is_expired(job)]

    def waiting(self) -> list[Job]:
        """Return the jobs of all keys that wait, in the order of their arrival.

        Raises
        ------
        OSError
            If the folder cannot be read.
        """
        return [job for job in self._all() if job.state == "waiting"]

    def expires(self, job: Job) -> float | None:
        """Return when a job will be removed, in seconds since 1970; None until it has come to an end."""
        return None if job.finished is None else job.finished + self._keep_s

    @contextmanager
    def claimed(self, job_id: str) -> Iterator[Job | None]:
        """Have a job for oneself until the block ends; it yields the job as it stands now, or None if another has it.

        Raises
        ------
        JobsUnavailable
            If the folder cannot be written.
        """
        with Claims() as claims:
            with _explained():
                is_ours = claims.claim(claim_path(self._folder, job_id))
            yield self._read(job_id) if is_ours else None

    def image(self, job: Job) -> bytes:
        """Return what was sent.

        Raises
        ------
        JobsUnavailable
            If it cannot be read.
        """
        with _explained():
            return (self._place(job) / _IMAGE).read_bytes()

    def start(self, job: Job) -> None:
        """Write down that a job runs; the caller has claimed it."""
        with _explained():
            (self._place(job) / _PROGRESS).unlink(missing_ok=True)
            self._save(job.model_copy(update={"state": "running"}))

    def put_back(self, job: Job) -> None:
        """Let a job wait again; the caller has claimed it."""
        with _explained():
            self._save(job.model_copy(update={"state": "waiting"}))

    def complete(self, job: Job, results: Mapping[ResultFormat, bytes]) -> None:
        """Keep the results of a job, which then is done; the caller has claimed it.

        Raises
        ------
        NoRoomForJobs
            If there is no room for them.
        JobsUnavailable
            If the folder cannot be written.
        """
        place = self._place(job)
        with self._writing, _explained():
            # The image is removed once they are there.
            self._check_room(sum(map(len, results.values())) - (place / _IMAGE).stat().st_size)
            for kind, content in results.items():
                with whole_file(_result_path(place, kind)) as path:
                    path.write_bytes(content)
            sync(place)
        self._end(job, "done")

    def abandon(self, job: Job, state: JobState, error: ErrorDetail | None = None) -> None:
        """Write down that a job has ended without results; the caller has claimed it."""
        with _explained():
            # First of all, as there may be no room for the record otherwise.
            for path in self._place(job).iterdir():
                if path.name not in (_RECORD, _PROGRESS):
                    path.unlink()
        self._end(job, state, error)

    def open_result(self, job: Job, kind: ResultFormat) -> BinaryIO:
        """Open a result of a job that is done.

        Raises
        ------
        FileNotFoundError
            If it was removed meanwhile.
        """
        return _result_path(self._place(job), kind).open("rb")

    def ask_to_stop(self, job: Job) -> None:
        """Ask whoever works on a job to stop, in whichever process."""
        with _explained(), suppress(FileNotFoundError):  # it was removed meanwhile
            (self._place(job) / _CANCEL).touch()

    def is_asked_to_stop(self, job: Job) -> bool:
        """Whether somebody asked for a job to stop."""
        return (self._place(job) / _CANCEL).exists()

    def progress(self, job: Job) -> JobProgress:
        """Return how far a job is."""
        try:
            return JobProgress.model_validate_json((self._place(job) / _PROGRESS).read_bytes())
        except (OSError, ValidationError):
            return JobProgress()  # it has not begun, or the disk is gone, which its results will say

    def write_progress(self, job: Job, progress: JobProgress) -> None:
        """Write down how far a job is, if that can be; the caller has claimed it."""
        path = self._place(job) / _PROGRESS
        draft = temporary_beside(path)
        try:
            # Not synced: a server that has ended makes no progress.
            draft.write_text(progress.model_dump_json(), encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            _log.warning("the progress of job %s cannot be written: %s", job.job_id, error.strerror or error)

    def remove(self, job: Job) -> None:
        """Remove a job that has ended, with all that belongs to it; it is gone at once for whoever looks.

        No claim is needed, as nobody writes to it any more; a full disk may not have room for one.

        Raises
        ------
        JobsUnavailable
            If the folder cannot be written.
        """
        with _explained():
            _remove(self._place(job))

    def tidy(self) -> None:
        """Remove what has expired, and what killed servers left; say of jobs that these ran that they ended with them.

        Raises
        ------
        JobsUnavailable
            If the folder cannot be written.
        """
        if not self._folder.is_dir():
            return
        with _explained():
            jobs = self._all()
            for job in filter(self._is_expired, jobs):
                self.remove(job)
            self._remove_drafts()
            sweep(self._folder)
            for job in jobs:
                if job.state == "running" and not is_claimed(claim_path(self._folder, job.job_id)):
                    self._end_of_killed(job.job_id)

    def _end_of_killed(self, job_id: str) -> None:
        with self.claimed(job_id) as job:
            if job is None or job.state != "running":
                return  # another server was faster
            if self.is_asked_to_stop(job):
                self.abandon(job, "cancelled")
                return
            _log.warning("job %s was interrupted: the server that worked on it has ended", job.job_id)
            message = "The server stopped while it worked on this job, and nothing came of it. Send it again."
            self.abandon(job, "interrupted", ErrorDetail(code="interrupted", message=message))

    def _remove_drafts(self) -> None:
        now = disk_time(self._folder)
        for path in [*self._folder.glob(".unetseg-*"), *self._folder.glob(f"{_DAMAGED}*")]:
            owner = owner_of_temporary(path)
            try:
                touched = path.stat().st_mtime
            except FileNotFoundError:
                continue  # it has become a job, or is removed by who made it
            if path.name.startswith(_DAMAGED):
                is_due = now - touched > self._keep_s
            else:
                is_due = owner is not None and (
                    now - touched > _DRAFT_LASTS_S or has_ended(owner, touched, now, _DRAFT_LASTS_S)
                )
            if is_due and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _all(self) -> list[Job]:
        try:
            names = [path.name for path in self._folder.iterdir() if _ID.fullmatch(path.name)]
        except FileNotFoundError:
            return []  # there were none yet
        with self._lock:
            for gone in self._known.keys() - set(names):
                del self._known[gone]
        found = [job for name in names if (job := self._read(name))]
        return sorted(found, key=lambda job: (job.created, job.job_id))

    def _read(self, job_id: str) -> Job | None:
        path = self._folder / job_id / _RECORD
        try:
            stat = path.stat()
            signature = stat.st_mtime_ns, stat.st_ino, stat.st_size
            with self._lock:
                known = self._known.get(job_id)
            if known and known.signature == signature:
                return known.job
            job = Job.model_validate_json(path.read_bytes())
            if job.job_id != job_id:
                raise ValueError("it is the record of another job")
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.error("job %s cannot be read: %s", job_id, error.strerror or error)
            return None
        except ValueError as error:
            self._set_aside(job_id, error)
            return None
        with self._lock:
            self._known[job_id] = _Read(signature, job)
        return job

    def _set_aside(self, job_id: str, error: ValueError) -> None:
        """Let a job whose record cannot be understood lie beside the others, until its time is over."""
        place = self._folder / job_id
        aside = place.with_name(f"{_DAMAGED}{job_id}")
        _log.error("job %s: its record is damaged (%s); its folder is now %s", job_id, _short(error), aside.name)
        try:
            place.rename(aside)
            aside.touch()  # from now on it is kept as long as any other
        except OSError as refused:
            _log.error("job %s cannot be moved aside: %s", job_id, refused.strerror or refused)

    def _end(self, job: Job, state: JobState, error: ErrorDetail | None = None) -> None:
        with _explained():
            self._save(job.model_copy(update={"state": state, "finished": self._clock(), "error": error}))
            for name in (_IMAGE, _CANCEL):
                (self._place(job) / name).unlink(missing_ok=True)

    def _save(self, job: Job) -> None:
        _write(self._place(job) / _RECORD, job.model_dump_json())

    def _place(self, job: Job) -> Path:
        return self._folder / job.job_id

    def _is_expired(self, job: Job) -> bool:
        expires = self.expires(job)
        return expires is not None and self._clock() >= expires

    def _check_room(self, size: int) -> None:
        used = count = 0
        for folder, _, files in os.walk(self._folder):  # which passes over what is removed meanwhile
            used += _BLOCK
            count += 1
            for name in files:
                with suppress(FileNotFoundError):
                    used += max(Path(folder, name).stat().st_size, _BLOCK)
        if count > _MOST_JOBS or used + size > self._max_bytes:
            raise NoRoomForJobs(
                "The server has no room for this job. Delete jobs that you need no longer, or come again later."
            )


def _result_path(place: Path, kind: ResultFormat) -> Path:
    return place / f"result.{kind}"


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _remove(place: Path) -> None:
    """Remove a folder, which is there no more as soon as that begins."""
    aside = temporary_beside(place)
    with suppress(FileNotFoundError):
        place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
    return str(error)


@contextmanager
def _explained() -> Iterator[None]:
    """Say without paths what the operating system refused, as clients read it; the log has the whole."""
    try:
        yield
    except ApiError:
        raise
    except (OSError, UnetsegError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        _log.error("%s", error)
        if isinstance(cause, OSError) and cause.errno in _FULL:
            raise NoRoomForJobs(
                "The disk of the server is full, so that it keeps no job. Tell whoever runs it."
            ) from error
        raise JobsUnavailable(
            "The server can keep no jobs now; its log has the reason. Tell whoever runs it."
        ) from error

"""A training run in a process of its own: started, followed by its events, stopped or left to be taken up again.

Nothing here imports torch. The process is the very command line that people type, with ``--events``: it writes each
event as a line of JSON, and obeys what comes in on its standard input. So a window stays live whatever the run does,
and a run whose window was killed sees the end of its input, writes a checkpoint and goes.
"""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import psutil

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence, in_use
from napari_unetseg.training.progress_events import Failed, Finished, TrainingEvent, event_line, read_event

LANGUAGE_VARIABLE = "UNET_WINDOW_LANGUAGE"
"""Variable of the language in which a run that a program follows says its sentences."""

STOP = "stop"
"""The line on a run's standard input that asks it to end now and keep the best weights so far."""

LEFT_TO_BE_RESUMED = 130
"""Exit status of a run that wrote a checkpoint and went, as nobody follows it any more."""

# On two busy cores, beside a run that takes both, a thread that wakes every 13 ms, as a window's does, is late by 38 ms
# in the median and 114 at the 99th percentile where the two are equal, and by 11 and 47 at this priority.
_NICE = 10
_LINES_KEPT = 8


class TrainingProcess:
    """A run of ``napari-unetseg improve`` or ``train``, at a low priority, so that windows go before it.

    Parameters
    ----------
    arguments
        What stands behind ``napari-unetseg`` on the command line, as `job_folder.command_line` returns it;
        ``--events`` is added.
    log
        File to which every event is appended as a line.

    Raises
    ------
    UnetsegError
        If no process can be started, or the file cannot be written.
    """

    def __init__(self, arguments: Sequence[str], log: Path | None = None) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._abandoned = False
        self._last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        # Not from the current folder, in which a file may be called as a module is.
        line = [sys.executable, "-P", "-m", "napari_unetseg", *arguments, "--events"]
        try:
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                log.touch()
            self._process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603 (this program)
                line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", LANGUAGE_VARIABLE: in_use()},
                # A key that interrupts this program does not reach the process.
                start_new_session=sys.platform != "win32",
                creationflags=_creation_flags(),
            )
        except OSError as error:
            raise UnetsegError(
                Sentence("Training cannot be started ({reason}).", reason=error.strerror or error)
            ) from error
        _give_way(self._process.pid)
        self._errors = threading.Thread(target=self._keep_last_lines, name="unetseg-training-errors", daemon=True)
        self._errors.start()

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def events(self) -> Iterator[TrainingEvent]:
        """Yield what the run tells, as it tells it, until the process has ended; blocks, so it is for a thread.

        The last is `Finished` or `Failed`, but for a run that was abandoned, which can be taken up again.
        """
        told = False
        for line in self._process.stdout or ():
            try:
                event = read_event(line)
            except ValueError:  # a library that prints
                self._last_lines.append(line.rstrip())
                continue
            told = told or isinstance(event, Finished | Failed)
            self._keep(event)
            yield event
        status = self._process.wait()
        self._errors.join()
        self._close(self._process.stdin, self._process.stdout, self._process.stderr)
        if not told and not self._abandoned and status != LEFT_TO_BE_RESUMED:
            event = Failed(text=self._why(status))
            self._keep(event)
            yield event

    def stop(self) -> None:
        """Ask the run to end now; it writes the model with the best weights so far."""
        with self._lock:
            stdin = self._process.stdin
            if stdin is None or stdin.closed:
                return
            try:
                stdin.write(f"{STOP}\n")
                stdin.flush()
            except OSError:
                return  # it has ended by itself

    def abandon(self) -> None:
        """Let the run write a checkpoint and go; the same command takes it up again. Does not wait for it."""
        self._abandoned = True
        self._close(self._process.stdin)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and return its exit status.

        Raises
        ------
        subprocess.TimeoutExpired
            If it has not after `timeout` seconds.
        """
        return self._process.wait(timeout)

    def _close(self, *streams: IO[str] | None) -> None:
        with self._lock:
            for stream in filter(None, streams):
                try:
                    stream.close()
                except OSError:  # what was written to it and not read is lost with the process
                    continue

    def _keep(self, event: TrainingEvent) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{event_line(event)}\n")

    def _keep_last_lines(self) -> None:
        for line in self._process.stderr or ():
            if line.strip():
                self._last_lines.append(line.rstrip())

    def _why(self, status: int) -> str:
        said = "\n".join(self._last_lines).removeprefix("Error: ")
        if said and status > 0:
            return said
        ended = Sentence("Training ended unexpectedly (exit status {status}).", status=status)
        return f"{ended}\n{said}" if said else ended


def _creation_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    return 0


def _give_way(pid: int) -> None:
    """Lower the priority of a process."""
    if sys.platform == "win32":
        return
    try:
        process = psutil.Process(pid)
        process.nice(max(process.nice(), _NICE))
    except psutil.Error:
        return  # it has ended, which its events will say

"""What `train` and `improve` have in common: telling how far they are, and ending early without loss.

With ``--events`` they talk to a program: each event is a line of JSON on stdout, ``stop`` on stdin ends the run with
the best weights so far, and the end of stdin means that nobody listens any more: a checkpoint is written, and the run
goes.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Any

import typer

from napari_unetseg.errors import Cancelled, UnetsegError, one_line
from napari_unetseg.io.claims import Claims
from napari_unetseg.language import Sentence, translated, use
from napari_unetseg.training.job_folder import taken, training_claim
from napari_unetseg.training.progress_events import Begun, Failed, Told, TrainingEvent, Validated, event_line
from napari_unetseg.training.training_process import LANGUAGE_VARIABLE, LEFT_TO_BE_RESUMED, STOP

CheckpointsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for checkpoints; run the same command again to go on from them. "
        "Default: in the user's cache folder, by the name of the model.",
        file_okay=False,
    ),
]
PreviewOption = Annotated[
    Path | None,
    typer.Option(
        metavar="IMAGE",
        help="Image whose labels, as the model so far finds them, are written to preview.npy in the folder of the "
        "checkpoints after each validation.",
    ),
]
EventsOption = Annotated[
    bool,
    typer.Option(
        "--events",
        help="For programs: tell each event as a line of JSON on stdout, and obey stdin, on which 'stop' ends the run "
        "with the best weights so far, and whose end leaves it to be taken up again.",
    ),
]

_STDIN, _STDERR = 0, 2

GOES_AFTER = 60.0
"""Seconds after which a run that nobody follows ends where it is; files are written whole, so nothing is lost by it."""


SCORES = {"ap": "mean AP", "ap50": "AP@0.5", "dice": "Dice"}


def default_checkpoints(name: str) -> Path:
    """Return the folder of checkpoints of a model of that name, where none is chosen."""
    from platformdirs import user_cache_path

    return user_cache_path("napari-unetseg", appauthor=False) / "training" / name


class TrainingRun:
    """Tells of a run and hears how to end it, while its block lasts; its exit status is that of the command.

    Parameters
    ----------
    checkpoints
        Folder that this run has to itself.
    as_events
        Whether it talks to a program.
    """

    def __init__(self, checkpoints: Path, as_events: bool) -> None:
        self._checkpoints, self._as_events = checkpoints, as_events
        self._made = not checkpoints.exists()
        self._stopped, self._left = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._claims = Claims()
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "TrainingRun":
        """Take the folder of checkpoints, and listen.

        Raises
        ------
        UnetsegError
            If another process trains there.
        """
        if self._as_events:
            use(os.environ.get(LANGUAGE_VARIABLE, "en"))
            threading.Thread(target=self._listen, name="unetseg-training-commands", daemon=True).start()
        if not self._claims.claim(training_claim(self._checkpoints)):
            error = taken(self._checkpoints)
            self._tell_failure(error)
            raise error
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._leave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the folder go, and say how it ended."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        with self._claims:
            pass
        if self._made:  # and left empty by what was refused before anything was written
            with suppress(OSError):
                self._checkpoints.rmdir()
        if isinstance(error, Cancelled):
            typer.echo(str(error), err=True)
            raise typer.Exit(LEFT_TO_BE_RESUMED) from error
        if isinstance(error, Exception) and not isinstance(error, typer.Exit):
            self._tell_failure(error)

    def report(self, event: TrainingEvent) -> None:
        """Tell an event: as a line of JSON, or in words."""
        if self._as_events:
            self._write(event_line(event))
        elif (words := _in_words(event)) is not None:
            from tqdm import tqdm

            tqdm.write(words)

    def stop(self) -> bool:
        """Whether the run shall end with the best so far.

        Raises
        ------
        Cancelled
            If it shall go at once, and be taken up again.
        """
        if self._left.is_set():
            raise Cancelled(Sentence("Interrupted. Run the same command again to go on from the last checkpoint."))
        return self._stopped.is_set()

    def _tell_failure(self, error: Exception) -> None:
        if self._as_events:
            text = " ".join(translated(error).split()) if isinstance(error, UnetsegError) else one_line(error)
            self.report(Failed(text=text))

    def _write(self, line: str) -> None:
        with self._lock:
            try:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
            except OSError:  # nobody reads any more, which the end of stdin says too
                sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (it is not a path)

    def _listen(self) -> None:
        # Not by sys.stdin, whose lock a thread that waits in it would hold when Python ends.
        heard = b""
        while piece := os.read(_STDIN, 1024):
            *lines, heard = (heard + piece).split(b"\n")
            if any(line.strip() == STOP.encode() for line in lines):
                self._stopped.set()
        self._left.set()
        last = threading.Timer(GOES_AFTER, os._exit, (LEFT_TO_BE_RESUMED,))
        last.daemon = True
        last.start()

    def _leave(self, number: int, frame: FrameType | None) -> None:
        if self._left.is_set():
            raise KeyboardInterrupt
        self._left.set()
        # Not by a stream, whose lock the interrupted code may hold.
        os.write(_STDERR, b"\nInterrupted: writing a checkpoint. Once more ends it at once.\n")


def _in_words(event: TrainingEvent) -> str | None:
    if isinstance(event, Told):
        return event.text
    if isinstance(event, Begun):
        before = "" if event.before is None else f"; {SCORES[event.metric]} before: {event.before:.3f}"
        goes_on = "Going on from the last checkpoint" if event.resumed else "Beginning"
        images = "1 image" if event.images == 1 else f"{event.images} images"
        return f"{goes_on}: {images} to train on, {event.held_out} held out{before}. {event.device}"
    if isinstance(event, Validated):
        score = "" if event.score is None else f", score {event.score:.3f}{' (best so far)' if event.best else ''}"
        return f"{event.seconds:.0f} s, step {event.step}: loss {event.loss:.3g}{score}"
    return None

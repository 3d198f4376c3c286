"""Errors that are written for the person who has to act on them."""

from collections.abc import Iterator
from contextlib import contextmanager

from napari_unetseg.printable import printable


class UnetsegError(Exception):
    """What went wrong, with which file or layer, and what to do about it.

    Every error that this package raises on purpose derives from this class, so that a
    window or a shell can show its text as it is and treat everything else as a defect.
    """


class Cancelled(UnetsegError):
    """The caller asked for the running segmentation to stop."""


class ImageError(UnetsegError):
    """An image cannot be read or has a shape or type that cannot be segmented."""


class MissingPackage(ImageError):
    """An image is of a kind that needs a package that is not installed."""


class ModelError(UnetsegError):
    """A model package, its card or its weights cannot be used."""


class NotCalibrated(UnetsegError):
    """A model shall run in int8, but was not calibrated for it; see `SegmentationService.calibrate`."""


class DeviceError(UnetsegError):
    """The requested compute device does not exist on this machine."""


class ComputerGone(UnetsegError):
    """What computes cannot be reached; the next image would most likely fare no better."""


class ParameterError(UnetsegError, ValueError):
    """A setting lies outside its range."""


class ConfigError(UnetsegError):
    """A configuration file or an environment variable has a key that is unknown or a value that is wrong."""


class FixError(UnetsegError):
    """Nothing can be fixed where somebody clicked or drew."""


class OutOfMemory(UnetsegError):
    """There was not enough memory, whatever was tried."""


NO_KERNEL = "could not create a primitive"
"""What oneDNN says when it makes no kernel, whatever the reason."""

_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "allocate memory",
    "failed to allocate",
    "bad allocation",
    "bad_alloc",
    "alloc_failed",
    "allocation_failed",
    "unable to find an engine",
    "can't start new thread",
    "failed to map segment",
    NO_KERNEL,
    "could not create a memory",
    "without exception set",
    "without setting an exception",
)
"""Words by which PyTorch (CPU, CUDA, cuDNN, cuBLAS, MPS), ONNX Runtime, OpenVINO, Python, and Linux where it loads a
library say it where the class does not. Two are oneDNN's, which computes convolutions on the CPU and says no more when
it has no memory to work in, as PyTorch says of cuDNN that it found no engine; the last two are what Python says of a
library that was denied memory and did not say so.
"""

_MOST_CAUSES = 8


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a library means that there was not enough memory; what is written for people says it."""
    return _lack_of_memory(error) is not None


def _lack_of_memory(error: BaseException) -> BaseException | None:
    """Return the error that says so: a library's own, or the one that it was raised from."""
    found: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if found is None or isinstance(found, UnetsegError):
            return None
        message = str(found).lower()
        if isinstance(found, MemoryError) or any(sign in message for sign in _OUT_OF_MEMORY):
            return found
        found = found.__cause__
    return None


@contextmanager
def panics_are_errors() -> Iterator[None]:
    """Raise a MemoryError where safetensors panics, as it does where Python gives it no memory.

    A panic is no `Exception`, and would pass everything that waits for one.

    Raises
    ------
    MemoryError
        If a library panics in the block.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise MemoryError(str(error)) from None


@contextmanager
def out_of_memory_says(sentence: str) -> Iterator[None]:
    """Say a sentence in place of any library's error that means that memory ran out.

    Raises
    ------
    OutOfMemory
        If memory ran out in the block.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        # What it was is not kept: its traceback holds the arrays, even where nobody is shown it.
        forget_frames(error)
        raise OutOfMemory(sentence) from None


def forget_frames(error: BaseException) -> None:
    """Let go of the frames that an error and its causes went through, so that what they held can be freed."""
    found: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if found is None:
            return
        found.__traceback__ = None
        found = found.__cause__


def one_line(error: BaseException) -> str:
    """Say what happened in one line; the kind of error too, where it was not written for people."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, UnetsegError):
        return text
    if (lack := _lack_of_memory(error)) is not None:
        text = printable(" ".join(str(lack).split()))
        reason = f" ({text})" if text else ""
        return f"not enough memory{reason}; close other programs or images, or work on a part at a time"
    return f"unexpected {type(error).__name__}: {text}"


def last_line(text: str) -> str:
    """Return the last line of the output of a process or a library, which says what went wrong; "" for no output."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""

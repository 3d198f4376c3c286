"""Errors that are written for the person who has to act on them."""

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


class ModelError(UnetsegError):
    """A model package, its card or its weights cannot be used."""


class NotCalibrated(UnetsegError):
    """A model shall run in int8, but was not calibrated for it; see `SegmentationService.calibrate`."""


class DeviceError(UnetsegError):
    """The requested compute device does not exist on this machine."""


class ParameterError(UnetsegError, ValueError):
    """A setting lies outside its range."""


class ConfigError(UnetsegError):
    """A configuration file or an environment variable has a key that is unknown or a value that is wrong."""


def one_line(error: BaseException) -> str:
    """Say what happened in one line; the kind of error too, where it was not written for people."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, UnetsegError):
        return text
    if isinstance(error, MemoryError):
        return f"not enough memory ({text})" if text else "not enough memory"
    return f"unexpected {type(error).__name__}: {text}"


def last_line(text: str) -> str:
    """Return the last line of the output of a process or a library, which says what went wrong; "" for no output."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""

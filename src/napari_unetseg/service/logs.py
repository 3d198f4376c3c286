"""Log records with a request id and figures, as text or as JSON lines.

The package only writes to the standard logger ``napari_unetseg`` and the ones below it; what becomes of
the records is the program's choice. `start_logging` is for programs that have made none, such as the
command line.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, TextIO

import psutil

from napari_unetseg.config import Settings
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.printable import printable
from napari_unetseg.service.requests import request_id

if TYPE_CHECKING:
    from napari_unetseg.service.provenance import Provenance


LOGGER = "napari_unetseg"
LOG_FIELDS = "figures"
"""Attribute of a record that holds what the sentence counts, by name: ``extra={LOG_FIELDS: {"objects": 3}}``."""

# A library keeps quiet until a program asks for its records; without this, Python prints warnings.
logging.getLogger(LOGGER).addHandler(logging.NullHandler())


def start_logging(level: str | int = logging.INFO, *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Write this package's records to a stream, one a line; a second call replaces the first.

    Parameters
    ----------
    level
        Least important records that are written, such as ``"INFO"``.
    as_json
        JSON objects instead of ``key=value`` pairs.
    stream
        Where to; None: stderr.
    """
    logger = logging.getLogger(LOGGER)
    for handler in [handler for handler in logger.handlers if isinstance(handler, _Lines)]:
        logger.removeHandler(handler)
    lines = _Lines(stream or sys.stderr)
    lines.setFormatter(JsonFormatter() if as_json else KeyValueFormatter())
    logger.addHandler(lines)
    logger.setLevel(level)


class KeyValueFormatter(logging.Formatter):
    """``time=... level=info logger=... request_id=... message="..."``, then the figures."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record in one line, and the traceback below it if there is one."""
        pairs = [f"{key}={_quoted(value)}" for key, value in _fields(record).items()]
        trace = [self.formatException(record.exc_info)] if record.exc_info else []
        return printable("\n".join([" ".join(pairs), *trace]))


class JsonFormatter(logging.Formatter):
    """One JSON object a record, its traceback under ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record in one line."""
        fields = _fields(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return printable(json.dumps(fields, ensure_ascii=False, default=str))


class _Lines(logging.StreamHandler[TextIO]):
    """The handler that `start_logging` may replace."""


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {
        "time": datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "request_id": request_id(),
        "message": record.getMessage(),
    }
    given = {key: value for key, value in fields.items() if value is not None}
    return given | getattr(record, LOG_FIELDS, {})


def _quoted(value: Any) -> str:
    text = str(value)
    return text if text and not set(text) & set(" =\"'\n\t") else json.dumps(text, ensure_ascii=False)


_log = logging.getLogger("napari_unetseg.requests")


class Stopwatch:
    """Milliseconds that the stages of a call took, by name."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block; blocks of one name add up."""
        clock = perf_counter()
        try:
            yield
        finally:
            self.add(name, perf_counter() - clock)

    def add(self, name: str, seconds: float) -> None:
        """Add to what a stage took."""
        self.stages[name] = self.stages.get(name, 0.0) + 1000 * seconds


class RequestLog:
    """Writes what the settings want to have in the log.

    Parameters
    ----------
    settings
        Of `unet.logging`, ``log_requests`` and ``enable_performance_logging`` are read.
    """

    def __init__(self, settings: Settings) -> None:
        self._requests = settings.unet.logging.log_requests
        self._performance = settings.unet.logging.enable_performance_logging

    def segmented(self, provenance: "Provenance", shape: tuple[int, ...], count: int, watch: Stopwatch) -> None:
        """Write down an image that was segmented, by the shape of its labels and the number of its objects."""
        if self._requests:
            size = "x".join(map(str, shape))
            figures = {"image": provenance.image, "size": size, "model": provenance.model, "objects": count}
            _log.info("segmented", extra={LOG_FIELDS: figures | {"seconds": provenance.seconds}})
        if self._performance:
            stages = {f"{name}_ms": round(ms, 1) for name, ms in watch.stages.items()}
            memory_mb = round(psutil.Process().memory_info().rss / 2**20)
            _log.info("stages", extra={LOG_FIELDS: {"image": provenance.image, **stages, "process_mb": memory_mb}})

    def failed(self, image: str, error: Exception) -> None:
        """Write down why an image was not segmented; a defect is written down with its traceback in any case."""
        if not isinstance(error, UnetsegError):
            _log.error("failed", exc_info=error, extra={LOG_FIELDS: {"image": image}})
        elif self._requests:
            level = logging.INFO if isinstance(error, Cancelled) else logging.WARNING
            _log.log(level, "%s", error, extra={LOG_FIELDS: {"image": image}})

    def remarked(self, image: str, seconds: float, remark: str) -> None:
        """Write down a remark on how long an image took."""
        _log.warning(remark, extra={LOG_FIELDS: {"image": image, "seconds": round(seconds, 3)}})

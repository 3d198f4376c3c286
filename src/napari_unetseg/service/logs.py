"""Log records with a request id and figures, as text or as JSON lines.

The package only writes to the standard logger ``napari_unetseg`` and the ones below it; what becomes of
the records is the program's choice. `start_logging` is for programs that have made none, such as the
command line.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from napari_unetseg.service.requests import request_id

LOGGER = "napari_unetseg"
FIGURES = "figures"
"""Attribute of a record that holds what the sentence counts, by name: ``extra={FIGURES: {"objects": 3}}``."""

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
        return "\n".join([" ".join(pairs), *trace])


class JsonFormatter(logging.Formatter):
    """One JSON object a record, its traceback under ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record in one line."""
        fields = _fields(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


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
    return given | getattr(record, FIGURES, {})


def _quoted(value: Any) -> str:
    text = str(value)
    return text if text and not set(text) & set(" =\"'\n\t") else json.dumps(text, ensure_ascii=False)

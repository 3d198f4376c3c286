"""Records are lines with a request id and figures, and are written only where somebody asked for them."""

import io
import json
import logging
import shlex
import subprocess
import sys

import pytest

from napari_unetseg.service.logs import LOG_FIELDS, start_logging
from napari_unetseg.service.requests import request


@pytest.fixture(autouse=True)
def _logger_as_it_was():
    logger = logging.getLogger("napari_unetseg")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def pairs(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in shlex.split(line))


def test_a_record_is_a_line_of_pairs():
    stream = io.StringIO()
    start_logging("INFO", stream=stream)
    with request("7f"):
        logging.getLogger("napari_unetseg.any").info("Two words", extra={LOG_FIELDS: {"objects": 3, "image": 'a "b"'}})
    reported = pairs(stream.getvalue())
    assert reported.pop("time").startswith("20")
    assert reported == {
        "level": "info",
        "logger": "napari_unetseg.any",
        "request_id": "7f",
        "message": "Two words",
        "objects": "3",
        "image": 'a "b"',
    }


def test_a_record_is_a_json_object_with_its_traceback():
    stream = io.StringIO()
    start_logging(as_json=True, stream=stream)
    logging.getLogger("napari_unetseg").error("failed", exc_info=ValueError("odd"), extra={LOG_FIELDS: {"ms": 1.5}})
    (line,) = stream.getvalue().splitlines()
    reported = json.loads(line)
    assert (reported["message"], reported["level"], reported["ms"]) == ("failed", "error", 1.5)
    assert "ValueError: odd" in reported["traceback"]
    assert "request_id" not in reported


def test_what_is_below_the_level_is_left_out_and_a_second_start_replaces_the_first():
    first, second = io.StringIO(), io.StringIO()
    start_logging("DEBUG", stream=first)
    start_logging("WARNING", stream=second)
    logger = logging.getLogger("napari_unetseg")
    logger.info("quiet")
    logger.warning("loud")
    assert first.getvalue() == ""
    assert [pairs(line)["message"] for line in second.getvalue().splitlines()] == ["loud"]


def test_importing_the_service_writes_and_configures_nothing():
    program = (
        "import logging, napari_unetseg.service\n"
        "logger = logging.getLogger('napari_unetseg')\n"
        "logger.warning('unheard')\n"
        "assert logger.level == logging.NOTSET and not logging.getLogger().handlers\n"
        "assert [type(h).__name__ for h in logger.handlers] == ['NullHandler']\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")

"""The messages that the page on troubleshooting quotes are those that the program says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
SOURCE = ROOT / "src" / "napari_unetseg"

# Words of Python, pip, Qt, napari and NumPy, and of reports.
FOREIGN = (
    "No matching distribution",
    "CERTIFICATE_VERIFY_FAILED",
    "Connection timed out",
    "Could not resolve host",
    "A module that was compiled",
    "numpy.dtype size changed",
    "... requires ...",
    "OSError:",
    "QOpenGLWidget:",
    "Using glBindFramebuffer",
    "'NoneType' object",
    "No module named",
)
# A message of ours: a sentence in capitals, or one about a file.
MESSAGE = re.compile(r"`((?:\.\.\.: |[A-Z])[^`]*[ .][^`]*)`")


def messages(text: str) -> list[str]:
    found = (re.sub(r"\s+", " ", quoted) for quoted in MESSAGE.findall(text))
    return [quoted for quoted in found if "=" not in quoted and not quoted.startswith(FOREIGN)]


def sentences() -> str:
    """All the package says: its source, with the parts of a text joined, and ``...`` for each blank."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py")))
    joined = re.sub(r'"\s*\n\s*f?"', "", code)
    return re.sub(r"\{[^{}\n]*\}", "...", joined)


SAID = sentences()


def is_said(message: str) -> bool:
    """Whether the words between the blanks of a message stand behind each other in one text of the package."""
    parts = (re.escape(part.strip(" ")) for part in message.split("...") if part.strip(" .:"))
    return re.search(r"[^\"\n]{0,80}?".join(parts), SAID) is not None


def test_a_message_that_nobody_says_is_found_out() -> None:
    assert is_said("...: the file is empty; copy or export the image again.")
    assert not is_said("...: the file is empty; copy the image once more.")


@pytest.mark.parametrize("message", messages(PAGE.read_text(encoding="utf-8")))
def test_a_quoted_message_is_said(message: str) -> None:
    assert is_said(message)


def test_messages_are_found_on_the_page() -> None:
    assert len(messages(PAGE.read_text(encoding="utf-8"))) > 30

"""Whether a file can be read at all, and words for what fails while other libraries read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import UnidentifiedImageError

from napari_unetseg.errors import ImageError
from napari_unetseg.language import Sentence, error_sentence

# Some libraries repeat what they could not read.
_LONGEST_REASON = 300


@contextmanager
def unreadable_says(label: str | Path) -> Iterator[None]:
    """Say what failed in a block that reads an image by other libraries, which raise whatever they stumble upon.

    Parameters
    ----------
    label
        What the message calls the image: its file or name.

    Raises
    ------
    ImageError
        For whatever was raised, but that memory ran out.
    """
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(
            Sentence(
                "{path}: cannot be read as an image ({reason}). It may be damaged or of a kind that is not "
                "supported; open it in the program it came from and save it as TIFF or PNG.",
                path=label,
                reason=_reason(error),
            )
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # Pillow names the object that it read from
        return Sentence("its format is not recognised")
    said = error_sentence(error)
    if isinstance(error, LookupError) and error.args and " " not in str(error.args[0]):
        said = Sentence("it lacks {part}", part=repr(error.args[0]))  # which is all that such an error says
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"


def check_file(path: Path) -> None:
    """Refuse a file that is missing, a folder, not to be opened or empty.

    Raises
    ------
    ImageError
        The message names the file and what to do.
    """
    if path.is_dir():
        raise ImageError(Sentence("{path}: is a folder, not an image; name the files in it.", path=path))
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise ImageError(
            Sentence("{path}: there is no such file; check the name and the folder.", path=path)
        ) from error
    except OSError as error:
        raise ImageError(
            Sentence(
                "{path}: cannot be opened ({reason}); check that you may read it.", path=path, reason=error.strerror
            )
        ) from error
    if size == 0:
        raise ImageError(Sentence("{path}: the file is empty; copy or export the image again.", path=path))

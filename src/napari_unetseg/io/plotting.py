"""Whether pictures of curves can be drawn: matplotlib comes with an extra."""

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence


def require_matplotlib(what: str) -> None:
    """Say how to install matplotlib where it is missing.

    Parameters
    ----------
    what
        What needs it, in the plural, as the first words of a sentence.

    Raises
    ------
    UnetsegError
        If it cannot be imported.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UnetsegError(
            Sentence(
                "{what} need matplotlib, which is not installed. Run: pip install 'napari-unetseg[train]'", what=what
            )
        ) from error

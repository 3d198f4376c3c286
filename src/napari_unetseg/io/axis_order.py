"""Which axis of a file is which axis of an `Image`: what the file states, and what somebody says of it."""

from collections.abc import Sequence

from napari_unetseg.errors import ImageError
from napari_unetseg.image import PLANES
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

FREE_LETTERS = "ABDEFGHIJKLMNOPQRSUVW"
"""What axes are called that are none of the usual ones."""


def named_letters(stated: str, shape: Sequence[int], named: str | None, label: str) -> str:
    """Return what each axis is, by what is stated and by what somebody says.

    What is stated is right; where another number of letters is named, or others, they replace what is stated.

    Parameters
    ----------
    stated
        A letter for each axis.
    shape
        Length of each axis.
    named
        As `read_image` takes them: of all axes, or of those longer than one.
    label
        What messages call the image.

    Raises
    ------
    ImageError
        If neither as many are named as there are axes, nor as there are longer ones.
    """
    single = [at for at, length in enumerate(shape) if length == 1 and stated[at] not in "YX"]
    longer = "".join(letter for at, letter in enumerate(stated) if at not in single)
    if named is None or sorted(named) in (sorted(longer), sorted(stated)):
        return stated
    if len(named) == len(stated):
        return named
    if len(named) == len(longer):
        rest = iter(named)
        free = iter(letter for letter in stated + FREE_LETTERS if letter not in named)
        return "".join(next(free) if at in single else next(rest) for at in range(len(stated)))
    raise ImageError(
        Sentence(
            "{image}: {n} dimensions cannot be read as {axes}; choose one plane, or say which axis holds the channels.",
            image=label,
            n=len(longer),
            axes=named,
        )
    )


def in_image_order(array: LazyArray, letters: str) -> tuple[LazyArray, str]:
    """Put Y before X, and channels where an `Image` has them; return the array and the letters of its axes."""
    rows, columns = letters.find("Y"), letters.find("X")
    if rows > columns >= 0:
        array, letters = array.swapaxes(rows, columns), letters.translate(str.maketrans("XY", "YX"))
    if "".join(letter for letter in letters if letter in "YXC") in PLANES:
        return array, letters
    order = [*(letter for letter in letters if letter not in "YX"), "Y", "X"]
    return array.transpose([letters.index(letter) for letter in order]), "".join(order)

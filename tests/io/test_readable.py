"""What other libraries raise is said in words."""

import pytest

from napari_unetseg.errors import ImageError
from napari_unetseg.io.readable import unreadable_says


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("Rows"), r"it lacks 'Rows'"),
        (KeyError("no block of this name"), r"no block of this name"),
        (IndexError(0), r"it lacks 0"),
        (IndexError("list index out of range"), r"list index out of range"),
    ],
)
def test_an_error_that_says_no_more_than_a_key_is_told_as_what_is_missing(error: Exception, said: str) -> None:
    with (
        pytest.raises(ImageError, match=rf"^a\.lif: cannot be read as an image \(['\"]?{said}"),
        unreadable_says("a.lif"),
    ):
        raise error

import os

import pytest

from napari_unetseg.errors import one_line
from napari_unetseg.language import Sentence, translated
from napari_unetseg.printable import printable

NAME = os.fsdecode(b"zelle_\xfc%\xe4.tif") if os.name == "posix" else "zelle_\udcfc%\udce4.tif"


def test_bytes_that_are_no_utf8_are_written_out() -> None:
    assert printable(NAME) == "zelle_%FC%%E4.tif"


@pytest.mark.parametrize("text", ["", "a.tif", "zellü 細胞.tif", "100 %"])
def test_other_texts_stay(text: str) -> None:
    assert printable(text) == text


def test_whatever_is_said_can_be_written() -> None:
    said = Sentence("{file}: is no image.", file=NAME)
    for text in (said, translated(said), one_line(OSError(NAME))):
        assert "zelle_%FC%%E4.tif" in text.encode().decode()

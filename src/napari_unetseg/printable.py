"""Texts that every file and every screen takes."""

import re

# Python keeps the bytes of a file name that are no UTF-8 as these characters, which UTF-8 does not hold.
_UNPRINTABLE = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text with the bytes of file names that are no UTF-8 written out: ``"zelle_%FC.tif"``."""
    return _UNPRINTABLE.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text)

"""Names of wells, as people type them and as plates have them."""

import re
from fnmatch import fnmatchcase

_WELL = re.compile(r"([A-Za-z]+)\s*[-_/]?\s*0*(\d+)")


def well_name(text: str) -> str:
    """Return the name of a well as results have it: ``"B03"`` for ``b3``, ``B03`` and ``B/3``; others stay as they are."""
    found = _WELL.fullmatch(text.strip())
    return f"{found[1].upper()}{int(found[2]):02d}" if found else text.strip()


def fits(well: str, patterns: str) -> bool:
    """Whether a well is among those that a text names.

    Parameters
    ----------
    well
        As `well_name` gives it.
    patterns
        Such as ``"A1, B*, *12"``; columns with or without a leading 0, and case does not count.
    """
    short = re.sub(r"0+(?=\d)", "", well)
    wanted = [part.strip() for part in patterns.replace(";", ",").split(",") if part.strip()]
    return any(
        well_name(part) == well or any(fnmatchcase(name.upper(), part.upper()) for name in (well, short))
        for part in wanted
    )

"""What the head of a column says: words for people and, apart from them, the unit."""

from typing import NamedTuple

from napari_unetseg.language import mark, tr

_TITLES = {
    "label": mark("Label"),
    "area": mark("Area"),
    "confidence": mark("Confidence"),
    "agreement": mark("Agreement"),
    "mean_intensity": mark("Mean intensity"),
    "equivalent_diameter": mark("Diameter"),
    "perimeter": mark("Perimeter"),
    "eccentricity": mark("Eccentricity"),
    "solidity": mark("Solidity"),
    "centroid_y": mark("Centre y"),
    "centroid_x": mark("Centre x"),
    "bbox_min_y": mark("Top"),
    "bbox_min_x": mark("Left"),
    "bbox_max_y": mark("Bottom"),
    "bbox_max_x": mark("Right"),
    "edited": mark("Edited"),
    "z": "Z",
    "t": "T",
}
_CHANNELS = "mean_intensity_"
_UNITS = {"px": "px", "um": "µm"}


class Title(NamedTuple):
    """The head of a column: words, and a unit, which is empty where there is none."""

    words: str
    unit: str

    @property
    def lines(self) -> str:
        """The words over the unit."""
        return f"{self.words}\n{self.unit}" if self.unit else self.words

    @property
    def line(self) -> str:
        """Both in one line, as ``"Area (µm²)"``."""
        return f"{self.words} ({self.unit})" if self.unit else self.words


def column_title(name: str) -> Title:
    """Return the head of a column; one that we do not know keeps its name.

    Units are those in which the column was measured, as its name ends.
    """
    if name in _TITLES:
        return Title(tr(_TITLES[name]), "")
    channel = name.removeprefix(_CHANNELS)
    if channel != name and channel.isdecimal():
        return Title(tr("Mean intensity {channel}").format(channel=channel), "")
    # The longest, so that a unit may contain an underscore.
    known = max((stem for stem in _TITLES if name.startswith(f"{stem}_")), key=len, default=None)
    if known is None:
        return Title(name, "")
    unit = name.removeprefix(f"{known}_")
    if known == "area":
        # In pixels an area is a number of them, which its name says without an exponent.
        return Title(tr(_TITLES[known]), "px" if unit == "px" else f"{_unit(unit.removesuffix('2'))}²")
    return Title(tr(_TITLES[known]), _unit(unit))


def _unit(name: str) -> str:
    return _UNITS.get(name, name)

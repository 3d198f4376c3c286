"""What QuPath says of an object besides its outline, and the columns that carry it through a layer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_COLOUR = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)


@dataclass(frozen=True)
class ObjectProperties:
    """What QuPath knows of an object besides its outline and measurements; None where it says nothing.

    Attributes
    ----------
    identifier
        By which QuPath knows it again.
    kind
        ``"detection"``, ``"annotation"``, ``"cell"`` and so on.
    name
        What the user calls it.
    classification, colour
        Its class, with a colon between the class and what is derived of it, and the class's (red, green, blue).
    rest
        What else there is to be kept of it, as JSON: under ``"nucleusGeometry"`` the outline of a cell's nucleus, and
        under ``"properties"`` such as its own colour and whether it is locked.
    """

    identifier: str | None = None
    kind: str | None = None
    name: str | None = None
    classification: str | None = None
    colour: tuple[int, int, int] | None = None
    rest: str | None = None


# A column of a layer's features for each attribute.
_COLUMNS = {
    "identifier": "object_id",
    "kind": "object_type",
    "name": "object_name",
    "classification": "class",
    "colour": "class_colour",
    "rest": "qupath",
}


def columns_of(properties: Sequence[ObjectProperties]) -> dict[str, list[str | None]]:
    """Return a column of texts for each attribute that any object has, colours as ``"#ff8c1a"``."""
    columns = {column: [_text(getattr(one, attribute)) for one in properties] for attribute, column in _COLUMNS.items()}
    return {column: texts for column, texts in columns.items() if any(text is not None for text in texts)}


def from_row(row: Mapping[str, Any]) -> ObjectProperties:
    """Read a row of such columns, of which any may be missing and any cell empty."""
    cells = {attribute: row.get(column) for attribute, column in _COLUMNS.items()}
    texts = {attribute: cell for attribute, cell in cells.items() if isinstance(cell, str) and cell}
    found = _COLOUR.fullmatch(texts.pop("colour", ""))
    colour = (int(found[1], 16), int(found[2], 16), int(found[3], 16)) if found else None
    return ObjectProperties(**texts, colour=colour)


def _text(value: str | tuple[int, int, int] | None) -> str | None:
    return "#{:02x}{:02x}{:02x}".format(*value) if isinstance(value, tuple) else value

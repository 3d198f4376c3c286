"""Which channels of an image are wanted, as text: by name, number or role, in order, or several combined into one.

`napari_unetseg.channel_selection` takes them from an image.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from napari_unetseg.errors import ImageError
from napari_unetseg.language import Sentence

Combination = Literal["max", "sum"]

_COMBINED = re.compile(r"(max|sum)\s*\((.*)\)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class ChannelPart:
    """What one channel of a network's input is made of.

    Attributes
    ----------
    names
        Names, or numbers counted from 0, of channels of the image: one, or those that are combined.
    combination
        How several become one: the brightest of each pixel, or their sum; None for a single one.
    role
        What the network calls this channel of its input, such as ``"nucleus"``; empty where none was said.
    """

    names: tuple[str, ...]
    combination: Combination | None = None
    role: str = ""

    @property
    def title(self) -> str:
        """What to call it, without its role."""
        return self.names[0] if self.combination is None else str(replace(self, role=""))

    def __str__(self) -> str:
        names = ",".join(map(_quoted, self.names))
        inside = names if self.combination is None else f"{self.combination}({names})"
        return f"{_quoted(self.role)}={inside}" if self.role else inside


@dataclass(frozen=True)
class ChannelChoice:
    """The channels that somebody wants, in the order in which the network gets them.

    Written as text it is ``"DAPI"`` (a name), ``"0"`` (a number, counted from 0), ``"DAPI,GFP"`` (several, in this
    order), ``"max(DAPI,GFP)"`` or ``"sum(DAPI,GFP)"`` (combined into one), or ``"nucleus=DAPI,cytoplasm=GFP"`` (by
    role). A name that holds a comma, a quote or an equals sign stands in double quotes, those within it doubled.

    A channel is the one of exactly that name; else of that name in any case; else of that number; else the only one
    whose name begins so.
    """

    parts: tuple[ChannelPart, ...]

    @classmethod
    def parse(cls, text: str) -> "ChannelChoice":
        """Read it from text.

        Raises
        ------
        ValueError
            If it cannot be read so; the message says why.
        """
        parts = tuple(_part(piece) for piece in _split(text, ","))
        roles = [part.role.casefold() for part in parts if part.role]
        if roles and len(roles) != len(parts):
            raise ValueError("Give every channel a role, as in nucleus=DAPI,cytoplasm=GFP, or none of them.")
        if len(set(roles)) != len(roles):
            raise ValueError("Give every role once.")
        return cls(parts)

    def __str__(self) -> str:
        return ",".join(map(str, self.parts))

    @property
    def names(self) -> tuple[str, ...]:
        """All names and numbers in it."""
        return tuple(name for part in self.parts for name in part.names)

    def in_order(self, roles: Sequence[str], image: str) -> "ChannelChoice":
        """Put what was said by role into the order in which a network takes them.

        Raises
        ------
        ImageError
            If the roles are not those of the network; the message names both, and `image`.
        """
        said = {part.role.casefold(): part for part in self.parts if part.role}
        if not said:
            return self
        if set(said) != {role.casefold() for role in roles}:
            given = ", ".join(part.role for part in self.parts)
            if not roles:
                raise ImageError(
                    Sentence(
                        "{image}: the model knows no roles of channels, so {given} says nothing to it. Name the "
                        "channels alone, such as {example}.",
                        image=image,
                        given=given,
                        example=",".join(map(_quoted, self.names)),
                    )
                )
            raise ImageError(
                Sentence(
                    "{image}: the model takes the channels {roles}, but {given} was given. Name each of them once, "
                    "such as {example}.",
                    image=image,
                    roles=", ".join(roles),
                    given=given,
                    example=example_by_role(roles, ()),
                )
            )
        return ChannelChoice(tuple(said[role.casefold()] for role in roles))


def is_choice(text: str) -> bool:
    """Tell whether text can be read as a `ChannelChoice`."""
    try:
        ChannelChoice.parse(text)
    except ValueError:
        return False
    return True


def example_by_role(roles: Sequence[str], names: Sequence[str]) -> str:
    """Write a choice by role for an example, of these channels where there are enough of them."""
    padded = [*names, *("DAPI", "GFP", *map(str, range(len(roles))))] if len(names) < len(roles) else names
    return ",".join(f"{_quoted(role)}={_quoted(name)}" for role, name in zip(roles, padded, strict=False))


def _part(text: str) -> ChannelPart:
    role, *rest = _split(text, "=", 1)
    source = rest[0] if rest else role
    found = _COMBINED.fullmatch(source.strip())
    if found is None:
        return ChannelPart((_name(source),), None, _name(role) if rest else "")
    names = tuple(_name(piece) for piece in _split(found[2], ","))
    combination = cast("Combination", found[1].lower())
    return ChannelPart(names, combination, _name(role) if rest else "")


def _name(text: str) -> str:
    name = text.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    if not name:
        raise ValueError("A channel has no name. Write names or numbers, such as DAPI,GFP or max(0,1).")
    return name


def _split(text: str, at: str, most: int = -1) -> list[str]:
    """Split text at a character where it stands neither in quotes nor in brackets, so many times at most."""
    pieces, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == at and depth <= 0 and not quoted and len(pieces) != most + 1:
            pieces.append("")
        else:
            pieces[-1] += letter
    if depth or quoted:
        raise ValueError("A bracket or quote is not closed. Put a name that holds one in double quotes.")
    return pieces


def _quoted(name: str) -> str:
    """Write a name so that it is read back as it is."""
    is_plain = not re.search(r'[,="]', name) and name == name.strip() and not _COMBINED.fullmatch(name)
    if is_plain and name.count("(") == name.count(")") and not re.search(r"\)[^(]*\(|^[^(]*\)", name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'

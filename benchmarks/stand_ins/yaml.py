"""Enough of PyYAML to read the cards of model packages and to write some, for machines without it; see `lean.py`.

What is read are block mappings and lists of plain, quoted and folded scalars, and JSON. What is written is JSON, which
is YAML.
"""

import json
import re
from typing import Any

_WORDS = {"": None, "null": None, "~": None, "true": True, "false": False}
_KEY = re.compile(r"([^\s'\"\[{#-].*?|'[^']*'):(?:\s+(.*))?$")
_Line = tuple[int, str]


class YAMLError(Exception):
    """A text is no YAML."""


class Node:
    """What a text holds."""

    def __init__(self, value: Any) -> None:
        self.value = value


class ScalarNode(Node):
    """Is named in annotations."""


class SequenceNode(Node):
    """Is named in annotations."""


class MappingNode(Node):
    """Is named in annotations."""


class AliasEvent:
    """Never met here: aliases are not read."""


class SafeLoader:
    """Reads a text at once; `compose_node`, by which a subclass counts what is in it, is not called."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_single_node(self) -> Node | None:
        """Return what the text holds; None if that is nothing."""
        value = safe_load(self._text)
        return None if value is None else Node(value)

    def construct_document(self, node: Node) -> Any:
        """Return the plain values of a node."""
        return node.value

    def dispose(self) -> None:
        """Do nothing."""


def safe_dump(value: Any, **_: Any) -> str:
    """Write plain values."""
    return json.dumps(value, indent=1)


def safe_load(text: str) -> Any:
    """Read plain values."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    lines = [line.rstrip() for line in text.splitlines()]
    kept = [(len(line) - len(line.lstrip()), line.strip()) for line in lines if line.strip() and line.strip()[0] != "#"]
    if not kept:
        return None
    value, rest = _block(kept)
    if rest:
        raise YAMLError(f"not understood: {rest[0][1]}")
    return value


def _block(lines: list[_Line]) -> tuple[Any, list[_Line]]:
    """Read the mapping, list or scalar that begins with the first line; return it and what follows."""
    indent, first = lines[0]
    if first == "-" or first.startswith("- "):
        return _sequence(lines, indent)
    return _mapping(lines, indent) if _KEY.match(first) else _scalar(first, lines[1:], indent - 1)


def _sequence(lines: list[_Line], indent: int) -> tuple[list[Any], list[_Line]]:
    found = []
    while lines and lines[0][0] == indent and (lines[0][1] == "-" or lines[0][1].startswith("- ")):
        inner = lines[0][1][1:].lstrip()
        if _KEY.match(inner) or inner.startswith("- "):
            deeper = indent + len(lines[0][1]) - len(inner)
            value, lines = _block([(deeper, inner), *lines[1:]])
        else:
            value, lines = _scalar(inner, lines[1:], indent)
        found.append(value)
    return found, lines


def _mapping(lines: list[_Line], indent: int) -> tuple[dict[Any, Any], list[_Line]]:
    found: dict[Any, Any] = {}
    while lines and lines[0][0] == indent and (match := _KEY.match(lines[0][1])):
        key, value = _plain(match[1]), match[2] or ""
        lines = lines[1:]
        holds = lines and (lines[0][0] > indent or (lines[0][0] == indent and lines[0][1].startswith("- ")))
        if not value and holds:
            found[key], lines = _block(lines)
        else:
            found[key], lines = _scalar(value, lines, indent)
    return found, lines


def _scalar(text: str, lines: list[_Line], indent: int) -> tuple[Any, list[_Line]]:
    """Read a scalar whose further lines are indented by more than `indent`."""
    more = 0
    while more < len(lines) and lines[more][0] > indent:
        more += 1
    folded = text in (">-", ">")
    words = [*([] if folded else [text]), *(line for _, line in lines[:more])]
    whole = " ".join(words)
    return (whole if folded else _plain(whole)), lines[more:]


def _plain(text: str) -> Any:
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text[:1] in ('"', "[", "{"):
        return json.loads(text)
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

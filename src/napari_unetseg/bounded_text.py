"""Text that users hand over, such as settings, recipes, cards and journals, read within bounds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

LARGEST_TEXT = 2**18
"""Characters of YAML that are read at most; what this package writes takes some thousands."""

DEEPEST = 30
"""How many lists and sections may lie within each other."""

MOST_VALUES = 20_000
"""How many values a text may hold, those counted again that it repeats by an alias."""

LONGEST_LINE = 2**20
"""Bytes of a JSON line that is read at most."""

_Model = TypeVar("_Model", bound=BaseModel)


class TooMuch(yaml.YAMLError):
    """A text is larger or deeper than anything that is meant."""

    def __init__(self, fault: str, mark: Any = None) -> None:
        super().__init__(fault)
        self.problem, self.problem_mark = fault, mark


def read_yaml(text: str, *, largest: int = LARGEST_TEXT, deepest: int = DEEPEST, most: int = MOST_VALUES) -> Any:
    """Read YAML of plain values.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, or `TooMuch`: longer, deeper, or of more values than the bounds allow.
    """
    return compose_yaml(text, largest=largest, deepest=deepest, most=most)[1]


def compose_yaml(
    text: str, *, largest: int = LARGEST_TEXT, deepest: int = DEEPEST, most: int = MOST_VALUES
) -> tuple[yaml.Node | None, Any]:
    """Read YAML as `read_yaml` does; return its nodes, which know their lines, and its values. None for no content."""
    if len(text) > largest:
        raise TooMuch(f"it is longer than {largest:,} characters")
    loader = _BoundedLoader(text, deepest, most)
    try:
        node = loader.get_single_node()
        return (None, None) if node is None else (node, loader.construct_document(node))
    except yaml.YAMLError:
        raise
    except Exception as error:  # PyYAML's own, of numbers and dates that there are not, such as the 31st of February
        raise TooMuch(f"a value cannot be read ({error})") from error
    finally:
        loader.dispose()


class _BoundedLoader(yaml.SafeLoader):
    """Counts, while the text is read, how much it says with its aliases filled in, and fills none in beyond that."""

    def __init__(self, text: str, deepest: int, most: int) -> None:
        super().__init__(text)
        self._deepest, self._most = deepest, most
        self._above = 0
        self._sizes: dict[yaml.Node, tuple[int, int]] = {}  # of what is whole: how many values, how deep

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if self._above >= self._deepest:
            raise TooMuch(f"lists or sections lie more than {self._deepest} deep", event.start_mark)
        self._above += 1
        node = super().compose_node(parent, index)
        self._above -= 1
        if node is None:
            return None
        if node not in self._sizes:
            if isinstance(event, yaml.AliasEvent):
                raise TooMuch("a value holds itself", event.start_mark)
            self._sizes[node] = self._size(node)
        values, depth = self._sizes[node]
        if values > self._most:
            raise TooMuch(f"it stands for more than {self._most:,} values", event.start_mark)
        if self._above + depth > self._deepest:
            raise TooMuch(f"lists or sections lie more than {self._deepest} deep", event.start_mark)
        return node

    def _size(self, node: yaml.Node) -> tuple[int, int]:
        parts = [self._sizes[part] for part in _parts(node)]
        return 1 + sum(values for values, _ in parts), 1 + max((depth for _, depth in parts), default=0)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def short_text(path: Path, *, largest: int = LARGEST_TEXT) -> str:
    """Read a text file in UTF-8, with or without a mark at its beginning, and no more of it than tells that it is long.

    Raises
    ------
    OSError, UnicodeDecodeError
        If it cannot be read.
    """
    with path.open(encoding="utf-8-sig") as file:
        return file.read(largest + 1)


def json_lines(content: bytes, model: type[_Model], *, longest: int = LONGEST_LINE) -> Iterator[_Model]:
    """Read the lines that are a model in JSON; others, such as one that was torn off, and longer ones are left out."""
    for line in content.split(b"\n"):
        if len(line) > longest:
            continue
        try:
            yield model.model_validate_json(line)
        except ValidationError:
            continue

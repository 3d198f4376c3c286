"""Settings from a YAML file, with the line of every key."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from napari_unetseg.bounded_text import compose_yaml, short_text
from napari_unetseg.config.keys import Key, dotted, fields, section_of
from napari_unetseg.errors import ConfigError


@dataclass(frozen=True)
class ConfigFile:
    """What a configuration file says.

    Attributes
    ----------
    path
        The file.
    values
        Value of each key in it.
    lines
        Line of each key and each section in it, from 1.
    faults
        A sentence, with its line, for everything in it that is no setting.
    """

    path: Path
    values: dict[Key, Any] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def place(self, key: Key) -> str:
        """Say where a key stands; where its section stands, if it has no line of its own."""
        known = next((key[:end] for end in range(len(key), 0, -1) if key[:end] in self.lines), None)
        return str(self.path) if known is None else f"{self.path}, line {self.lines[known]}"


def read_config_file(path: Path, model: type[BaseModel]) -> ConfigFile:
    """Read a file; its values are not checked yet, its keys are.

    Paths in it are relative to its folder. An empty section says nothing.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not YAML; the message names the file, and the line.
    """
    try:
        node, content = compose_yaml(short_text(path))
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{_yaml_place(path, error)}: this is not valid YAML: {_yaml_fault(error)}.") from error
    if node is None or content is None:
        return ConfigFile(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}, line 1: the file must hold the section 'unet', not {content!r}.")
    read = _Reader(path, model)
    read.section(node, content, model, ())
    return ConfigFile(path, read.values, read.lines, tuple(read.faults))


class _Reader:
    """Walks a file along the sections of the settings."""

    def __init__(self, path: Path, model: type[BaseModel]) -> None:
        self.path = path
        self.values: dict[Key, Any] = {}
        self.lines: dict[Key, int] = {}
        self.faults: list[str] = []
        self._homes = [key for key, _ in fields(model)]
        self._paths = {key for key, field in fields(model) if "Path" in str(field.annotation)}

    def section(self, node: yaml.Node, content: dict[Any, Any], model: type[BaseModel], above: Key) -> None:
        children: dict[Any, yaml.Node] = {}
        for name, line, child in _entries(node):
            key = (*above, name)
            if key in self.lines:
                self.faults.append(f"{self.path}, line {line}: {dotted(key)} stands in line {self.lines[key]} already.")
            self.lines[key] = line
            children[name] = child
        for name, value in content.items():
            self._entry((*above, str(name)), value, children.get(str(name), node), model)

    def _entry(self, key: Key, value: Any, node: yaml.Node, model: type[BaseModel]) -> None:
        known = model.model_fields.get(key[-1])
        if known is None:
            self.faults.append(f"{self._line(key)}: there is no key {dotted(key)}.{self._remedy(key, model)}")
            return
        section = section_of(known)
        if section is None:
            self.values[key] = self._resolved(value) if key in self._paths else value
        elif isinstance(value, dict):
            self.section(node, value, section, key)
        elif value is not None:
            self.faults.append(
                f"{self._line(key)}: {dotted(key)} is a section and must hold keys, not {value!r}. "
                f"Its keys are {', '.join(section.model_fields)}."
            )

    def _resolved(self, value: Any) -> Any:
        return (self.path.parent / Path(value).expanduser()).resolve() if isinstance(value, str) else value

    def _line(self, key: Key) -> str:
        return f"{self.path}, line {self.lines[key]}" if key in self.lines else str(self.path)

    def _remedy(self, key: Key, model: type[BaseModel]) -> str:
        home = next((home for home in self._homes if home[-1] == key[-1]), None)
        if home is not None:
            return f" It belongs into the section {dotted(home[:-1])}."
        similar = get_close_matches(key[-1], model.model_fields, n=1)
        if similar:
            return f" Did you mean {similar[0]}?"
        elsewhere = get_close_matches(key[-1], [home[-1] for home in self._homes], n=1, cutoff=0.8)
        if elsewhere:
            return f" Did you mean {dotted(next(home for home in self._homes if home[-1] == elsewhere[0]))}?"
        return f" There are {', '.join(model.model_fields)}."


def _entries(node: yaml.Node) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield name, line and value of the keys that a section spells out."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                yield name.value, name.start_mark.line + 1, value


def _yaml_place(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return str(path) if mark is None else f"{path}, line {mark.line + 1}"


def _yaml_fault(error: Exception) -> str:
    problem = getattr(error, "problem", None)
    return str(problem or error)

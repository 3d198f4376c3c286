"""A configuration file to start from: every key, explained, with its default, and none of them in force."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from napari_unetseg.config.keys import Key, section_of, variable
from napari_unetseg.config.settings import Settings

_HEAD = """\
# Settings of napari-unetseg. Take the '#' away from a key to set it, and from the names of the sections above it.
# Environment variables go before this file; 'napari-unetseg config' says what is in force, and why.
"""
_WIDTH = 110


def template() -> str:
    """Return the text of a file in which every key stands, commented out."""
    return _HEAD + "\n".join(_lines(Settings, ())) + "\n"


def as_yaml(value: Any) -> str:
    """Return a value as a configuration file would have it, in one line."""
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str) and value.replace("_", "a").isalnum():
        return value
    return json.dumps(value, ensure_ascii=False)


def _lines(model: type[BaseModel], above: Key) -> Iterator[str]:
    indent = "  " * len(above)
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is not None:
            yield from ("", f"# {indent}{name}:")
            yield from _lines(section, (*above, name))
            continue
        words = f"{field.description} ({variable((*above, name))})"
        yield from textwrap.wrap(words, _WIDTH, initial_indent=f"#{indent} # ", subsequent_indent=f"#{indent} # ")
        yield f"# {indent}{name}: {as_yaml(field.get_default())}"

"""Settings from environment variables, one variable for each key."""

import os
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from napari_unetseg.bounded_text import read_yaml
from napari_unetseg.config.keys import PREFIX, Key, fields, nested, variable

_NOTHING = ("null", "none", "~")
_SIMILARITY = 0.85


class Variables(PydanticBaseSettingsSource):
    """The environment as a source of pydantic-settings.

    The names of the keys hold underscores themselves, so each variable is looked up by its whole name
    instead of being divided at a delimiter.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the values below a field of the top, its name, and that it is complex."""
        return self().get(field_name), field_name, True

    def __call__(self) -> dict[str, Any]:
        """Return what is set, as dictionaries within dictionaries."""
        return nested(read_variables(self.settings_cls))


def read_variables(model: type[BaseModel]) -> dict[Key, Any]:
    """Return the value of every key whose variable is set; an empty one counts as not set.

    ``null`` stands for no value, and a list is written as in YAML: ``[256, 256]``.
    """
    given = {key: os.environ.get(variable(key), "").strip() for key, _ in fields(model)}
    return {key: _parsed(text) for key, text in given.items() if text}


def suspicious_variables(model: type[BaseModel]) -> tuple[str, ...]:
    """Return a sentence for each variable that looks like one of ours but is none.

    These are no errors: other programs are free to have variables that begin in the same way.
    """
    ours = {variable(key): key for key, _ in fields(model)}
    sections = {name.removesuffix(key[-1].upper()) for name, key in ours.items()}
    warnings = []
    for name in sorted(os.environ):
        if not name.upper().startswith(PREFIX) or name in ours:
            continue
        similar = get_close_matches(name.upper(), ours, n=1, cutoff=_SIMILARITY)
        if similar:
            warnings.append(
                f"The environment variable {name} is not known and has no effect. Did you mean {similar[0]}?"
            )
        elif any(name.startswith(section) for section in sections):
            warnings.append(f"The environment variable {name} is not known and has no effect.")
    return tuple(warnings)


def _parsed(text: str) -> Any:
    if text.lower() in _NOTHING:
        return None
    if not text.startswith("["):
        return text
    try:
        return read_yaml(text)
    except yaml.YAMLError:
        return text  # which no key takes, so that the error names the variable

"""Every setting with its type, default and environment variable, from the classes that read them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from napari_unetseg.config.keys import Key, dotted, section_of, variable
from napari_unetseg.config.settings import Settings
from napari_unetseg.config.template import as_yaml
from pages.json_schema import kind_of
from pages.markdown import code, prose, sentence, table

_HEAD = """\
# Settings

Every key of the configuration file, what it may be, and the environment variable that goes before it.
[Configuration](configuration.md) says how to use them, and tells more of some. `napari-unetseg config` shows what is in
force on your machine, and why.

"""


def setting_page() -> str:
    """Return the page."""
    return _HEAD + "\n\n".join(_sections(Settings, (), Settings.model_json_schema()))


def _sections(model: type[BaseModel], above: Key, document: dict[str, Any]) -> Iterator[str]:
    rows, inner = list[tuple[str, ...]](), list[tuple[Key, type[BaseModel]]]()
    known = document["properties"] if not above else document["$defs"][model.__name__]["properties"]
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is not None:
            inner.append(((*above, name), section))
            continue
        key = (*above, name)
        meaning = f"{prose(field.description or '')}<br>{code(variable(key))}"
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "your state folder" if isinstance(default, Path) else code(as_yaml(default))
        anchored = f'<a id="{dotted(key)}"></a>{code(name)}'
        rows.append((anchored, kind_of(known[name], document["$defs"]), shown, meaning))
    if rows:
        yield f"## {dotted(above)}"
        words = re.sub(r"^Section `[\w.]+`: ", "", model.__doc__ or "")
        yield sentence(words)
        yield table(("key", "type", "default", "meaning, and variable"), rows)
    for key, section in inner:
        yield from _sections(section, key, document)

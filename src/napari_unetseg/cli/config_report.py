"""What `napari-unetseg config` prints and writes."""

from pathlib import Path

from pydantic.fields import FieldInfo

from napari_unetseg.config.keys import dotted, fields, value_at, variable
from napari_unetseg.config.loading import LoadedSettings, user_config_file
from napari_unetseg.config.settings import Settings
from napari_unetseg.config.template import as_yaml, template
from napari_unetseg.errors import ConfigError, UnetsegError


def write_template(path: Path) -> Path:
    """Write a configuration file with every key explained, and none of them in force; return where it is.

    Raises
    ------
    ConfigError
        If there is a file already.
    UnetsegError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError as error:
        raise ConfigError(f"{path}: this file is there already. Edit it, or choose another with --file.") from error
    except OSError as error:
        raise UnetsegError(f"{path}: the file cannot be written ({error.strerror}).") from error
    return path


def settings_as_dict(loaded: LoadedSettings) -> dict[str, object]:
    """Plain values, ready for JSON."""
    keys = {
        dotted(key): {
            "value": _shown(value_at(loaded.settings, key), field),
            "from": loaded.origins[dotted(key)],
            "variable": variable(key),
            "meaning": field.description,
        }
        for key, field in fields(Settings)
    }
    return {"file": str(loaded.file) if loaded.file else None, "warnings": list(loaded.warnings), "keys": keys}


def settings_as_lines(loaded: LoadedSettings) -> list[str]:
    """Return a line for each setting: its name, its value, and where that comes from."""
    rows = [
        (dotted(key), as_yaml(_shown(value_at(loaded.settings, key), field)), loaded.origins[dotted(key)])
        for key, field in fields(Settings)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    head = (
        f"File: {loaded.file}"
        if loaded.file
        else f"File: none ('napari-unetseg config --init' writes {user_config_file()})"
    )
    return [head, "", *(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}" for key, value, origin in rows)]


def _shown(value: object, field: FieldInfo) -> object:
    """Return a value as it may be read over a shoulder or in a bug report."""
    return value if field.repr or value is None else "(hidden)"

"""The effective settings of this machine: environment before file before default, and which it was."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_config_path
from pydantic import ValidationError

from napari_unetseg.config.environment import read_variables, suspicious_variables
from napari_unetseg.config.file import ConfigFile, read_config_file
from napari_unetseg.config.keys import Key, dotted, fields, nested, variable
from napari_unetseg.config.settings import Settings
from napari_unetseg.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE_VARIABLE = "NAPARI_UNETSEG_CONFIG"
"""Environment variable that names the configuration file."""


@dataclass(frozen=True)
class LoadedSettings:
    """Settings, and where they come from.

    Attributes
    ----------
    settings
        The effective values.
    origins
        For each key, such as ``"unet.model.device"``: ``"environment UNET_MODEL_DEVICE"``,
        ``"/path/config.yaml, line 4"`` or ``"default"``.
    file
        The file that was read; None if there is none.
    warnings
        Sentences on environment variables that look like settings but are none.
    """

    settings: Settings
    origins: dict[str, str]
    file: Path | None
    warnings: tuple[str, ...] = ()


def user_config_file() -> Path:
    """Return the path of the user's configuration file; it need not exist."""
    return user_config_path("napari-unetseg", appauthor=False) / "config.yaml"


def load_settings(path: str | Path | None = None) -> LoadedSettings:
    """Read the settings of this machine.

    Parameters
    ----------
    path
        The configuration file; None: the one that `NAPARI_UNETSEG_CONFIG` names, else that of the user,
        if it exists.

    Raises
    ------
    ConfigError
        If a named file is missing, a file is not YAML, a key is unknown or a value is wrong. The message
        has a line for each fault, with file and line, or the variable, and the key.
    """
    found = _find(path)
    file = None if found is None else read_config_file(found, Settings)
    origins = _origins(file)
    faults = () if file is None else file.faults
    settings = None
    try:
        settings = Settings(**_not_overridden(file))
    except ValidationError as error:
        faults += tuple(_describe(fault, file) for fault in error.errors())
    if settings is None or faults:
        raise ConfigError("\n".join(faults))
    by_name = {dotted(key): origin for key, origin in origins.items()}
    return LoadedSettings(settings, by_name, found, suspicious_variables(Settings))


def _find(path: str | Path | None) -> Path | None:
    named = path or os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    user_file = user_config_file()
    return user_file if user_file.is_file() else None


def _not_overridden(file: ConfigFile | None) -> dict[str, Any]:
    """Return what the file says and no variable does; `Settings` reads the variables itself."""
    if file is None:
        return {}
    overridden = read_variables(Settings)
    return nested({key: value for key, value in file.values.items() if key not in overridden})


def _origins(file: ConfigFile | None) -> dict[Key, str]:
    overridden = read_variables(Settings)
    origins = dict.fromkeys((key for key, _ in fields(Settings)), "default")
    if file is not None:
        origins |= {key: file.place(key) for key in file.values}
    return origins | {key: f"environment {variable(key)}" for key in overridden}


def _describe(fault: "ErrorDetails", file: ConfigFile | None) -> str:
    """Say in one line where a value stands, what it is and what is wrong with it."""
    location = tuple(str(part) for part in fault["loc"])
    keys = [key for key, _ in fields(Settings)]
    key = next((key for key in keys if location[: len(key)] == key), location)
    origins = _origins(file)
    message = fault["msg"].removeprefix("Value error, ")
    if key in origins:
        place, value = origins[key], f" = {fault['input']!r}"
    else:  # what is wrong is a section as a whole
        given = [origin for known, origin in origins.items() if known[: len(key)] == key and origin != "default"]
        place, value = " and ".join(given), ""
    return f"{place}: {dotted(key)}{value}: {message[:1].lower()}{message[1:]}."

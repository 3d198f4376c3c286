"""The folder that was used last, kept by Qt where the system keeps such things."""

from pathlib import Path

from qtpy.QtCore import QSettings

_KEY = "folder"


def last_folder() -> str:
    """Return the folder of the last batch; empty before one."""
    return str(_settings().value(_KEY, ""))


def remember_folder(folder: Path) -> None:
    """Keep the folder for the next window."""
    _settings().setValue(_KEY, str(folder))


def _settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-unetseg", "napari-unetseg")

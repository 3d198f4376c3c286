"""Enough of platformdirs, for machines without it; see `lean.py`."""

import os
from pathlib import Path


def _home(kind: str, default: str, name: str) -> Path:
    return Path(os.environ.get(f"XDG_{kind}_HOME") or Path.home() / default) / name


def user_cache_path(name: str, appauthor: object = None) -> Path:
    """Return the folder for what can be made again."""
    return _home("CACHE", ".cache", name)


def user_config_path(name: str, appauthor: object = None) -> Path:
    """Return the folder for settings."""
    return _home("CONFIG", ".config", name)


def user_data_path(name: str, appauthor: object = None) -> Path:
    """Return the folder for data."""
    return _home("DATA", ".local/share", name)


def user_state_path(name: str, appauthor: object = None) -> Path:
    """Return the folder for records."""
    return _home("STATE", ".local/state", name)

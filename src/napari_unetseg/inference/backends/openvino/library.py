"""OpenVINO and NNCF, imported when they are first needed, and so that they send no telemetry. Imports no torch."""

import importlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from openvino import Core

_TELEMETRY = "openvino_telemetry"


@cache
def openvino_version() -> str | None:
    """Return the version of OpenVINO, without loading it; None if it is not installed."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def cache_folder() -> Path:
    """Return where models for OpenVINO are kept; it may be deleted at any time, and need not exist."""
    return user_cache_path("napari-unetseg", appauthor=False) / "openvino"


def load_openvino() -> ModuleType:
    """Return the module `openvino`.

    Raises
    ------
    UnetsegError
        If it is not installed.
    """
    return _load("openvino")


def load_nncf() -> ModuleType:
    """Return the module `nncf`, which takes seconds to import and brings torch along.

    Raises
    ------
    UnetsegError
        If it is not installed.
    """
    return _load("nncf")


@cache
def openvino_core() -> "Core":
    """Return what reads and compiles models: one for the process, as loading its plugins takes time.

    Raises
    ------
    UnetsegError
        If OpenVINO is not installed.
    """
    core: Core = load_openvino().Core()
    return core


def _load(name: str) -> ModuleType:
    _keep_quiet()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnetsegError(
            Sentence(
                "{package} is not installed here. Install it: pip install "
                '"napari-unetseg[openvino]", or choose the backend torch.',
                package="OpenVINO" if name == "openvino" else "NNCF",
            )
        ) from error


def _keep_quiet() -> None:
    """Let neither library report its use to its makers.

    Both do so when they are imported and at each conversion, unless the package for it is missing; so it is made to
    be. Where another part of the program has loaded it before, what it has to send is dropped from now on.
    """
    loaded = sys.modules.get(_TELEMETRY)
    if loaded is None:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    else:
        loaded.main.TelemetrySender.send = _drop


def _drop(*_message: object) -> None:
    pass

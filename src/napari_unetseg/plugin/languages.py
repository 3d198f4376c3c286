"""Which language the window speaks: that of the settings, else napari's, else the system's."""

from collections.abc import Iterator
from contextlib import contextmanager

from napari.settings import get_settings
from qtpy.QtCore import QLocale

from napari_unetseg import language
from napari_unetseg.config import load_settings
from napari_unetseg.errors import ConfigError, UnetsegError

_NAPARI_DEFAULT = "en"


def activate_language(context: object = None) -> str:
    """Choose the language for all that is shown from now on, and return it.

    napari calls this when it activates the plugin. Its own English says nothing about its user, who was never
    asked (and napari 0.9 has no other language), so the system's language goes before it.

    Parameters
    ----------
    context
        What napari hands to a plugin that it activates.
    """
    return language.use(language.nearest(wanted_languages()))


def wanted_languages() -> list[str]:
    """Return the locales to look for a catalogue for, the most wanted first."""
    if (chosen := _setting()) != "auto":
        return [chosen]
    # Gone from napari 0.9, whose users may get it back.
    of_napari = str(getattr(get_settings().application, "language", _NAPARI_DEFAULT))
    if of_napari != _NAPARI_DEFAULT:
        return [of_napari]
    return list(QLocale.system().uiLanguages())


@contextmanager
def errors_in_users_language() -> Iterator[None]:
    """Translate errors that napari shows itself."""
    try:
        yield
    except UnetsegError as error:
        raise type(error)(language.translated(error)) from error


def _setting() -> str:
    """Return the language of the settings; where these are wrong, the service that reads them says so."""
    try:
        return load_settings().settings.unet.window.language
    except ConfigError:
        return "auto"

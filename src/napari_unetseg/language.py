"""Words for people in their own language, by gettext catalogues in ``locale/``.

A text is English in the code and its own key in the catalogues. Nothing is translated until a face asks
for a language with `use`: the window does, so the command line, logs and journals stay English.
"""

import gettext
from pathlib import Path

LANGUAGES = ("en", "cs", "de", "es", "fr", "zh_CN")
"""English and the languages that there is a catalogue for."""

DOMAIN = "napari_unetseg"
CATALOGUES = Path(__file__).parent / "locale"

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def use(language: str) -> str:
    """Translate from now on into the nearest language there is, and return which that is.

    Parameters
    ----------
    language
        A locale such as ``"cs"``, ``"de_AT"`` or ``"zh_CN.UTF-8"``; English for one without a catalogue.
    """
    global _catalogue
    chosen = nearest(language)
    if chosen == "en":
        _catalogue = gettext.NullTranslations()
    else:
        _catalogue = gettext.translation(DOMAIN, CATALOGUES, [chosen])
    return chosen


def nearest(language: str) -> str:
    """Give the one of `LANGUAGES` that a locale's name asks for, English where there is none."""
    plain = language.split(".")[0].split("@")[0].replace("-", "_")
    short = plain.split("_")[0].lower()
    return next((known for known in LANGUAGES if known.split("_")[0] == short), "en")


def tr(text: str) -> str:
    """Translate a text; fill its ``{places}`` in afterwards, with `str.format`."""
    return _catalogue.gettext(text) if text else text


def tr_count(singular: str, plural: str, number: int) -> str:
    """Translate a text that differs with a number, which is filled in afterwards."""
    return _catalogue.ngettext(singular, plural, number)


def mark(text: str) -> str:
    """Mark a constant for the catalogues; it is translated with `tr` where it is shown."""
    return text

"""Words for people in their own language, by gettext catalogues in ``locale/``.

A text is English in the code and its own key in the catalogues. Nothing is translated until a face asks
for a language with `use`: the window does, so the command line stays English. What rooms below the window
say (errors, warnings, remarks) goes to logs and journals too; it is a `Sentence`, which is English
everywhere until the window asks for it with `translated`.
"""

import gettext
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_unetseg.printable import printable

LANGUAGES = ("en", "cs", "de", "es", "fr", "zh_CN")
"""English and the languages that there is a catalogue for."""

DOMAIN = "napari_unetseg"
CATALOGUES = Path(__file__).parent / "locale"

# Where English writes 1,312 others would read a fraction, so they get a space, as the SI has it.
_NO_BREAK_SPACE = "\u00a0"
_COMMA_BETWEEN_THOUSANDS = ("en", "zh_CN")

_language = "en"
_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def use(language: str) -> str:
    """Translate from now on into the nearest language there is, and return which that is.

    Parameters
    ----------
    language
        A locale such as ``"cs"``, ``"de_AT"`` or ``"zh-Hans-CN"``; English for one without a catalogue.
    """
    global _catalogue, _language
    _language = nearest([language])
    if _language == "en":
        _catalogue = gettext.NullTranslations()
    else:
        _catalogue = gettext.translation(DOMAIN, CATALOGUES, [_language])
    return _language


def in_use() -> str:
    """Return which of `LANGUAGES` texts are translated into."""
    return _language


def nearest(wanted: Iterable[str]) -> str:
    """Return the one of `LANGUAGES` that the first locale asks for that asks for any of them; else English."""
    known = {language.split("_")[0]: language for language in LANGUAGES}
    requested = (locale.replace("-", "_").split(".")[0].split("@")[0].split("_")[0].lower() for locale in wanted)
    return next((known[language] for language in requested if language in known), "en")


def tr(text: str) -> str:
    """Translate a text; fill its ``{places}`` in afterwards, with `str.format`."""
    # gettext keeps a catalogue's own description under the empty text.
    return _catalogue.gettext(text) if text else text


def tr_count(singular: str, plural: str, number: int) -> str:
    """Translate a text that differs with a number, which is filled in afterwards."""
    return _catalogue.ngettext(singular, plural, number)


def mark(text: str) -> str:
    """Mark a constant for the catalogues; it is translated with `tr` where it is shown."""
    return text


def grouped(number: float) -> str:
    """Return a whole number with its thousands set apart: ``"1,312"``, in most languages ``"1 312"``."""
    text = f"{number:,.0f}"
    return text if _language in _COMMA_BETWEEN_THOUSANDS else text.replace(",", _NO_BREAK_SPACE)


class Sentence(str):
    """A text in English that can be said in other languages, too.

    To logs, files and other programs it is a plain string.

    Parameters
    ----------
    template
        The text, with ``{places}``; the key in the catalogues.
    places
        What to fill in; sentences, and errors made of one, are translated with it.
    """

    __slots__ = ("places", "template")

    template: str
    places: dict[str, Any]

    def __new__(cls, template: str, /, **places: Any) -> "Sentence":
        """Fill the places of the English text in."""
        text = super().__new__(cls, printable(template.format(**places) if places else template))
        text.template, text.places = template, places
        return text

    def with_places(self, **places: Any) -> "Sentence":
        """Say the same of something else."""
        return type(self)(self.template, **places)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as a plain string."""
        return (str, (str(self),))


def joined(parts: Iterable[str], between: str = " ") -> Sentence:
    """Say several things one after the other; each of them is translated by itself."""
    said = {f"part{number}": part for number, part in enumerate(parts)}
    return Sentence(between.join(f"{{{name}}}" for name in said), **said)


def error_sentence(error: BaseException) -> str:
    """Return what an error says, as the sentence that it was made of if it was."""
    said = error.args[0] if error.args else ""
    return said if isinstance(said, Sentence) else str(error)


def translated(text: "str | BaseException") -> str:
    """Say a sentence, or the error made of one, in the language in use; other texts stay as they are."""
    said = error_sentence(text) if isinstance(text, BaseException) else text
    if not isinstance(said, Sentence):
        return said
    places = {name: _local_place(value) for name, value in said.places.items()}
    return printable(tr(said.template).format(**places)) if places else tr(said.template)


def _local_place(value: Any) -> Any:
    return translated(value) if isinstance(value, Sentence | BaseException) else value

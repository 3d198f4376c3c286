"""Bring the catalogues of `src/napari_unetseg/locale` up to date with the texts in the code (docs/languages.md).

Every text in the code, in the bundled model cards and in no other place gets an entry in every language's `.po`;
translations of texts that are gone are dropped; `.mo`, which the program reads, is made anew. What is left to
translate is printed.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from string import Formatter

import yaml
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parents[1] / "src" / "napari_unetseg"
LOCALE = PACKAGE / "locale"
DOMAIN = "napari_unetseg"
LANGUAGES = ("cs", "de", "es", "fr", "zh_CN")

Key = str | tuple[str, ...] | list[str]
"""A text, or singular and plural."""

_ONE = ("tr", "mark", "Sentence")
_TWO = ("tr_count",)
_ASKS = (*_ONE, *_TWO)


class PlainCatalog(Catalog):
    """A catalogue whose header has no dates and no programs in it, so that the same texts make the same file."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """What a reader of the catalogue has to know."""
        return [
            ("Project-Id-Version", DOMAIN),
            ("Language", str(self.locale)),
            ("Plural-Forms", self.plural_forms),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ]


def texts() -> dict[Key, list[str]]:
    """Return every text that can be translated, and the files it stands in.

    Raises
    ------
    ValueError
        If a call asks to translate what is no literal, and so in no catalogue.
    """
    found: dict[Key, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "language.py":
            for key in in_code(path.read_text(encoding="utf-8"), path.name):
                found.setdefault(key, []).append(path.relative_to(PACKAGE).as_posix())
    for path in sorted(PACKAGE.glob("models/*/model.yaml")):
        for key in in_card(path):
            found.setdefault(key, []).append(path.relative_to(PACKAGE).as_posix())
    return found


def in_code(source: str, name: str) -> Iterator[Key]:
    """Yield the texts that a module asks to be translated."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in _ASKS:
            continue
        if node.func.id in _TWO:
            singular, plural = (list(_literals(argument, name)) for argument in node.args[:2])
            yield from zip(singular, plural, strict=True)
        else:
            found = list(_literals(node.args[0], name))
            if node.func.id != "tr" and not found:
                raise ValueError(f"{name}, line {node.lineno}: {node.func.id}() needs a plain text.")
            yield from found


def _literals(node: ast.expr, name: str) -> Iterator[str]:
    """Yield the texts an argument can be; a name or attribute is a constant that was marked where it was made."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _literals(node.body, name)
        yield from _literals(node.orelse, name)
    elif isinstance(node, ast.JoinedStr | ast.BinOp):
        raise ValueError(f"{name}, line {node.lineno}: only plain texts can be looked up, and filled in with format().")


def in_card(path: Path) -> Iterator[str]:
    """Yield the texts of a model's card: its name, what it is for, and its limits."""
    card = yaml.safe_load(path.read_text(encoding="utf-8"))
    told = (card["display_name"], card["description"], (card.get("scores") or {}).get("limits", ""))
    yield from (" ".join(text.split()) for text in told if text)


def read(language: str) -> Catalog:
    """Return the translations into a language, as they stand in its `.po`."""
    path = folder(language) / f"{DOMAIN}.po"
    return read_po(BytesIO(path.read_bytes() if path.exists() else b""), locale=language, domain=DOMAIN)


def updated(language: str, found: dict[Key, list[str]]) -> Catalog:
    """Return a catalogue of exactly these texts, with the translations there are."""
    old, new = read(language), PlainCatalog(locale=language, domain=DOMAIN, header_comment="", fuzzy=False)
    for key, files in sorted(found.items(), key=lambda item: (item[1][0], str(item[0]))):
        known = old.get(key)
        string = known.string if known and known.id == key else ""
        new.add(key, string, locations=[(file, 0) for file in dict.fromkeys(files)])
        new[key].flags.clear()
    return new


def as_po(catalog: Catalog) -> bytes:
    """Return the text of a `.po` file."""
    buffer = BytesIO()
    write_po(buffer, catalog, width=110, include_lineno=False)
    return buffer.getvalue()


def as_mo(catalog: Catalog) -> bytes:
    """Return the content of a `.mo` file."""
    buffer = BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def folder(language: str) -> Path:
    """Return where the catalogue of a language lies."""
    return LOCALE / language / "LC_MESSAGES"


def untranslated(catalog: Catalog) -> list[Key]:
    """Return the texts that lack a translation, or one of its plurals."""
    return [message.id for message in catalog if message.id and not all(strings_of(message))]


def misplaced(catalog: Catalog) -> list[tuple[Key, str]]:
    """Return translations whose ``{places}`` are not those of their text; a singular may leave the number out."""
    wrong = []
    for message in catalog:
        singular, *plural = (message.id,) if isinstance(message.id, str) else message.id
        wanted = places((plural or [singular])[0])
        allowed = [wanted, places(singular)]
        wrong += [
            (message.id, text) for text in strings_of(message) if message.id and text and places(text) not in allowed
        ]
    return wrong


def strings_of(message: Message) -> Sequence[str | None]:
    """Return a translation and its plurals."""
    return message.string if isinstance(message.string, tuple | list) else (message.string,)


def places(text: str) -> set[tuple[str, str]]:
    """Return the names and formats of what is filled into a text."""
    return {(name, spec or "") for _, name, spec, _ in Formatter().parse(text) if name is not None}


def main() -> int:
    """Update every language."""
    found = texts()
    for language in LANGUAGES:
        catalog = updated(language, found)
        folder(language).mkdir(parents=True, exist_ok=True)
        (folder(language) / f"{DOMAIN}.po").write_bytes(as_po(catalog))
        (folder(language) / f"{DOMAIN}.mo").write_bytes(as_mo(catalog))
        lacking, wrong = untranslated(catalog), misplaced(catalog)
        print(f"{language}: {len(found) - len(lacking)} of {len(found)} texts are translated.")  # noqa: T201
        for key in lacking:
            print(f"  untranslated: {key!r}")  # noqa: T201
        for key, text in wrong:
            print(f"  other places: {key!r}: {text!r}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The catalogues hold what the code says: nothing is missing, nothing left over, and the program reads the same."""

import gettext
import importlib.util
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from napari_unetseg import language
from napari_unetseg.zoo.card import read_card

BUNDLED = Path(language.__file__).parent / "models"
LANGUAGES = [name for name in language.LANGUAGES if name != "en"]
REMEDY = "run 'make catalogues' and fill in what it names"


@pytest.fixture(scope="module")
def catalogues(repository: Path) -> Any:
    spec = importlib.util.spec_from_file_location("catalogues", repository / ".ci" / "catalogues.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts(catalogues: Any) -> set[Any]:
    return set(catalogues.texts())


def test_the_tool_and_the_program_mean_the_same_languages(catalogues: Any) -> None:
    assert sorted(catalogues.LANGUAGES) == sorted(LANGUAGES)
    assert catalogues.LOCALE == language.CATALOGUES
    assert sorted(path.name for path in language.CATALOGUES.iterdir()) == sorted(LANGUAGES)


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_text_is_translated(catalogues: Any, texts: set[Any], name: str) -> None:
    catalog = catalogues.read(name)
    known = {message.id for message in catalog if message.id} - set(catalogues.untranslated(catalog))
    assert texts - known == set(), f"untranslated into {name}: {REMEDY}"


def test_what_cards_say_is_looked_up_as_it_was_collected(texts: set[Any]) -> None:
    cards = [read_card(path) for path in sorted(BUNDLED.glob("*/model.yaml"))]
    said = {text for card in cards for text in (card.display_name, card.description, card.scores["limits"])}
    assert len(cards) == 4
    assert said - texts == set()


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_translation_is_used(catalogues: Any, texts: set[Any], name: str) -> None:
    catalog = catalogues.read(name)
    assert {message.id for message in catalog if message.id} - texts == set(), f"unused: {REMEDY}"
    assert dict(catalog.obsolete) == {}
    assert [message.id for message in catalog if message.fuzzy] == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_what_is_filled_in_is_the_same_in_every_language(catalogues: Any, name: str) -> None:
    assert catalogues.misplaced(catalogues.read(name)) == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_what_the_program_reads_is_what_people_wrote(catalogues: Any, name: str) -> None:
    catalog = catalogues.read(name)
    compiled = gettext.GNUTranslations(BytesIO((catalogues.folder(name) / "napari_unetseg.mo").read_bytes()))
    read = {key: text for key, text in compiled._catalog.items() if key}  # type: ignore[attr-defined]
    written: dict[Any, str] = {}
    for message in catalog:
        if isinstance(message.id, str):
            written |= {message.id: message.string} if message.id and message.string else {}
        else:
            written |= {(message.id[0], form): text for form, text in enumerate(message.string)}
    assert read == written, "the .mo is older than the .po: run 'make catalogues'"


def test_the_wheel_holds_the_compiled_catalogues(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"napari_unetseg/locale/{name}/LC_MESSAGES/napari_unetseg.mo" for name in LANGUAGES} <= names


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("cs", ["1 objekt", "3 objekty", "5 objektů"]),
        ("de", ["1 Objekt", "3 Objekte", "5 Objekte"]),
        ("fr", ["1 objet", "3 objets", "5 objets"]),
        ("es", ["1 objeto", "3 objetos", "5 objetos"]),
        ("zh_CN", ["1 个目标", "3 个目标", "5 个目标"]),
    ],
)
def test_numbers_take_the_forms_of_their_language(name: str, forms: list[str]) -> None:
    language.use(name)
    try:
        assert [language.tr_count("{n} object", "{n} objects", n).format(n=n) for n in (1, 3, 5)] == forms
    finally:
        language.use("en")


def test_texts_are_found_where_they_are_asked_for(catalogues: Any) -> None:
    source = 'tr("a " "b"); tr(NAME); Sentence("c {x}", x=1); mark("d" if x else "e"); tr_count("f", "g", 2)'
    assert list(catalogues.in_code(source, "some.py")) == ["a b", "c {x}", "d", "e", ("f", "g")]


@pytest.mark.parametrize("source", ['tr(f"{x} objects")', 'tr("a" + b)', "Sentence(text)", "mark(TEXT)"])
def test_texts_that_no_catalogue_can_hold_are_refused(catalogues: Any, source: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(catalogues.in_code(source, "some.py"))


@pytest.mark.parametrize(
    ("key", "text", "wrong"),
    [
        ("{n} of {all}", "{all}: {n}", False),
        ("{n:.1f}", "{n}", True),
        ("{n}", "{m}", True),
        (("one image", "{n} images"), ("ein Bild", "{n} Bilder"), False),
        (("one image", "{n} images"), ("ein Bild", "{m} Bilder"), True),
    ],
)
def test_places_are_compared(catalogues: Any, key: Any, text: Any, wrong: bool) -> None:
    catalog = catalogues.PlainCatalog(locale="de")
    catalog.add(key, text)
    assert bool(catalogues.misplaced(catalog)) is wrong
